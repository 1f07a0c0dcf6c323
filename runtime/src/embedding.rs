//! Tokens → the residual stream.

use crate::kernels::{Isa, embedding_row, scale};
use crate::matrix::Matrix;

/// Writes the rows of `tokens`, each in the vocabulary, to `x`: (tokens, dim), rows a
/// stride apart and times `factor`.
pub(crate) fn embed(
    isa: Isa,
    embedding: &Matrix<'_>,
    factor: f32,
    tokens: &[u32],
    x: &mut [f32],
    stride: usize,
) {
    for (token, row) in tokens.iter().zip(x.chunks_exact_mut(stride.max(1))) {
        if let Some(row) = row.get_mut(..embedding.cols()) {
            embedding_row(embedding, *token as usize, row);
            if factor != 1.0 {
                scale(isa, row, factor);
            }
        }
    }
}
