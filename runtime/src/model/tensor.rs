//! Tensors of a model, as their bytes lie in the file.

use crate::base::checked::{part, present};
use crate::base::crc::crc32;
use crate::format::layout::WeightType;
use crate::format::matrix::Matrix;
use crate::format::{Entry, Extent, NONE, Role, TensorType, f32s};

/// A tensor, as the directory has it.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'m> {
    /// The name in the model that it was converted from.
    pub name: &'m str,
    /// The role in the model.
    pub role: Role,
    /// Index of the layer, if the tensor belongs to one.
    pub layer: Option<usize>,
    /// The type: the form of the bytes.
    pub kind: TensorType,
    /// Rows: outputs of a matrix, 1 for a vector.
    pub rows: usize,
    /// Columns: inputs of a matrix, elements of a vector.
    pub cols: usize,
    /// Number of tensors of this shape that lie one after another, one for each expert, if this is
    /// a stack.
    pub experts: Option<usize>,
    /// The place in the file.
    pub extent: Extent,
    /// CRC-32 of the bytes and of the padding after them.
    pub crc: u32,
    bytes: &'m [u8],
}

/// The fault that [`Model::verify_tensor`](super::Model::verify_tensor) finds.
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

    /// Looks up an entry's name and bytes; `None` if the file does not have them.
    pub(super) fn new(entry: &Entry, names: &'m [u8], file: &'m [u8]) -> Option<Self> {
        let start = entry.name_offset as usize;
        let name = names.get(start..start.checked_add(entry.name_len as usize)?)?;
        Some(Self {
            name: core::str::from_utf8(name).ok()?,
            role: entry.role,
            layer: unless_none(entry.layer),
            kind: entry.kind,
            rows: entry.rows as usize,
            cols: entry.cols as usize,
            experts: unless_none(entry.experts),
            extent: entry.extent,
            crc: entry.crc,
            bytes: entry.extent.bytes(file)?,
        })
    }

    /// The bytes as they lie in the file, without padding.
    pub const fn bytes(&self) -> &'m [u8] {
        self.bytes
    }

    /// The matrix that the role says the tensor is.
    pub(super) fn matrix(&self) -> Matrix<'m> {
        let matrix = matrix(self.kind, self.rows, self.cols, self.bytes);
        debug_assert!(matrix.is_some(), "the file was checked");
        matrix.unwrap_or(Matrix::EMPTY)
    }

    /// The vector that the role says the tensor is.
    pub(super) fn vector(&self) -> &'m [f32] {
        present(f32s(self.bytes))
    }

    /// The stack that the role says the tensor is.
    pub(super) fn stack(&self) -> Stack<'m> {
        let Self { kind, rows, cols, bytes, .. } = *self;
        Stack { kind, rows, cols, bytes }
    }

    /// Checks the bytes up to `next`, the offset of the next tensor.
    pub(super) fn verify(&self, file: &[u8], next: u64) -> Result<(), VerifyError> {
        let padded = Extent { len: next.saturating_sub(self.extent.offset), ..self.extent };
        if padded.bytes(file).map(crc32) != Some(self.crc) {
            return Err(VerifyError::Checksum);
        }
        if self.is_finite() { Ok(()) } else { Err(VerifyError::NotFinite) }
    }

    fn is_finite(&self) -> bool {
        let stack = self.stack();
        (0..self.experts.unwrap_or(1))
            .all(|expert| is_finite(self.kind, stack.expert_bytes(expert)))
    }
}

/// A stack: a tensor of one shape and type for each expert, each on a 64-byte boundary.
///
/// Only the bytes of an expert that is asked for are touched.
#[derive(Clone, Copy, Debug)]
pub struct Stack<'m> {
    kind: TensorType,
    rows: usize,
    cols: usize,
    bytes: &'m [u8],
}

impl<'m> Stack<'m> {
    pub(super) const EMPTY: Self = Self { kind: TensorType::Vector, rows: 0, cols: 0, bytes: &[] };

    /// The matrix of an expert, `(rows, cols)`; empty if there is no such expert.
    pub fn matrix(&self, expert: usize) -> Matrix<'m> {
        matrix(self.kind, self.rows, self.cols, self.expert_bytes(expert)).unwrap_or(Matrix::EMPTY)
    }

    /// The vector of an expert, `(cols)`; empty if there is no such expert.
    pub fn vector(&self, expert: usize) -> &'m [f32] {
        present(f32s(self.expert_bytes(expert)))
    }

    /// The bytes of an expert's tensor; empty if there is no such expert.
    fn expert_bytes(&self, expert: usize) -> &'m [u8] {
        let Self { kind, rows, cols, bytes } = *self;
        let start = kind.stride(rows, cols).and_then(|stride| stride.checked_mul(expert));
        let found = start.zip(kind.bytes(rows, cols)).and_then(|(start, len)| {
            let (_, from) = bytes.split_at_checked(start)?;
            from.get(..len)
        });
        found.unwrap_or_default()
    }
}

fn matrix(kind: TensorType, rows: usize, cols: usize, bytes: &[u8]) -> Option<Matrix<'_>> {
    let TensorType::Matrix(kind) = kind else { return None };
    Matrix::new(kind, rows, cols, bytes)
}

/// A number of the directory, unless it is [`NONE`].
fn unless_none(number: u32) -> Option<usize> {
    usize::try_from(number).ok().filter(|_| number != NONE)
}

/// The packed blocks of a matrix.
fn blocks_of(kind: WeightType, bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    part(bytes, kind.head_bytes().min(bytes.len())..).chunks_exact(kind.block_bytes())
}

/// Whether all floats are finite: the weights themselves, or scales and minima.
fn is_finite(kind: TensorType, bytes: &[u8]) -> bool {
    match kind {
        TensorType::Vector | TensorType::Matrix(WeightType::F32) => {
            present(f32s(bytes)).iter().all(|v| v.is_finite())
        }
        TensorType::Matrix(kind) => blocks_of(kind, bytes).all(|block| {
            let (halves, _) = part(block, kind.quant_bytes()..).as_chunks();
            // An exponent of all ones is infinity or NaN.
            halves.iter().all(|&h| u16::from_le_bytes(h) & 0x7C00 != 0x7C00)
        }),
    }
}
