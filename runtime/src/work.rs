//! What a layer works on and in, shared by its two halves.

use crate::arena::Source;
use crate::attention::{AttentionBuffers, AttentionShape, Span};
use crate::input::InputBuffers;
use crate::kernels::Machine;
use crate::layout::TILE_ROWS;
use crate::model::Model;
use crate::ring::Rings;

/// What goes through the layers: which tokens of the stream, on which machine.
pub(crate) struct Step<'s> {
    pub(crate) machine: &'s Machine<'s>,
    pub(crate) model: &'s Model<'s>,
    pub(crate) rings: &'s Rings,
    pub(crate) span: Span,
}

/// Elements from one token's row to the next: matrices write whole tiles.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strides {
    /// Of the residual stream.
    pub(crate) dim: usize,
    pub(crate) q: usize,
    /// Of keys and of values.
    pub(crate) kv: usize,
    pub(crate) ffn: usize,
}

/// What the layers work in, each layer over again.
pub(crate) struct Buffers<'a> {
    pub(crate) shape: Strides,
    /// (chunk, dim): the residual stream
    pub(crate) x: &'a mut [f32],
    /// (chunk, dim): what is normalised before it joins the stream; else empty
    pub(crate) branch: &'a mut [f32],
    /// (chunk, n_heads · head_dim); where attention is differential, its result as well
    pub(crate) q: &'a mut [f32],
    /// (chunk, n_kv_heads · head_dim)
    pub(crate) k: &'a mut [f32],
    /// (chunk, n_kv_heads · head_dim)
    pub(crate) v: &'a mut [f32],
    /// (chunk, n_heads · head_dim); where attention is differential, (chunk, 2, …)
    pub(crate) attended: &'a mut [f32],
    /// (chunk, ffn_dim)
    pub(crate) inner: &'a mut [f32],
    pub(crate) input: InputBuffers<'a>,
    pub(crate) attention: AttentionBuffers<'a>,
}

impl<'a> Buffers<'a> {
    /// For chunks as `attention` says, and logits of up to `logit_rows` tokens.
    pub(crate) fn carve(
        source: &mut impl Source<'a>,
        model: &Model<'_>,
        attention: AttentionShape,
        logit_rows: usize,
    ) -> Option<Self> {
        let (config, chunk) = (model.config(), attention.chunk);
        let stride = |cols: usize| cols.checked_next_multiple_of(TILE_ROWS);
        let q_cols = config.n_heads.checked_mul(config.head_dim)?;
        let kv_cols = config.n_kv_heads.checked_mul(config.head_dim)?;
        let shape = Strides {
            dim: stride(config.dim)?,
            q: stride(q_cols)?,
            kv: stride(kv_cols)?,
            ffn: stride(config.ffn_dim)?,
        };
        let values = if config.differential { 2 } else { 1 };
        let widest = config.dim.max(q_cols).max(config.ffn_dim);
        Some(Self {
            shape,
            x: source.take(chunk.checked_mul(shape.dim))?,
            branch: source.take(if config.norms.after() {
                chunk.checked_mul(shape.dim)
            } else {
                Some(0)
            })?,
            q: source.take(chunk.checked_mul(shape.q))?,
            k: source.take(chunk.checked_mul(shape.kv))?,
            v: source.take(chunk.checked_mul(shape.kv))?,
            attended: source.take(chunk.checked_mul(q_cols.checked_mul(values)?))?,
            inner: source.take(chunk.checked_mul(shape.ffn))?,
            input: InputBuffers::carve(source, chunk.max(logit_rows), config.dim, widest)?,
            attention: AttentionBuffers::carve(source, attention)?,
        })
    }
}
