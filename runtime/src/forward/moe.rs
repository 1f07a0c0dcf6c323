//! The feed-forward part of a layer with experts (arXiv 1701.06538):
//! Σ weight · down(activation(gate(y)) · up(y)), over the experts that the router selects for a
//! token, in ascending order, then the shared expert, if there is one.
//!
//! A few experts at a time, each with all tokens of the chunk that go through it: its weights are
//! read once, those of experts that nobody goes through not at all, and one token alone gets the
//! same sums.

use crate::base::checked::part_mut;
use crate::base::disjoint::MatrixMut;
use crate::format::layout::TILE_ROWS;
use crate::format::matrix::Linear;
use crate::forward::ffn::hidden_task;
use crate::forward::input::{InputBuffers, Rows, run};
use crate::forward::residual::join;
use crate::forward::router::{ExpertGroup, MAX_EXPERTS};
use crate::forward::workspace::{ForwardContext, MoeWorkspace, Strides, Workspace};
use crate::kernels::{Input, Job, Task, add_scaled, matmul};
use crate::model::{Experts, Layer};

/// An expert that runs.
struct Expert<'m> {
    gate: Linear<'m>,
    up: Linear<'m>,
    down: Linear<'m>,
    /// Tokens that go through it.
    n: usize,
}

type Running<'m> = heapless::Vec<Expert<'m>, MAX_EXPERTS>;

/// Adds the feed-forward part of `layer` to the residual stream.
pub(crate) fn moe<'m>(ctx: &ForwardContext<'_>, layer: &Layer<'m>, workspace: &mut Workspace<'_>) {
    let Workspace { shape, x, residual_tmp, ffn_hidden, input, moe, .. } = workspace;
    let MoeWorkspace { router, sum, input: own } = moe;
    let (n, config, experts) = (ctx.span.tokens, ctx.model.config(), &layer.experts);
    let rows = Rows { n, data: x, cols: config.dim, stride: shape.dim };
    let [first_gate, first_up] = [experts.gate.expert(0), experts.up.expert(0)];
    let matrices = [&first_gate, &first_up, &layer.gate, &layer.up];
    let input = if config.norms.before() {
        input.norm(ctx.machine, config, layer.ffn_norm, rows, matrices)
    } else {
        input.rows(ctx.machine, rows, matrices)
    };
    router.select(ctx.machine, config, experts, input);
    let first = |expert: &Expert<'m>| hidden_task(config, expert.gate, expert.up);
    part_mut(sum, ..n * shape.dim).fill(0.0);
    let mut from = 0;
    while let Some(group) = router.next_group(from) {
        from = group.experts.last().map_or(u32::MAX, |(last, _)| last + 1);
        let running = group_experts(experts, &group);
        // Of one token every expert reads the same, and one expert may have them all.
        let all = n == 1 || group.experts.len() == 1 && group.tokens.len() == n;
        let given =
            if all { input } else { own.gather(&input, group.tokens, [&first_gate, &first_up]) };
        products(ctx, &running, &given, ffn_hidden, shape.ffn, &first);
        down_products(ctx, &running, own, [ffn_hidden, residual_tmp], *shape);
        add_weighed(ctx, group.tokens, group.weights, [sum, residual_tmp], shape.dim);
    }
    if config.shared_ffn_dim > 0 {
        let shared = [Expert { gate: layer.gate, up: layer.up, down: layer.down, n }];
        products(ctx, &shared, &input, ffn_hidden, shape.ffn, &first);
        down_products(ctx, &shared, own, [ffn_hidden, residual_tmp], *shape);
        let (tokens, weights) = router.tokens_of_shared();
        add_weighed(ctx, tokens, weights, [sum, residual_tmp], shape.dim);
    }
    join(ctx, layer.ffn_after_norm, [x, sum], shape.dim);
}

fn group_experts<'m>(experts: &Experts<'m>, group: &ExpertGroup<'_>) -> Running<'m> {
    let mut running = Running::new();
    for &(expert, n) in &group.experts {
        let [gate, up, down] =
            [experts.gate, experts.up, experts.down].map(|stack| stack.expert(expert as usize));
        drop(running.push(Expert { gate, up, down, n }));
    }
    running
}

/// `out = down · ffn_hidden` of each expert, for its rows.
fn down_products(
    ctx: &ForwardContext<'_>,
    experts: &[Expert<'_>],
    input: &mut InputBuffers<'_>,
    [ffn_hidden, out]: [&mut [f32]; 2],
    shape: Strides,
) {
    let Some(Expert { down, .. }) = experts.first() else { return };
    let n = experts.iter().map(|expert| expert.n).sum();
    let ffn_hidden = Rows { n, data: ffn_hidden, cols: down.weight.cols(), stride: shape.ffn };
    let input = input.rows(ctx.machine, ffn_hidden, [down]);
    products(ctx, experts, &input, out, shape.dim, &|expert| Task::Store(expert.down));
}

/// The products of each expert's `task` with its rows of the input, or with the only one.
/// `out`: (rows of all), `stride` apart.
fn products<'m>(
    ctx: &ForwardContext<'_>,
    experts: &[Expert<'m>],
    input: &Input<'_>,
    out: &mut [f32],
    stride: usize,
    task: &dyn Fn(&Expert<'m>) -> Task<'m>,
) {
    let (mut rest, mut row) = (Some(out), 0);
    let mut jobs = heapless::Vec::<_, MAX_EXPERTS>::new();
    for expert in experts {
        let split = rest.take().and_then(|rest| rest.split_at_mut_checked(expert.n * stride));
        let Some((out, others)) = split else { break };
        let from = if input.n == 1 { 0 } else { row };
        let input = input.select(from..from + expert.n);
        // There is room: no more experts are put into a group.
        drop(jobs.push(Job { input, task: task(expert), out, stride }));
        (rest, row) = (Some(others), row + expert.n);
    }
    matmul(ctx.machine, &mut jobs);
}

/// `sum[token] = sum[token] + weight · part`, for a part and a weight of each of the tokens.
fn add_weighed(
    ctx: &ForwardContext<'_>,
    tokens: &[u32],
    weights: &[f32],
    [sum, part]: [&mut [f32]; 2],
    stride: usize,
) {
    let (isa, dim) = (ctx.machine.isa, ctx.model.config().dim);
    // Threads share columns, since several tokens may be far apart.
    let width = dim.div_ceil(ctx.machine.exec.threads().max(1)).next_multiple_of(TILE_ROWS);
    let sum = MatrixMut::new(sum, ctx.span.tokens, stride).split_cols(dim).0.columns(width);
    let part = MatrixMut::new(part, tokens.len(), stride).split_cols(dim).0.columns(width);
    run(ctx.machine, [tokens.len(), dim], sum.zip(part), |(mut sum, mut part)| {
        for (i, (token, weight)) in tokens.iter().zip(weights).enumerate() {
            add_scaled(isa, sum.row(*token as usize), part.row(i), *weight);
        }
    });
}
