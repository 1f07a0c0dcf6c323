//! The feed-forward part: `x + down(activation(gate(norm(x))) · up(norm(x)))`.

use crate::input::Rows;
use crate::kernels::{Job, Task, matmul};
use crate::model::{Activation, Layer, Mlp};
use crate::work::{Buffers, Step};

/// Adds the feed-forward part of `layer` to the residual stream.
pub(crate) fn mlp(step: &Step<'_>, layer: &Layer<'_>, work: &mut Buffers<'_>) {
    let Buffers { shape, x, gated, input, .. } = work;
    let (config, n) = (step.model.config(), step.span.tokens);
    let residual = Rows { n, data: x, cols: config.dim, stride: shape.dim };
    let Layer { gate, up, down, .. } = *layer;
    let normed = input.norm(step.machine, config, layer.ffn_norm, residual, [&gate, &up]);
    let task = match (config.mlp, config.activation) {
        (Mlp::Gated, Activation::Silu) => Task::GatedSilu { gate, up },
    };
    matmul(step.machine, &normed, &mut [Job { task, out: gated, stride: shape.ffn }]);

    let gated = Rows { n, data: gated, cols: config.ffn_dim, stride: shape.ffn };
    let gated = input.rows(step.machine, gated, [&down]);
    matmul(step.machine, &gated, &mut [Job { task: Task::Add(down), out: x, stride: shape.dim }]);
}
