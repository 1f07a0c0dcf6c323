//! The residual stream → a score for every token of the vocabulary.

use crate::input::{InputBuffers, Rows};
use crate::kernels::Machine;
use crate::kernels::{Job, Task, matmul};
use crate::model::{Linear, Model};

/// Scores of the rows of `x`. `out`: (rows, vocab_size), rows `stride` apart.
pub(crate) fn logits(
    machine: &Machine<'_>,
    model: &Model<'_>,
    x: Rows<'_>,
    input: &mut InputBuffers<'_>,
    out: &mut [f32],
    stride: usize,
) {
    let output = Linear { weight: model.output(), bias: None };
    let input = input.norm(machine, model.config(), model.output_norm(), x, [&output]);
    matmul(machine, &input, &mut [Job { task: Task::Store(output), out, stride }]);
}
