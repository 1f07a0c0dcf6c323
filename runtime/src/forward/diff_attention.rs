//! Differential attention (arXiv 2410.05258): what both halves of the heads attend to alike is
//! noise, and is taken off.

use crate::base::disjoint::Block;
use crate::forward::input::{run, share};
use crate::forward::workspace::{Buffers, Step};
use crate::kernels::{difference as less, norm_heads};
use crate::model::Layer;

/// Takes what the second half of the heads attends to, λ times, off what the first half does,
/// and normalises what is left, over both values of each head of the first half.
///
/// Attention has left (tokens, 2 values, n_heads, head_dim); the result, (tokens, n_heads / 2,
/// 2 values, head_dim), goes where the queries were, which nobody needs any more.
pub(crate) fn difference(step: &Step<'_>, layer: &Layer<'_>, work: &mut Buffers<'_>) {
    let Buffers { shape, q, attended, .. } = work;
    let (config, n, isa) = (step.model.config(), step.span.tokens, step.machine.isa);
    let (cols, head_dim) = (config.n_heads * config.head_dim, config.head_dim);
    let each = share(step.machine, n);
    let q = Block::new(q, n, shape.q).split_cols(cols).0.strips(each);
    let attended = Block::new(attended, n, 2 * cols).strips(each);
    run(step.machine, [n, 2 * cols], q.zip(attended), |(mut q, mut attended)| {
        // Said where it is needed, since a compiler does not look into what a closure takes along.
        let head_dim = head_dim.max(1);
        for token in 0..q.rows() {
            let out = q.row(token);
            for (value, all) in attended.row(token).chunks_exact(cols.max(1)).enumerate() {
                let (first, second) = all.split_at(all.len() / 2);
                let heads = first.chunks_exact(head_dim).zip(second.chunks_exact(head_dim));
                let outs = out.chunks_exact_mut(head_dim).skip(value).step_by(2);
                for ((a, b), out) in heads.zip(outs) {
                    less(isa, a, b, layer.lambda, out);
                }
            }
            norm_heads(isa, out, layer.difference_norm, config.norm_eps);
        }
    });
}
