//! Differential attention (arXiv 2410.05258): both halves of the heads attend to the same noise,
//! so the second is subtracted from the first.

use crate::base::checked::nonzero;
use crate::base::disjoint::MatrixMut;
use crate::forward::input::{run, share};
use crate::forward::workspace::{ForwardContext, Workspace};
use crate::kernels::{norm_heads, sub_scaled};
use crate::model::Layer;

/// Subtracts λ times the second half of the heads from the first, and normalizes each head's
/// two values together.
///
/// Attention has left (tokens, 2 values, n_heads, head_dim); the result, (tokens, n_heads / 2,
/// 2 values, head_dim), goes where the queries were, which nobody needs any more.
pub(crate) fn diff_attention(
    ctx: &ForwardContext<'_>,
    layer: &Layer<'_>,
    workspace: &mut Workspace<'_>,
) {
    let Workspace { shape, q, attended, .. } = workspace;
    let (config, n, isa) = (ctx.model.config(), ctx.span.tokens, ctx.machine.isa);
    let (cols, head_dim) = (config.n_heads * config.head_dim, config.head_dim);
    let each = share(ctx.machine, n);
    let q = MatrixMut::new(q, n, shape.q).split_cols(cols).0.strips(each);
    let attended = MatrixMut::new(attended, n, 2 * cols).strips(each);
    run(ctx.machine, [n, 2 * cols], q.zip(attended), |(mut q, mut attended)| {
        // Said where it is needed, since a compiler does not look into what a closure takes along.
        let head_dim = nonzero(head_dim);
        for token in 0..q.rows() {
            let out = q.row(token);
            for (value, all) in attended.row(token).chunks_exact(nonzero(cols)).enumerate() {
                let (first, second) = all.split_at(all.len() / 2);
                let heads = first.chunks_exact(head_dim).zip(second.chunks_exact(head_dim));
                let outs = out.chunks_exact_mut(head_dim).skip(value).step_by(2);
                for ((a, b), out) in heads.zip(outs) {
                    sub_scaled(isa, a, b, layer.lambda, out);
                }
            }
            norm_heads(isa, out, layer.diff_norm, config.norm_eps);
        }
    });
}
