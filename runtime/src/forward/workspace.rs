//! Buffers of the forward pass, each layer over again, and the context that all stages share.

use crate::base::arena::Source;
use crate::cache::Rings;
use crate::format::Config;
use crate::format::kv::KvType;
use crate::format::layout::TILE_ROWS;
use crate::forward::attention::{AttentionBuffers, AttentionShape, Span};
use crate::forward::input::InputBuffers;
use crate::forward::router::{Router, max_rows};
use crate::kernels::Machine;
use crate::model::Model;

/// The context of a forward pass: the machine, the model, and the tokens of the stream.
pub(crate) struct ForwardContext<'s> {
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
    /// Rows of the residual stream.
    pub(crate) dim: usize,
    /// Rows of queries.
    pub(crate) q: usize,
    /// Rows of keys, and of values.
    pub(crate) kv: usize,
    /// Rows of `ffn_hidden`, in any layer.
    pub(crate) ffn: usize,
}

/// Buffers of a layer, used by each one over again.
pub(crate) struct Workspace<'a> {
    pub(crate) shape: Strides,
    /// (chunk, dim): the residual stream
    pub(crate) x: &'a mut [f32],
    /// (rows, dim): a part that is normalized or weighed before it joins the stream; else empty
    pub(crate) residual_tmp: &'a mut [f32],
    /// (chunk, n_heads · head_dim); where attention is differential, its result as well
    pub(crate) q: &'a mut [f32],
    /// (chunk, n_kv_heads · head_dim)
    pub(crate) k: &'a mut [f32],
    /// (chunk, n_kv_heads · head_dim)
    pub(crate) v: &'a mut [f32],
    /// (chunk, n_heads · head_dim); where attention is differential, (chunk, 2, …)
    pub(crate) attended: &'a mut [f32],
    /// (rows, the widest ffn_dim): rows of a chunk, or of experts that run together
    pub(crate) ffn_hidden: &'a mut [f32],
    pub(crate) input: InputBuffers<'a>,
    pub(crate) attention: AttentionBuffers<'a>,
    /// Buffers of experts; empty in a model without.
    pub(crate) moe: MoeWorkspace<'a>,
}

/// Buffers of a layer with experts.
pub(crate) struct MoeWorkspace<'a> {
    pub(crate) router: Router<'a>,
    /// (chunk, dim): the weighed sum of the experts
    pub(crate) sum: &'a mut [f32],
    /// (rows): inputs of a group of experts, then of their down matrices
    pub(crate) input: InputBuffers<'a>,
}

impl<'a> Workspace<'a> {
    /// Takes the buffers for chunks as `attention` says, and logits of up to `logit_rows` tokens;
    /// `None` if they are more than the source has, or than can be counted.
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
        let rows = if config.n_experts > 0 { max_rows(config, chunk) } else { chunk };
        Some(Self {
            shape,
            x: source.take(chunk.checked_mul(shape.dim))?,
            residual_tmp: source.take(if after { rows.checked_mul(shape.dim) } else { Some(0) })?,
            q: source.take(chunk.checked_mul(shape.q))?,
            k: source.take(chunk.checked_mul(shape.kv))?,
            v: source.take(chunk.checked_mul(shape.kv))?,
            attended: source.take(chunk.checked_mul(q_cols.checked_mul(values)?))?,
            ffn_hidden: source.take(rows.checked_mul(shape.ffn))?,
            input: InputBuffers::carve(source, chunk.max(logit_rows), config.dim, widest)?,
            attention: AttentionBuffers::carve(source, attention)?,
            moe: MoeWorkspace::carve(source, config, chunk, shape.dim)?,
        })
    }
}

/// The width of `ffn_hidden` in the layer where it is widest.
fn widest_ffn(model: &Model<'_>) -> usize {
    let config = model.config();
    let dense = (0..config.n_layers).any(|i| !model.is_sparse(i));
    let ffn_dim = if dense { config.ffn_dim } else { 0 };
    ffn_dim.max(config.expert_ffn_dim).max(config.shared_ffn_dim)
}

impl<'a> MoeWorkspace<'a> {
    fn carve(
        source: &mut impl Source<'a>,
        config: &Config,
        chunk: usize,
        stride: usize,
    ) -> Option<Self> {
        let any = config.n_experts > 0;
        let (chunk, rows) = if any { (chunk, max_rows(config, chunk)) } else { (0, 0) };
        let widest = config.dim.max(config.expert_ffn_dim).max(config.shared_ffn_dim);
        Some(Self {
            router: Router::carve(source, config, chunk)?,
            sum: source.take(chunk.checked_mul(stride))?,
            input: InputBuffers::carve(source, rows, config.dim, widest)?,
        })
    }
}
