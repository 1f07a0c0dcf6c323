//! One tensor of a model.

use crate::base::crc::crc32;
use crate::format::layout::WeightType;
use crate::format::matrix::Matrix;
use crate::format::{Entry, Extent, NONE, Role, TensorType, f32s};

/// A tensor, as the directory has it.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'m> {
    /// Its name in the model it was converted from.
    pub name: &'m str,
    /// What it is for.
    pub role: Role,
    /// The layer it belongs to, if it does.
    pub layer: Option<usize>,
    /// How its bytes are to be read.
    pub kind: TensorType,
    /// Rows: 1 for a vector.
    pub rows: usize,
    /// Columns: elements of a vector.
    pub cols: usize,
    /// How many of them lie one after another, if it is a stack: one for each expert.
    pub experts: Option<usize>,
    /// Where it lies in the file.
    pub extent: Extent,
    /// Checksum of its bytes and the padding after them.
    pub crc: u32,
    bytes: &'m [u8],
}

/// What [`Model::verify_tensor`](super::Model::verify_tensor) finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum VerifyError {
    /// The bytes do not have the checksum that the directory states.
    Checksum,
    /// A weight, a scale or a minimum is NaN or infinite.
    NotFinite,
}

impl core::fmt::Display for VerifyError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Checksum => "damaged: the checksum does not match",
            Self::NotFinite => "a value is not finite",
        })
    }
}

impl core::error::Error for VerifyError {}

impl<'m> Tensor<'m> {
    pub(super) const EMPTY: Self = Self {
        name: "",
        role: Role::Embedding,
        layer: None,
        kind: TensorType::Vector,
        rows: 0,
        cols: 0,
        experts: None,
        extent: Extent { offset: 0, len: 0 },
        crc: 0,
        bytes: &[],
    };

    /// The entry with its name and bytes looked up, if the file has them.
    pub(super) fn new(entry: &Entry, names: &'m [u8], file: &'m [u8]) -> Option<Self> {
        let start = entry.name_offset as usize;
        let name = names.get(start..start.checked_add(entry.name_len as usize)?)?;
        Some(Self {
            name: core::str::from_utf8(name).ok()?,
            role: entry.role,
            layer: there(entry.layer),
            kind: entry.kind,
            rows: entry.rows as usize,
            cols: entry.cols as usize,
            experts: there(entry.experts),
            extent: entry.extent,
            crc: entry.crc,
            bytes: entry.extent.of(file)?,
        })
    }

    /// Bytes as they lie in the file, without padding.
    pub const fn bytes(&self) -> &'m [u8] {
        self.bytes
    }

    pub(super) fn matrix(&self) -> Matrix<'m> {
        matrix(self.kind, self.rows, self.cols, self.bytes)
    }

    pub(super) fn vector(&self) -> &'m [f32] {
        f32s(self.bytes).unwrap_or_default()
    }

    pub(super) fn stack(&self) -> Stack<'m> {
        let Self { kind, rows, cols, bytes, .. } = *self;
        Stack { kind, rows, cols, bytes }
    }

    /// Checks the bytes up to `next`, where the next tensor starts.
    pub(super) fn verify(&self, file: &[u8], next: u64) -> Result<(), VerifyError> {
        let padded = Extent { len: next.saturating_sub(self.extent.offset), ..self.extent };
        if padded.of(file).map(crc32) != Some(self.crc) {
            return Err(VerifyError::Checksum);
        }
        if self.is_finite() { Ok(()) } else { Err(VerifyError::NotFinite) }
    }

    fn is_finite(&self) -> bool {
        let stack = self.stack();
        (0..self.experts.unwrap_or(1)).all(|expert| is_finite(self.kind, stack.bytes_of(expert)))
    }
}

/// Several tensors of one shape and type, each on a 64-byte boundary, of which one is used at a
/// time: nothing of the others is touched.
#[derive(Clone, Copy, Debug)]
pub struct Stack<'m> {
    kind: TensorType,
    rows: usize,
    cols: usize,
    bytes: &'m [u8],
}

impl<'m> Stack<'m> {
    pub(super) const EMPTY: Self = Self { kind: TensorType::Vector, rows: 0, cols: 0, bytes: &[] };

    /// `(rows, cols)`: the matrix of this expert; empty if there is no such expert.
    pub fn matrix(&self, expert: usize) -> Matrix<'m> {
        matrix(self.kind, self.rows, self.cols, self.bytes_of(expert))
    }

    /// `(cols)`: the vector of this expert; empty if there is no such expert.
    pub fn vector(&self, expert: usize) -> &'m [f32] {
        f32s(self.bytes_of(expert)).unwrap_or_default()
    }

    fn bytes_of(&self, expert: usize) -> &'m [u8] {
        let Self { kind, rows, cols, bytes } = *self;
        let start = kind.stride(rows, cols).and_then(|stride| stride.checked_mul(expert));
        let found = start.zip(kind.bytes(rows, cols)).and_then(|(start, len)| {
            let (_, from) = bytes.split_at_checked(start)?;
            from.get(..len)
        });
        found.unwrap_or_default()
    }
}

fn matrix(kind: TensorType, rows: usize, cols: usize, bytes: &[u8]) -> Matrix<'_> {
    let TensorType::Matrix(kind) = kind else { return Matrix::EMPTY };
    Matrix::new(kind, rows, cols, bytes).unwrap_or(Matrix::EMPTY)
}

/// A number of the directory, where it is one.
fn there(number: u32) -> Option<usize> {
    usize::try_from(number).ok().filter(|_| number != NONE)
}

/// Whether all floats are finite: the weights themselves, or scales and minima.
fn is_finite(kind: TensorType, bytes: &[u8]) -> bool {
    match kind {
        TensorType::Vector | TensorType::Matrix(WeightType::F32) => {
            f32s(bytes).unwrap_or_default().iter().all(|v| v.is_finite())
        }
        TensorType::Matrix(kind) => bytes.chunks_exact(kind.block_bytes()).all(|block| {
            let (halves, _) = block.get(kind.quant_bytes()..).unwrap_or_default().as_chunks();
            // An exponent of all ones is infinity or NaN.
            halves.iter().all(|&h| u16::from_le_bytes(h) & 0x7C00 != 0x7C00)
        }),
    }
}
