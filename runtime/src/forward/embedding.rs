//! Tokens → the residual stream.

use crate::base::checked::nonzero;
use crate::format::Norm;
use crate::kernels::{Isa, add_embedding_row, embedding_row, layer_norm_in, norm_heads, scale};
use crate::model::Model;

/// Writes the embeddings of `tokens`, each in the vocabulary, to `x`: (tokens, dim), rows a
/// stride apart. The first token is at `position`.
pub(crate) fn embed(
    isa: Isa,
    model: &Model<'_>,
    position: u64,
    tokens: &[u32],
    x: &mut [f32],
    stride: usize,
) {
    let (config, embedding) = (model.config(), model.embedding());
    let (positions, norm) = (model.positions(), model.embedding_norm());
    for ((i, token), row) in (0..).zip(tokens).zip(x.chunks_exact_mut(nonzero(stride))) {
        let at = position.wrapping_add(i);
        let Some(row) = row.get_mut(..embedding.cols()) else { return };
        embedding_row(&embedding, *token as usize, row);
        if config.embedding_scale.0 != 1.0 {
            scale(isa, row, config.embedding_scale.0);
        }
        if let Some(positions) = positions.filter(|positions| at < positions.rows() as u64) {
            add_embedding_row(&positions, at as usize, row);
        }
        if let Some(norm) = norm {
            match config.norm {
                Norm::Rms => norm_heads(isa, row, norm.gain, config.norm_eps),
                Norm::Layer => layer_norm_in(isa, row, norm.gain, norm.bias, config.norm_eps),
            }
        }
    }
}
