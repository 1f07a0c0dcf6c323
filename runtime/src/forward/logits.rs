//! The residual stream → logits, one for every token of the vocabulary.

use crate::base::checked::nonzero;
use crate::forward::input::{InputBuffers, Rows};
use crate::kernels::{Job, Machine, Task, matmul, scale, soft_cap};
use crate::model::Model;

/// Logits of the rows of `x`. `out`: (rows, vocab_size), rows `stride` apart.
pub(crate) fn logits(
    machine: &Machine<'_>,
    model: &Model<'_>,
    x: Rows<'_>,
    input: &mut InputBuffers<'_>,
    out: &mut [f32],
    stride: usize,
) {
    let output = model.output();
    let (config, n) = (model.config(), x.n);
    let input = input.norm(machine, config, model.output_norm(), x, [&output]);
    matmul(machine, &mut [Job { input, task: Task::Store(output), out, stride }]);
    if config.logit_scale.0 != 1.0 {
        for row in out.chunks_mut(nonzero(stride)).take(n) {
            scale(machine.isa, row, config.logit_scale.0);
        }
    }
    if let Some(cap) = config.logit_cap {
        for row in out.chunks_mut(nonzero(stride)).take(n) {
            soft_cap(machine.isa, row, cap);
        }
    }
}
