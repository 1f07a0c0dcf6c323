//! Types of tensors: packed matrices and plain vectors.

use super::constants::ALIGN;
use super::layout::{WeightType, matrix_bytes};

/// The type of a tensor: the form of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TensorType {
    /// Packed tiles: see [`layout`](crate::format::layout).
    Matrix(WeightType),
    /// Floats of 32 bits, one after another.
    Vector,
}

impl TensorType {
    const VECTOR: u32 = 16;

    /// The type with this code in the file.
    pub const fn from_code(code: u32) -> Option<Self> {
        match WeightType::from_code(code) {
            Some(kind) => Some(Self::Matrix(kind)),
            None if code == Self::VECTOR => Some(Self::Vector),
            None => None,
        }
    }

    /// The code in the file.
    pub const fn code(self) -> u32 {
        match self {
            Self::Matrix(kind) => kind as u32,
            Self::Vector => Self::VECTOR,
        }
    }

    /// The name in listings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Matrix(kind) => kind.name(),
            Self::Vector => "f32",
        }
    }

    /// Bytes of a tensor of this type and shape; `None` if that overflows.
    pub const fn bytes(self, rows: usize, cols: usize) -> Option<usize> {
        match self {
            Self::Matrix(kind) => matrix_bytes(kind, rows, cols),
            Self::Vector => match rows.checked_mul(cols) {
                Some(n) => n.checked_mul(4),
                None => None,
            },
        }
    }

    /// Bytes from one tensor of a stack to the next; `None` if that overflows.
    pub const fn stride(self, rows: usize, cols: usize) -> Option<usize> {
        match self.bytes(rows, cols) {
            Some(bytes) => bytes.checked_next_multiple_of(ALIGN),
            None => None,
        }
    }

    /// Bytes of a stack of `n`, without padding after the last; `None` if that overflows or `n` is
    /// 0.
    pub fn stack_bytes(self, rows: usize, cols: usize, n: usize) -> Option<usize> {
        let before = self.stride(rows, cols)?.checked_mul(n.checked_sub(1)?)?;
        before.checked_add(self.bytes(rows, cols)?)
    }
}
