//! The feed-forward part of a normalised y: `down(activation(gate(y)) · up(y))`, or
//! `down(activation(up(y)))`.

use crate::format::matrix::Linear;
use crate::format::{Config, Mlp};
use crate::forward::input::Rows;
use crate::forward::residual::add_part;
use crate::forward::workspace::{Buffers, Step};
use crate::kernels::{Job, Task, matmul};
use crate::model::Layer;

/// Adds the feed-forward part of `layer`, which has a norm of its own, to the residual stream.
pub(crate) fn mlp(step: &Step<'_>, layer: &Layer<'_>, work: &mut Buffers<'_>) {
    inner(step, layer, work);
    down(step, layer, work);
}

/// What `down` is to be multiplied with, of a norm of its own of the residual stream.
pub(crate) fn inner(step: &Step<'_>, layer: &Layer<'_>, work: &mut Buffers<'_>) {
    let Buffers { shape, x, inner, input, .. } = work;
    let (config, n) = (step.model.config(), step.span.tokens);
    let x = Rows { n, data: x, cols: config.dim, stride: shape.dim };
    let matrices = [&layer.gate, &layer.up];
    let input = if config.norms.before() {
        input.norm(step.machine, config, layer.ffn_norm, x, matrices)
    } else {
        input.rows(step.machine, x, matrices)
    };
    let task = inner_task(config, layer.gate, layer.up);
    matmul(step.machine, &mut [Job { input, task, out: inner, stride: shape.ffn }]);
}

/// What gives what `down` takes.
pub(crate) fn inner_task<'a>(config: &Config, gate: Linear<'a>, up: Linear<'a>) -> Task<'a> {
    let Config { activation, clamped, .. } = *config;
    match config.mlp {
        Mlp::Gated => Task::Gated { gate, up, activation, clamped },
        Mlp::Plain => Task::Activated(up, activation),
    }
}

/// Adds `down` of what is there for it to the residual stream.
pub(crate) fn down(step: &Step<'_>, layer: &Layer<'_>, work: &mut Buffers<'_>) {
    let Buffers { shape, x, branch, inner, input, .. } = work;
    let (n, cols) = (step.span.tokens, step.model.config().ffn_dim);
    let inner = Rows { n, data: inner, cols, stride: shape.ffn };
    let input = input.rows(step.machine, inner, [&layer.down]);
    add_part(step, layer.down, layer.ffn_after_norm, input, [x, branch], shape.dim);
}
