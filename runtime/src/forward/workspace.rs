//! What a layer works on and in, shared by its two halves.

use crate::base::arena::Source;
use crate::cache::Rings;
use crate::format::Config;
use crate::format::kv::KvType;
use crate::format::layout::TILE_ROWS;
use crate::forward::attention::{AttentionBuffers, AttentionShape, Span};
use crate::forward::input::InputBuffers;
use crate::forward::router::{Choice, most_rows};
use crate::kernels::Machine;
use crate::model::Model;

/// What goes through the layers: which tokens of the stream, on which machine.
pub(crate) struct Step<'s> {
    pub(crate) machine: &'s Machine<'s>,
    pub(crate) model: &'s Model<'s>,
    pub(crate) rings: &'s Rings,
    pub(crate) span: Span,
    /// Type of the session's cache, where a layer does not ask for more.
    pub(crate) kv: KvType,
}

/// Elements from one token's row to the next: matrices write whole tiles.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strides {
    /// Of the residual stream.
    pub(crate) dim: usize,
    pub(crate) q: usize,
    /// Of keys and of values.
    pub(crate) kv: usize,
    /// Of what lies between the matrices of a feed-forward part, of any layer.
    pub(crate) ffn: usize,
}

/// What the layers work in, each layer over again.
pub(crate) struct Buffers<'a> {
    pub(crate) shape: Strides,
    /// (chunk, dim): the residual stream
    pub(crate) x: &'a mut [f32],
    /// (rows, dim): what is normalised or weighed before it joins the stream; else empty
    pub(crate) branch: &'a mut [f32],
    /// (chunk, n_heads · head_dim); where attention is differential, its result as well
    pub(crate) q: &'a mut [f32],
    /// (chunk, n_kv_heads · head_dim)
    pub(crate) k: &'a mut [f32],
    /// (chunk, n_kv_heads · head_dim)
    pub(crate) v: &'a mut [f32],
    /// (chunk, n_heads · head_dim); where attention is differential, (chunk, 2, …)
    pub(crate) attended: &'a mut [f32],
    /// (rows, the widest ffn_dim): rows of a chunk, or of experts that run together
    pub(crate) inner: &'a mut [f32],
    pub(crate) input: InputBuffers<'a>,
    pub(crate) attention: AttentionBuffers<'a>,
    /// In a model with experts; else empty.
    pub(crate) routed: Routed<'a>,
}

/// What a layer with experts works in.
pub(crate) struct Routed<'a> {
    pub(crate) choice: Choice<'a>,
    /// (chunk, dim): what experts give, summed up
    pub(crate) sum: &'a mut [f32],
    /// (rows): what experts read: tokens that go through them, then what their last matrices take.
    pub(crate) input: InputBuffers<'a>,
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
            ffn: stride(widest_ffn(model))?,
        };
        let values = if config.differential { 2 } else { 1 };
        let widest = config.dim.max(q_cols).max(widest_ffn(model));
        let after = config.norms.after() || config.n_experts > 0;
        let rows = if config.n_experts > 0 { most_rows(config, chunk) } else { chunk };
        Some(Self {
            shape,
            x: source.take(chunk.checked_mul(shape.dim))?,
            branch: source.take(if after { rows.checked_mul(shape.dim) } else { Some(0) })?,
            q: source.take(chunk.checked_mul(shape.q))?,
            k: source.take(chunk.checked_mul(shape.kv))?,
            v: source.take(chunk.checked_mul(shape.kv))?,
            attended: source.take(chunk.checked_mul(q_cols.checked_mul(values)?))?,
            inner: source.take(rows.checked_mul(shape.ffn))?,
            input: InputBuffers::carve(source, chunk.max(logit_rows), config.dim, widest)?,
            attention: AttentionBuffers::carve(source, attention)?,
            routed: Routed::carve(source, config, chunk, shape.dim)?,
        })
    }
}

/// What lies between the matrices of a feed-forward part, where that is most.
fn widest_ffn(model: &Model<'_>) -> usize {
    let config = model.config();
    let dense = (0..config.n_layers).any(|i| !model.is_sparse(i));
    let ffn_dim = if dense { config.ffn_dim } else { 0 };
    ffn_dim.max(config.expert_ffn_dim).max(config.shared_ffn_dim)
}

impl<'a> Routed<'a> {
    fn carve(
        source: &mut impl Source<'a>,
        config: &Config,
        chunk: usize,
        stride: usize,
    ) -> Option<Self> {
        let any = config.n_experts > 0;
        let (chunk, rows) = if any { (chunk, most_rows(config, chunk)) } else { (0, 0) };
        let widest = config.dim.max(config.expert_ffn_dim).max(config.shared_ffn_dim);
        Some(Self {
            choice: Choice::carve(source, config, chunk)?,
            sum: source.take(chunk.checked_mul(stride))?,
            input: InputBuffers::carve(source, rows, config.dim, widest)?,
        })
    }
}
