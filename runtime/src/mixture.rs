//! The feed-forward part of a layer with experts (arXiv 1701.06538): of those that the router
//! chooses for a token, in ascending order, Σ weight · down(activation(gate(y)) · up(y)); and of
//! the one that all tokens go through, if there is one, behind them.
//!
//! One expert at a time, with all tokens of the chunk that go through it: its weights are read
//! once, those of experts that nobody goes through not at all, and one token alone gets the
//! same sums.

use crate::exec::Block;
use crate::input::{InputBuffers, Rows, run};
use crate::kernels::{Job, Task, add_scaled, matmul};
use crate::layout::TILE_ROWS;
use crate::mlp::inner_job;
use crate::model::{Layer, Linear};
use crate::residual::join;
use crate::work::{Buffers, Routed, Step, Strides};

/// Adds the feed-forward part of `layer` to the residual stream.
pub(crate) fn mixture(step: &Step<'_>, layer: &Layer<'_>, work: &mut Buffers<'_>) {
    let Buffers { shape, x, branch, inner, input, routed, .. } = work;
    let Routed { choice, sum, input: own } = routed;
    let (n, config, experts) = (step.span.tokens, step.model.config(), &layer.experts);
    let rows = Rows { n, data: x, cols: config.dim, stride: shape.dim };
    let [first_gate, first_up] = [experts.gate.of(0), experts.up.of(0)];
    let matrices = [&first_gate, &first_up, &layer.gate, &layer.up];
    let input = if config.norms.before() {
        input.norm(step.machine, config, layer.ffn_norm, rows, matrices)
    } else {
        input.rows(step.machine, rows, matrices)
    };
    choice.make(step.machine, config, experts, &input);
    sum.get_mut(..n * shape.dim).unwrap_or_default().fill(0.0);
    let mut from = 0;
    while let Some(expert) = choice.next(from) {
        from = expert + 1;
        let (tokens, weights) = choice.tokens_of(expert);
        let [gate, up, down] =
            [experts.gate, experts.up, experts.down].map(|stack| stack.of(expert as usize));
        let given = match tokens.len() {
            all if all == n => input,
            _ => own.gather(&input, tokens, [&gate, &up]),
        };
        matmul(step.machine, &given, &mut [inner_job(config, [gate, up], inner, shape.ffn)]);
        part(step, down, tokens.len(), own, [inner, branch], *shape);
        add_weighed(step, tokens, weights, [sum, branch], shape.dim);
    }
    if config.shared_ffn_dim > 0 {
        let job = inner_job(config, [layer.gate, layer.up], inner, shape.ffn);
        matmul(step.machine, &input, &mut [job]);
        part(step, layer.down, n, own, [inner, branch], *shape);
        let (tokens, weights) = choice.tokens_of_shared();
        add_weighed(step, tokens, weights, [sum, branch], shape.dim);
    }
    join(step, layer.ffn_after_norm, [x, sum], shape.dim);
}

/// `out = down · inner`, of the first `n` rows.
fn part(
    step: &Step<'_>,
    down: Linear<'_>,
    n: usize,
    input: &mut InputBuffers<'_>,
    [inner, out]: [&mut [f32]; 2],
    shape: Strides,
) {
    let inner = Rows { n, data: inner, cols: down.weight.cols(), stride: shape.ffn };
    let input = input.rows(step.machine, inner, [&down]);
    let job = Job { task: Task::Store(down), out, stride: shape.dim };
    matmul(step.machine, &input, &mut [job]);
}

/// `sum[token] = sum[token] + weight · part`, for a part and a weight of each of the tokens.
fn add_weighed(
    step: &Step<'_>,
    tokens: &[u32],
    weights: &[f32],
    [sum, part]: [&mut [f32]; 2],
    stride: usize,
) {
    let (isa, dim) = (step.machine.isa, step.model.config().dim);
    // Threads share columns, since several tokens may be far apart.
    let width = dim.div_ceil(step.machine.exec.threads().max(1)).next_multiple_of(TILE_ROWS);
    let sum = Block::new(sum, step.span.tokens, stride).split_cols(dim).0.columns(width);
    let part = Block::new(part, tokens.len(), stride).split_cols(dim).0.columns(width);
    run(step.machine, tokens.len(), sum.zip(part), |(mut sum, mut part)| {
        for (i, (token, weight)) in tokens.iter().zip(weights).enumerate() {
            add_scaled(isa, sum.row(*token as usize), part.row(i), *weight);
        }
    });
}
