//! The residual stream, to which every part of a layer is added.

use crate::exec::Block;
use crate::input::{run, share};
use crate::kernels::{Input, Job, Task, add, matmul, norm_heads};
use crate::model::Linear;
use crate::work::Step;

/// `x = x + W · input`, or `x + norm(W · input)` where norms come after; both buffers
/// `(tokens, dim)`, rows `stride` apart.
pub(crate) fn add_part(
    step: &Step<'_>,
    linear: Linear<'_>,
    after_norm: &[f32],
    input: &Input<'_>,
    [x, branch]: [&mut [f32]; 2],
    stride: usize,
) {
    let config = step.model.config();
    if !config.norms.after() {
        let task = Task::Add(linear, config.residual_scale.0);
        return matmul(step.machine, input, &mut [Job { task, out: x, stride }]);
    }
    let task = Task::Store(linear);
    matmul(step.machine, input, &mut [Job { task, out: branch, stride }]);
    let (n, isa) = (step.span.tokens, step.machine.isa);
    let each = share(step.machine, n);
    let x = Block::new(x, n, stride).split_cols(config.dim).0.strips(each);
    let branch = Block::new(branch, n, stride).split_cols(config.dim).0.strips(each);
    run(step.machine, n, x.zip(branch), |(mut x, mut branch)| {
        for token in 0..x.rows() {
            norm_heads(isa, branch.row(token), after_norm, config.norm_eps);
            add(isa, x.row(token), branch.row(token));
        }
    });
}
