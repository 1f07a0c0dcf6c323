//! Bounds of queries, keys and values before they are rotated: a norm (arXiv 2302.05442,
//! section 2) or a limit, so that no score grows without one.

use crate::base::disjoint::MatrixMut;
use crate::forward::input::{run, share};
use crate::forward::workspace::{ForwardContext, Workspace};
use crate::kernels::{clamp, norm_heads};
use crate::model::Layer;

/// Clips queries, keys and values to ±`limit`.
pub(crate) fn clip_qkv(ctx: &ForwardContext<'_>, limit: f32, workspace: &mut Workspace<'_>) {
    let Workspace { shape, q, k, v, .. } = workspace;
    let (n, isa) = (ctx.span.tokens, ctx.machine.isa);
    let each = share(ctx.machine, n);
    let q = MatrixMut::new(q, n, shape.q).strips(each);
    let k = MatrixMut::new(k, n, shape.kv).strips(each);
    let v = MatrixMut::new(v, n, shape.kv).strips(each);
    run(ctx.machine, [n, shape.q], q.zip(k).zip(v), |((mut q, mut k), mut v)| {
        for token in 0..q.rows() {
            clamp(isa, q.row(token), limit);
            clamp(isa, k.row(token), limit);
            clamp(isa, v.row(token), limit);
        }
    });
}

/// Normalizes queries and keys in place, over as many elements as their gains have.
pub(crate) fn qk_norm(ctx: &ForwardContext<'_>, layer: &Layer<'_>, workspace: &mut Workspace<'_>) {
    let Workspace { shape, q, k, .. } = workspace;
    let (config, n, isa) = (ctx.model.config(), ctx.span.tokens, ctx.machine.isa);
    let (q_cols, kv_cols) = (config.n_heads * config.head_dim, config.n_kv_heads * config.head_dim);
    let each = share(ctx.machine, n);
    let q = MatrixMut::new(q, n, shape.q).split_cols(q_cols).0.strips(each);
    let k = MatrixMut::new(k, n, shape.kv).split_cols(kv_cols).0.strips(each);
    run(ctx.machine, [n, q_cols], q.zip(k), |(mut q, mut k)| {
        for token in 0..q.rows() {
            norm_heads(isa, q.row(token), layer.q_norm, config.norm_eps);
            norm_heads(isa, k.row(token), layer.k_norm, config.norm_eps);
        }
    });
}
