//! One layer: attention, then the feed-forward part, each added to the residual stream.

use crate::arena::Source;
use crate::attention::{AttentionBuffers, AttentionShape, Place, Projected, Span};
use crate::cache::Cache;
use crate::input::{InputBuffers, Rows};
use crate::kernels::Machine;
use crate::kernels::{Job, Task, matmul};
use crate::layout::TILE_ROWS;
use crate::mlp::mlp;
use crate::model::{Layer, Model};
use crate::ring::Ring;

/// What goes through the layers: which tokens of the stream, on which machine.
pub(crate) struct Step<'s> {
    pub(crate) machine: &'s Machine<'s>,
    pub(crate) model: &'s Model<'s>,
    pub(crate) ring: &'s Ring,
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
    /// (chunk, n_heads · head_dim)
    q: &'a mut [f32],
    /// (chunk, n_kv_heads · head_dim)
    k: &'a mut [f32],
    /// (chunk, n_kv_heads · head_dim)
    v: &'a mut [f32],
    /// (chunk, n_heads · head_dim)
    attended: &'a mut [f32],
    /// (chunk, ffn_dim)
    pub(crate) gated: &'a mut [f32],
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
        let widest = config.dim.max(q_cols).max(config.ffn_dim);
        Some(Self {
            shape,
            x: source.take(chunk.checked_mul(shape.dim))?,
            q: source.take(chunk.checked_mul(shape.q))?,
            k: source.take(chunk.checked_mul(shape.kv))?,
            v: source.take(chunk.checked_mul(shape.kv))?,
            attended: source.take(chunk.checked_mul(q_cols))?,
            gated: source.take(chunk.checked_mul(shape.ffn))?,
            input: InputBuffers::carve(source, chunk.max(logit_rows), config.dim, widest)?,
            attention: AttentionBuffers::carve(source, attention)?,
        })
    }
}

/// Takes the residual stream through layer `i`.
pub(crate) fn block(step: &Step<'_>, i: usize, cache: &mut Cache<'_>, work: &mut Buffers<'_>) {
    let layer = step.model.layer(i);
    project(step, &layer, work);
    attend(step, i, cache, work);
    let Buffers { shape, x, attended, input, .. } = work;
    let config = step.model.config();
    let cols = config.n_heads * config.head_dim;
    let attended = Rows { n: step.span.tokens, data: attended, cols, stride: cols };
    let input = input.rows(step.machine, attended, [&layer.o]);
    matmul(
        step.machine,
        &input,
        &mut [Job { task: Task::Add(layer.o), out: x, stride: shape.dim }],
    );
    mlp(step, &layer, work);
}

/// `q, k, v = W · norm(x)`
fn project(step: &Step<'_>, layer: &Layer<'_>, work: &mut Buffers<'_>) {
    let Buffers { shape, x, q, k, v, input, .. } = work;
    let config = step.model.config();
    let x = Rows { n: step.span.tokens, data: x, cols: config.dim, stride: shape.dim };
    let matrices = [&layer.q, &layer.k, &layer.v];
    let input = input.norm(step.machine, config, layer.attn_norm, x, matrices);
    let mut jobs = [
        Job { task: Task::Store(layer.q), out: q, stride: shape.q },
        Job { task: Task::Store(layer.k), out: k, stride: shape.kv },
        Job { task: Task::Store(layer.v), out: v, stride: shape.kv },
    ];
    matmul(step.machine, &input, &mut jobs);
}

/// Keys and values into the cache; what the queries find there into `attended`.
fn attend(step: &Step<'_>, layer: usize, cache: &mut Cache<'_>, work: &mut Buffers<'_>) {
    let Buffers { shape, q, k, v, attended, attention, .. } = work;
    let at = Place { ring: step.ring, layer, span: step.span };
    let projected = Projected { q, k, v, q_stride: shape.q, kv_stride: shape.kv };
    attention.prepare(step.machine, cache, at, step.model.config().score_scale, projected);
    attention.attend(step.machine, cache, at, attended);
}
