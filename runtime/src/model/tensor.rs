//! One tensor of a model.

use crate::crc::crc32;
use crate::format::{Entry, Extent, Role, TensorType, f32s};
use crate::layout::WeightType;
use crate::matrix::Matrix;

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
            layer: usize::try_from(entry.layer).ok().filter(|_| entry.layer != crate::format::NONE),
            kind: entry.kind,
            rows: entry.rows as usize,
            cols: entry.cols as usize,
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
        let TensorType::Matrix(kind) = self.kind else { return Matrix::EMPTY };
        Matrix::new(kind, self.rows, self.cols, self.bytes).unwrap_or(Matrix::EMPTY)
    }

    pub(super) fn vector(&self) -> &'m [f32] {
        f32s(self.bytes).unwrap_or_default()
    }

    /// Checks the bytes up to `next`, where the next tensor starts.
    pub(super) fn verify(&self, file: &[u8], next: u64) -> Result<(), VerifyError> {
        let padded = Extent { len: next.saturating_sub(self.extent.offset), ..self.extent };
        if padded.of(file).map(crc32) != Some(self.crc) {
            return Err(VerifyError::Checksum);
        }
        if self.is_finite() { Ok(()) } else { Err(VerifyError::NotFinite) }
    }

    /// Whether all floats are finite: the weights themselves, or scales and minima.
    fn is_finite(&self) -> bool {
        match self.kind {
            TensorType::Vector | TensorType::Matrix(WeightType::F32) => {
                self.vector().iter().all(|v| v.is_finite())
            }
            TensorType::Matrix(kind) => self.bytes.chunks_exact(kind.block_bytes()).all(|block| {
                let (halves, _) = block.get(kind.quant_bytes()..).unwrap_or_default().as_chunks();
                // An exponent of all ones is infinity or NaN.
                halves.iter().all(|&h| u16::from_le_bytes(h) & 0x7C00 != 0x7C00)
            }),
        }
    }
}
