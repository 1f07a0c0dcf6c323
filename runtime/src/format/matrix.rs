//! A packed weight matrix, where it lies.

use super::layout::{LEVELS, WeightType, matrix_bytes};

/// A weight matrix in packed tiles: see [`layout`](crate::format::layout).
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'m> {
    kind: WeightType,
    rows: usize,
    cols: usize,
    bytes: &'m [u8],
}

impl<'m> Matrix<'m> {
    /// A matrix without rows.
    pub const EMPTY: Self = Self { kind: WeightType::F32, rows: 0, cols: 0, bytes: &[] };

    /// Takes `bytes` for `rows × cols` weights; `None` if there are not [`matrix_bytes`] of them.
    pub fn new(kind: WeightType, rows: usize, cols: usize, bytes: &'m [u8]) -> Option<Self> {
        (matrix_bytes(kind, rows, cols)? == bytes.len()).then_some(Self { kind, rows, cols, bytes })
    }

    /// The type of the weights.
    pub const fn kind(&self) -> WeightType {
        self.kind
    }

    /// Rows: outputs of the product.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Columns: inputs of the product.
    pub const fn cols(&self) -> usize {
        self.cols
    }

    /// The packed tiles.
    pub fn tiles(&self) -> &'m [u8] {
        self.bytes.get(self.kind.head_bytes()..).unwrap_or_default()
    }

    /// The levels of int4n; of another type, bytes that say nothing.
    pub fn levels(&self) -> &'m [u8; LEVELS] {
        self.bytes.first_chunk().unwrap_or(&[0; LEVELS])
    }
}

/// A linear layer: a matrix, and the bias that is added to its product.
#[derive(Clone, Copy, Debug)]
pub struct Linear<'m> {
    /// `(rows, cols)`
    pub weight: Matrix<'m>,
    /// `(rows)`
    pub bias: Option<&'m [f32]>,
}

impl Linear<'_> {
    pub(crate) const EMPTY: Self = Self { weight: Matrix::EMPTY, bias: None };
}
