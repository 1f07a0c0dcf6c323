//! Single rows of a packed matrix, for the embedding of a token.
#![allow(clippy::indexing_slicing)]

use crate::base::math::f16_to_f32;
use crate::format::layout::{
    BLOCK_COLS, INT4_ZERO, TILE_ROWS, WeightType, blocks, f32_offset, int8_offset, nibble_offset,
    sign_offset,
};
use crate::format::matrix::Matrix;

/// Writes row `row` of the matrix to `out` `(cols)`.
///
/// One row a token: plain Rust on every ISA. A nibble times its f16 scale is exact in
/// f32, so that adding the minimum is the only rounding.
///
/// # Panics
/// If there is no such row, or `out` has another length.
pub fn embedding_row(matrix: &Matrix<'_>, row: usize, out: &mut [f32]) {
    each(matrix, row, out, |out, v| *out = v);
}

/// Adds row `row` of the matrix to `out` `(cols)`.
///
/// # Panics
/// As [`embedding_row`].
pub fn add_embedding_row(matrix: &Matrix<'_>, row: usize, out: &mut [f32]) {
    each(matrix, row, out, |out, v| *out += v);
}

fn each(matrix: &Matrix<'_>, row: usize, out: &mut [f32], put: impl Fn(&mut f32, f32)) {
    assert!(row < matrix.rows() && out.len() == matrix.cols());
    let (kind, lane) = (matrix.kind(), row % TILE_ROWS);
    let tile_bytes = blocks(matrix.cols()) * kind.block_bytes();
    let tile = &matrix.tiles()[row / TILE_ROWS * tile_bytes..][..tile_bytes];
    for (block, out) in tile.chunks_exact(kind.block_bytes()).zip(out.chunks_mut(BLOCK_COLS)) {
        for (col, out) in out.iter_mut().enumerate() {
            put(out, value(matrix, block, lane, col));
        }
    }
}

/// The value in row `lane` and column `col` of a block.
fn value(matrix: &Matrix<'_>, block: &[u8], lane: usize, col: usize) -> f32 {
    let kind = matrix.kind();
    let half = |at: usize| {
        let at = at + 2 * lane;
        f16_to_f32(u16::from_le_bytes([block[at], block[at + 1]]))
    };
    let scale = || half(kind.quant_bytes());
    let nibble = || {
        let (at, shift) = nibble_offset(lane, col);
        block[at] >> shift & 15
    };
    match kind {
        WeightType::F32 => {
            let at = f32_offset(lane, col);
            f32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
        }
        WeightType::Int8 => f32::from(block[int8_offset(lane, col)].cast_signed()) * scale(),
        WeightType::Int4 => (f32::from(nibble()) - f32::from(INT4_ZERO)) * scale(),
        WeightType::Int4a => f32::from(nibble()) * scale() + half(kind.minimum_offset()),
        WeightType::Int4n => {
            f32::from(matrix.levels()[usize::from(nibble())].cast_signed()) * scale()
        }
        WeightType::Int5 => {
            let (at, bit) = sign_offset(lane, col);
            (f32::from(nibble()) - 16.0 * f32::from(block[at] >> bit & 1)) * scale()
        }
    }
}
