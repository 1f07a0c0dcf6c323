//! The residual stream, to which every part of a layer is added.

use crate::base::disjoint::MatrixMut;
use crate::format::Scale;
use crate::format::matrix::Linear;
use crate::forward::input::{run, share};
use crate::forward::workspace::ForwardContext;
use crate::kernels::{Input, Job, Task, add, matmul, norm_heads, scale};

/// `x = x + W · input`, or `x + norm(W · input)` where norms come after; both buffers
/// `(tokens, dim)`, rows `stride` apart.
pub(crate) fn add_part(
    ctx: &ForwardContext<'_>,
    linear: Linear<'_>,
    after_norm: &[f32],
    input: Input<'_>,
    [x, residual_tmp]: [&mut [f32]; 2],
    stride: usize,
) {
    let config = ctx.model.config();
    if !config.norms.after() {
        let task = Task::Add(linear, config.residual_scale.0);
        return matmul(ctx.machine, &mut [Job { input, task, out: x, stride }]);
    }
    let task = Task::Store(linear);
    matmul(ctx.machine, &mut [Job { input, task, out: residual_tmp, stride }]);
    join(ctx, after_norm, [x, residual_tmp], stride);
}

/// `x = x + part`, or `x + norm(part)` where norms come after; both buffers `(tokens, dim)`,
/// rows `stride` apart.
pub(crate) fn join(
    ctx: &ForwardContext<'_>,
    after_norm: &[f32],
    [x, part]: [&mut [f32]; 2],
    stride: usize,
) {
    let config = ctx.model.config();
    let (n, isa) = (ctx.span.tokens, ctx.machine.isa);
    let each = share(ctx.machine, n);
    let x = MatrixMut::new(x, n, stride).split_cols(config.dim).0.strips(each);
    let part = MatrixMut::new(part, n, stride).split_cols(config.dim).0.strips(each);
    run(ctx.machine, [n, config.dim], x.zip(part), |(mut x, mut part)| {
        for token in 0..x.rows() {
            let part = part.row(token);
            if config.norms.after() {
                norm_heads(isa, part, after_norm, config.norm_eps);
            } else if config.residual_scale != Scale::default() {
                scale(isa, part, config.residual_scale.0);
            }
            add(isa, x.row(token), part);
        }
    });
}
