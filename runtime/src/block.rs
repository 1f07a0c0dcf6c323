//! One layer: attention and the feed-forward part, each added to the residual stream.

use crate::attention::{Place, Projected};
use crate::cache::Cache;
use crate::input::Rows;
use crate::kernels::{Job, Task, matmul};
use crate::mlp::{down, gated_job, mlp};
use crate::model::{Layer, Norms, QkNorm, Residual};
use crate::qk_norm::qk_norm;
use crate::residual::add_part;
use crate::work::{Buffers, Step};

/// Takes the residual stream through layer `i`.
pub(crate) fn block(step: &Step<'_>, i: usize, cache: &mut Cache<'_>, work: &mut Buffers<'_>) {
    let layer = step.model.layer(i);
    let config = step.model.config();
    project(step, &layer, work);
    if config.qk_norm != QkNorm::None {
        qk_norm(step, &layer, work);
    }
    attend(step, i, &layer, cache, work);
    let Buffers { shape, x, branch, attended, input, .. } = work;
    let cols = config.n_heads * config.head_dim;
    let attended = Rows { n: step.span.tokens, data: attended, cols, stride: cols };
    let input = input.rows(step.machine, attended, [&layer.o]);
    add_part(step, layer.o, layer.attn_after_norm, &input, [x, branch], shape.dim);
    match config.residual {
        Residual::Sequential => mlp(step, &layer, work),
        Residual::Parallel => down(step, &layer, work),
    }
}

/// `q, k, v = W · norm(x)`; where the feed-forward part is of the same norm, its gated half
/// too.
fn project(step: &Step<'_>, layer: &Layer<'_>, work: &mut Buffers<'_>) {
    let Buffers { shape, x, q, k, v, gated, input, .. } = work;
    let config = step.model.config();
    let x = Rows { n: step.span.tokens, data: x, cols: config.dim, stride: shape.dim };
    let matrices = [&layer.q, &layer.k, &layer.v, &layer.gate, &layer.up];
    let input = match config.norms {
        Norms::Before => input.norm(step.machine, config, layer.attn_norm, x, matrices),
        Norms::After => input.rows(step.machine, x, matrices),
    };
    let mut jobs = [
        Job { task: Task::Store(layer.q), out: q, stride: shape.q },
        Job { task: Task::Store(layer.k), out: k, stride: shape.kv },
        Job { task: Task::Store(layer.v), out: v, stride: shape.kv },
        gated_job(config, layer, gated, shape.ffn),
    ];
    let jobs = match (config.residual, &mut jobs) {
        (Residual::Sequential, [attention @ .., _]) => attention,
        (Residual::Parallel, all) => all.as_mut_slice(),
    };
    matmul(step.machine, &input, jobs);
}

/// Keys and values into the cache; what the queries find there into `attended`.
fn attend(
    step: &Step<'_>,
    number: usize,
    layer: &Layer<'_>,
    cache: &mut Cache<'_>,
    work: &mut Buffers<'_>,
) {
    let Buffers { shape, q, k, v, attended, attention, .. } = work;
    let at = Place { ring: step.ring, layer: number, span: step.span, rotated: !layer.no_rope };
    let projected = Projected { q, k, v, q_stride: shape.q, kv_stride: shape.kv };
    attention.prepare(step.machine, cache, at, step.model.config().score_scale, projected);
    attention.attend(step.machine, cache, at, attended);
}
