//! The feed-forward part of a layer with experts (arXiv 1701.06538): of those that the router
//! chooses for a token, in ascending order, Σ weight · down(activation(gate(y)) · up(y)); and of
//! the one that all tokens go through, if there is one, behind them.
//!
//! A few experts at a time, each with all tokens of the chunk that go through it: its weights are
//! read once, those of experts that nobody goes through not at all, and one token alone gets the
//! same sums.

use crate::base::disjoint::Block;
use crate::format::layout::TILE_ROWS;
use crate::format::matrix::Linear;
use crate::forward::ffn::inner_task;
use crate::forward::input::{InputBuffers, Rows, run};
use crate::forward::residual::join;
use crate::forward::router::{Group, MOST_EXPERTS};
use crate::forward::workspace::{Buffers, Routed, Step, Strides};
use crate::kernels::{Input, Job, Task, add_scaled, matmul};
use crate::model::{Experts, Layer};

/// An expert that runs.
struct Expert<'m> {
    gate: Linear<'m>,
    up: Linear<'m>,
    down: Linear<'m>,
    /// How many tokens go through it.
    n: usize,
}

type Running<'m> = heapless::Vec<Expert<'m>, MOST_EXPERTS>;

/// Adds the feed-forward part of `layer` to the residual stream.
pub(crate) fn mixture<'m>(step: &Step<'_>, layer: &Layer<'m>, work: &mut Buffers<'_>) {
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
    choice.make(step.machine, config, experts, input);
    let first = |expert: &Expert<'m>| inner_task(config, expert.gate, expert.up);
    sum.get_mut(..n * shape.dim).unwrap_or_default().fill(0.0);
    let mut from = 0;
    while let Some(group) = choice.group(from) {
        from = group.experts.last().map_or(u32::MAX, |(last, _)| last + 1);
        let running = running(experts, &group);
        // Of one token every expert reads the same, and one expert may have them all.
        let all = n == 1 || group.experts.len() == 1 && group.tokens.len() == n;
        let given =
            if all { input } else { own.gather(&input, group.tokens, [&first_gate, &first_up]) };
        products(step, &running, &given, inner, shape.ffn, &first);
        second_half(step, &running, own, [inner, branch], *shape);
        add_weighed(step, group.tokens, group.weights, [sum, branch], shape.dim);
    }
    if config.shared_ffn_dim > 0 {
        let shared = [Expert { gate: layer.gate, up: layer.up, down: layer.down, n }];
        products(step, &shared, &input, inner, shape.ffn, &first);
        second_half(step, &shared, own, [inner, branch], *shape);
        let (tokens, weights) = choice.tokens_of_shared();
        add_weighed(step, tokens, weights, [sum, branch], shape.dim);
    }
    join(step, layer.ffn_after_norm, [x, sum], shape.dim);
}

fn running<'m>(experts: &Experts<'m>, group: &Group<'_>) -> Running<'m> {
    let mut running = Running::new();
    for &(expert, n) in &group.experts {
        let [gate, up, down] =
            [experts.gate, experts.up, experts.down].map(|stack| stack.of(expert as usize));
        drop(running.push(Expert { gate, up, down, n }));
    }
    running
}

/// `out = down · inner` of each expert, for its rows.
fn second_half(
    step: &Step<'_>,
    experts: &[Expert<'_>],
    input: &mut InputBuffers<'_>,
    [inner, out]: [&mut [f32]; 2],
    shape: Strides,
) {
    let Some(Expert { down, .. }) = experts.first() else { return };
    let n = experts.iter().map(|expert| expert.n).sum();
    let inner = Rows { n, data: inner, cols: down.weight.cols(), stride: shape.ffn };
    let input = input.rows(step.machine, inner, [down]);
    products(step, experts, &input, out, shape.dim, &|expert| Task::Store(expert.down));
}

/// What `task` says of each expert, for its rows of the input, or the only one that there is.
/// `out`: (rows of all), `stride` apart.
fn products<'m>(
    step: &Step<'_>,
    experts: &[Expert<'m>],
    input: &Input<'_>,
    out: &mut [f32],
    stride: usize,
    task: &dyn Fn(&Expert<'m>) -> Task<'m>,
) {
    let (mut rest, mut row) = (Some(out), 0);
    let mut jobs = heapless::Vec::<_, MOST_EXPERTS>::new();
    for expert in experts {
        let split = rest.take().and_then(|rest| rest.split_at_mut_checked(expert.n * stride));
        let Some((out, others)) = split else { break };
        let from = if input.n == 1 { 0 } else { row };
        let input = input.of(from..from + expert.n);
        // There is room: no more experts are put into a group.
        drop(jobs.push(Job { input, task: task(expert), out, stride }));
        (rest, row) = (Some(others), row + expert.n);
    }
    matmul(step.machine, &mut jobs);
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
    run(step.machine, [tokens.len(), dim], sum.zip(part), |(mut sum, mut part)| {
        for (i, (token, weight)) in tokens.iter().zip(weights).enumerate() {
            add_scaled(isa, sum.row(*token as usize), part.row(i), *weight);
        }
    });
}
