//! The feed-forward part: `down(activation(gate(y)) · up(y))` of a normalised y.

use crate::format::Config;
use crate::input::Rows;
use crate::kernels::{Job, Task, matmul};
use crate::model::{Activation, Layer, Mlp, Norms};
use crate::residual::add_part;
use crate::work::{Buffers, Step};

/// Adds the feed-forward part of `layer`, which has a norm of its own, to the residual stream.
pub(crate) fn mlp(step: &Step<'_>, layer: &Layer<'_>, work: &mut Buffers<'_>) {
    let Buffers { shape, x, gated, input, .. } = work;
    let (config, n) = (step.model.config(), step.span.tokens);
    let x = Rows { n, data: x, cols: config.dim, stride: shape.dim };
    let matrices = [&layer.gate, &layer.up];
    let input = match config.norms {
        Norms::Before => input.norm(step.machine, config, layer.ffn_norm, x, matrices),
        Norms::After => input.rows(step.machine, x, matrices),
    };
    matmul(step.machine, &input, &mut [gated_job(config, layer, gated, shape.ffn)]);
    down(step, layer, work);
}

/// `activation(gate(y)) · up(y)` into `out`: (tokens, ffn_dim), rows `stride` apart.
pub(crate) fn gated_job<'a>(
    config: &Config,
    layer: &Layer<'a>,
    out: &'a mut [f32],
    stride: usize,
) -> Job<'a> {
    let Layer { gate, up, .. } = *layer;
    let task = match (config.mlp, config.activation) {
        (Mlp::Gated, Activation::Silu) => Task::GatedSilu { gate, up },
    };
    Job { task, out, stride }
}

/// Adds `down` of what is gated to the residual stream.
pub(crate) fn down(step: &Step<'_>, layer: &Layer<'_>, work: &mut Buffers<'_>) {
    let Buffers { shape, x, branch, gated, input, .. } = work;
    let (n, cols) = (step.span.tokens, step.model.config().ffn_dim);
    let gated = Rows { n, data: gated, cols, stride: shape.ffn };
    let input = input.rows(step.machine, gated, [&layer.down]);
    add_part(step, layer.down, layer.ffn_after_norm, &input, [x, branch], shape.dim);
}
