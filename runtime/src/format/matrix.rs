//! A packed weight matrix, where it lies.

use super::layout::{WeightType, matrix_bytes};

/// A weight matrix in packed tiles: see [`layout`](crate::format::layout).
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'m> {
    kind: WeightType,
    rows: usize,
    cols: usize,
    tiles: &'m [u8],
}

impl<'m> Matrix<'m> {
    /// A matrix without rows.
    pub const EMPTY: Self = Self { kind: WeightType::F32, rows: 0, cols: 0, tiles: &[] };

    /// Takes `tiles` for `rows × cols` weights; `None` if the tiles have another length.
    pub fn new(kind: WeightType, rows: usize, cols: usize, tiles: &'m [u8]) -> Option<Self> {
        (matrix_bytes(kind, rows, cols)? == tiles.len()).then_some(Self { kind, rows, cols, tiles })
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

    /// The packed tiles: [`matrix_bytes`] of them.
    pub const fn tiles(&self) -> &'m [u8] {
        self.tiles
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
