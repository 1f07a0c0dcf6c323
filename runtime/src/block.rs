//! One layer: attention, then the feed-forward part, each added to the residual stream.

use crate::attention::{Place, Projected};
use crate::cache::Cache;
use crate::input::Rows;
use crate::kernels::{Job, Task, matmul};
use crate::mlp::mlp;
use crate::model::Layer;
use crate::work::{Buffers, Step};

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
