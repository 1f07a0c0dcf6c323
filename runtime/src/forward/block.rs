//! One layer: attention and the feed-forward part, each added to the residual stream.

use crate::cache::{CacheClass, CacheIndex, Caches};
use crate::format::{QkNorm, Residual};
use crate::forward::attention::{Place, Projected};
use crate::forward::diff_attention::difference;
use crate::forward::ffn::{down, inner, inner_task, mlp};
use crate::forward::input::Rows;
use crate::forward::moe::mixture;
use crate::forward::qk_norm::{limit, qk_norm};
use crate::forward::residual::add_part;
use crate::forward::workspace::{Buffers, Step};
use crate::kernels::{Job, Task, matmul};
use crate::model::Layer;

/// Takes the residual stream through a layer, the next in the model.
pub(crate) fn block(
    step: &Step<'_>,
    layer: &Layer<'_>,
    index: &mut CacheIndex,
    caches: &mut Caches<'_>,
    work: &mut Buffers<'_>,
) {
    let config = step.model.config();
    project(step, layer, work);
    if config.residual == Residual::ParallelTwoNorms {
        inner(step, layer, work);
    }
    if config.qk_norm != QkNorm::None {
        qk_norm(step, layer, work);
    }
    if let Some(most) = config.qkv_limit {
        limit(step, most, work);
    }
    attend(step, index, layer, caches, work);
    if config.differential {
        difference(step, layer, work);
    }
    let Buffers { shape, x, branch, q, attended, input, .. } = work;
    let cols = config.n_heads * config.head_dim;
    let (data, stride) = if config.differential { (q, shape.q) } else { (attended, cols) };
    let attended = Rows { n: step.span.tokens, data, cols, stride };
    let input = input.rows(step.machine, attended, [&layer.o]);
    add_part(step, layer.o, layer.attn_after_norm, input, [x, branch], shape.dim);
    match config.residual {
        Residual::Sequential if layer.sparse => mixture(step, layer, work),
        Residual::Sequential => mlp(step, layer, work),
        Residual::Parallel | Residual::ParallelTwoNorms => down(step, layer, work),
    }
}

/// `q, k, v = W · norm(x)`; where the feed-forward part is of the same norm, its first half too.
fn project(step: &Step<'_>, layer: &Layer<'_>, work: &mut Buffers<'_>) {
    let Buffers { shape, x, q, k, v, inner, input, .. } = work;
    let config = step.model.config();
    let x = Rows { n: step.span.tokens, data: x, cols: config.dim, stride: shape.dim };
    let matrices = [&layer.q, &layer.k, &layer.v, &layer.gate, &layer.up];
    let input = if config.norms.before() {
        input.norm(step.machine, config, layer.attn_norm, x, matrices)
    } else {
        input.rows(step.machine, x, matrices)
    };
    let feed_forward = inner_task(config, layer.gate, layer.up);
    let mut jobs = [
        Job { input, task: Task::Store(layer.q), out: q, stride: shape.q },
        Job { input, task: Task::Store(layer.k), out: k, stride: shape.kv },
        Job { input, task: Task::Store(layer.v), out: v, stride: shape.kv },
        Job { input, task: feed_forward, out: inner, stride: shape.ffn },
    ];
    let jobs = match (config.residual, &mut jobs) {
        (Residual::Parallel, all) => all.as_mut_slice(),
        (_, [attention @ .., _]) => attention,
    };
    matmul(step.machine, jobs);
}

/// Keys and values into the cache; what the queries find there into `attended`.
fn attend(
    step: &Step<'_>,
    index: &mut CacheIndex,
    layer: &Layer<'_>,
    caches: &mut Caches<'_>,
    work: &mut Buffers<'_>,
) {
    let Buffers { shape, q, k, v, attended, attention, .. } = work;
    let config = step.model.config();
    let class = CacheClass::new(layer.local, layer.key_outliers, step.kv);
    let cache = caches.of(class);
    let at = Place {
        ring: if layer.local { &step.rings.local } else { &step.rings.whole },
        layer: index.next(class),
        span: step.span,
        rotated: !layer.no_rope,
        local_rope: layer.local && config.local_rope,
        cap: config.score_cap,
        slopes: step.model.slopes(),
        sink_logits: layer.sink_logits,
    };
    let projected = Projected { q, k, v, q_stride: shape.q, kv_stride: shape.kv };
    attention.prepare(step.machine, cache, at, config.score_scale, projected);
    attention.attend(step.machine, cache, at, attended);
}
