//! The feed-forward part of a normalized y (arXiv 2002.05202): `down(activation(gate(y)) · up(y))`, or
//! `down(activation(up(y)))`.

use crate::format::matrix::Linear;
use crate::format::{Config, Mlp};
use crate::forward::input::Rows;
use crate::forward::residual::add_part;
use crate::forward::workspace::{ForwardContext, Workspace};
use crate::kernels::{Job, Task, matmul};
use crate::model::Layer;

/// Adds the feed-forward part of `layer`, which has a norm of its own, to the residual stream.
pub(crate) fn ffn(ctx: &ForwardContext<'_>, layer: &Layer<'_>, workspace: &mut Workspace<'_>) {
    ffn_hidden(ctx, layer, workspace);
    add_ffn_down(ctx, layer, workspace);
}

/// `ffn_hidden = activation(gate · norm(x)) · (up · norm(x))`, of the part's own norm:
/// (tokens, ffn_dim).
pub(crate) fn ffn_hidden(
    ctx: &ForwardContext<'_>,
    layer: &Layer<'_>,
    workspace: &mut Workspace<'_>,
) {
    let Workspace { shape, x, ffn_hidden, input, .. } = workspace;
    let (config, n) = (ctx.model.config(), ctx.span.tokens);
    let x = Rows { n, data: x, cols: config.dim, stride: shape.dim };
    let matrices = [&layer.gate, &layer.up];
    let input = if config.norms.before() {
        input.norm(ctx.machine, config, layer.ffn_norm, x, matrices)
    } else {
        input.rows(ctx.machine, x, matrices)
    };
    let task = hidden_task(config, layer.gate, layer.up);
    matmul(ctx.machine, &mut [Job { input, task, out: ffn_hidden, stride: shape.ffn }]);
}

/// The products that `down` is multiplied with, as a task of the matrix kernels.
pub(crate) fn hidden_task<'a>(config: &Config, gate: Linear<'a>, up: Linear<'a>) -> Task<'a> {
    let Config { activation, clamped, .. } = *config;
    match config.mlp {
        Mlp::Gated => Task::Gated { gate, up, activation, clamped },
        Mlp::Plain => Task::Activated(up, activation),
    }
}

/// `x = x + down · ffn_hidden`.
pub(crate) fn add_ffn_down(
    ctx: &ForwardContext<'_>,
    layer: &Layer<'_>,
    workspace: &mut Workspace<'_>,
) {
    let Workspace { shape, x, residual_tmp, ffn_hidden, input, .. } = workspace;
    let (n, cols) = (ctx.span.tokens, ctx.model.config().ffn_dim);
    let ffn_hidden = Rows { n, data: ffn_hidden, cols, stride: shape.ffn };
    let input = input.rows(ctx.machine, ffn_hidden, [&layer.down]);
    add_part(ctx, layer.down, layer.ffn_after_norm, input, [x, residual_tmp], shape.dim);
}
