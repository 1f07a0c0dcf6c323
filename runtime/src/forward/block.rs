//! One layer: attention and the feed-forward part, each added to the residual stream.

use crate::cache::{CacheClass, CacheIndex, Caches};
use crate::format::{QkNorm, Residual};
use crate::forward::attention::{AttentionLayer, Projected};
use crate::forward::diff_attention::diff_attention;
use crate::forward::ffn::{add_ffn_down, ffn, ffn_hidden, hidden_task};
use crate::forward::input::Rows;
use crate::forward::moe::moe;
use crate::forward::norms::{clip_qkv, qk_norm};
use crate::forward::residual::add_part;
use crate::forward::workspace::{ForwardContext, Workspace};
use crate::kernels::{Job, Task, matmul};
use crate::model::Layer;

/// Takes the residual stream `x` through the next layer of the model:
///
/// ```text
/// q, k, v = W · norm(x)       clipped, normalized and rotated, where the model does so
/// x = x + o · attention(q, k, v)
/// x = x + down · (activation(gate · norm(x)) · (up · norm(x)))      or of experts
/// ```
///
/// Where the two parts are parallel (arXiv 2204.02311), both read the same x.
pub(crate) fn block(
    ctx: &ForwardContext<'_>,
    layer: &Layer<'_>,
    index: &mut CacheIndex,
    caches: &mut Caches<'_>,
    workspace: &mut Workspace<'_>,
) {
    let config = ctx.model.config();
    project_qkv(ctx, layer, workspace);
    if config.residual == Residual::ParallelTwoNorms {
        ffn_hidden(ctx, layer, workspace);
    }
    if config.qk_norm != QkNorm::None {
        qk_norm(ctx, layer, workspace);
    }
    if let Some(limit) = config.qkv_limit {
        clip_qkv(ctx, limit, workspace);
    }
    attention(ctx, index, layer, caches, workspace);
    if config.differential {
        diff_attention(ctx, layer, workspace);
    }
    add_attention(ctx, layer, workspace);
    match config.residual {
        Residual::Sequential if layer.sparse => moe(ctx, layer, workspace),
        Residual::Sequential => ffn(ctx, layer, workspace),
        Residual::Parallel | Residual::ParallelTwoNorms => add_ffn_down(ctx, layer, workspace),
    }
}

/// `q, k, v = W · norm(x)`; where the feed-forward part reads the same norm, `ffn_hidden` too,
/// so that threads meet once for all four.
fn project_qkv(ctx: &ForwardContext<'_>, layer: &Layer<'_>, workspace: &mut Workspace<'_>) {
    let Workspace { shape, x, q, k, v, ffn_hidden, input, .. } = workspace;
    let config = ctx.model.config();
    let x = Rows { n: ctx.span.tokens, data: x, cols: config.dim, stride: shape.dim };
    let matrices = [&layer.q, &layer.k, &layer.v, &layer.gate, &layer.up];
    let input = if config.norms.before() {
        input.norm(ctx.machine, config, layer.attn_norm, x, matrices)
    } else {
        input.rows(ctx.machine, x, matrices)
    };
    let hidden = hidden_task(config, layer.gate, layer.up);
    let mut jobs = [
        Job { input, task: Task::Store(layer.q), out: q, stride: shape.q },
        Job { input, task: Task::Store(layer.k), out: k, stride: shape.kv },
        Job { input, task: Task::Store(layer.v), out: v, stride: shape.kv },
        Job { input, task: hidden, out: ffn_hidden, stride: shape.ffn },
    ];
    let jobs = match (config.residual, &mut jobs) {
        (Residual::Parallel, all) => all.as_mut_slice(),
        (_, [attention @ .., _]) => attention,
    };
    matmul(ctx.machine, jobs);
}

/// Writes keys and values into the cache, and to `attended` the values that queries find there.
fn attention(
    ctx: &ForwardContext<'_>,
    index: &mut CacheIndex,
    layer: &Layer<'_>,
    caches: &mut Caches<'_>,
    workspace: &mut Workspace<'_>,
) {
    let Workspace { shape, q, k, v, attended, attention, .. } = workspace;
    let config = ctx.model.config();
    let class = CacheClass::new(layer.local, layer.key_outliers, ctx.kv);
    let cache = caches.get_mut(class);
    let at = AttentionLayer {
        ring: if layer.local { &ctx.rings.local } else { &ctx.rings.whole },
        layer: index.next(class),
        span: ctx.span,
        rope: !layer.no_rope,
        local_rope: layer.local && config.local_rope,
        soft_cap: config.score_cap,
        alibi_slopes: ctx.model.slopes(),
        sink_logits: layer.sink_logits,
    };
    let projected = Projected { q, k, v, q_stride: shape.q, kv_stride: shape.kv };
    attention.prepare(ctx.machine, cache, at, config.score_scale, projected);
    attention.attend(ctx.machine, cache, at, attended);
}

/// `x = x + o · attended`; differential attention has left its result where the queries were.
fn add_attention(ctx: &ForwardContext<'_>, layer: &Layer<'_>, workspace: &mut Workspace<'_>) {
    let Workspace { shape, x, residual_tmp, q, attended, input, .. } = workspace;
    let config = ctx.model.config();
    let cols = config.n_heads * config.head_dim;
    let (data, stride) = if config.differential { (q, shape.q) } else { (attended, cols) };
    let attended = Rows { n: ctx.span.tokens, data, cols, stride };
    let input = input.rows(ctx.machine, attended, [&layer.o]);
    add_part(ctx, layer.o, layer.attn_after_norm, input, [x, residual_tmp], shape.dim);
}
