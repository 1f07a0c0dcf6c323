//! Products of packed matrices with the inputs of one or several tokens.
//!
//! Rows are cut into tiles and shared between threads; every row of every token is one
//! chain of fma over the blocks, so neither threads nor tokens nor lanes change a bit.
#![allow(clippy::indexing_slicing)]

use core::ops::Range;

use super::Machine;
use super::activation::{activate, clamped_gate};
use super::acts::Acts;
use super::isa::Isa;
use super::product::Product;
use super::quants::{Int4, Int4a, Int8};
use super::weights::{Floats, Packed};
use crate::base::disjoint::{Block, MOST_PIECES, for_each};
use crate::format::layout::{TILE_ROWS, WeightType, tiles};
use crate::format::matrix::Linear;
use crate::format::{Activation, Clamped};

/// The inputs of `n` tokens, in the forms that matrices want.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// Tokens.
    pub n: usize,
    /// Columns of each.
    pub cols: usize,
    /// `(n, cols)`, rows `stride` apart: read by f32 matrices alone, else may be empty
    pub x: &'a [f32],
    /// From one token's `x` to the next; at least `cols`.
    pub stride: usize,
    /// Read by quantized matrices; at least `n` tokens.
    pub acts: Option<Acts<'a>>,
}

impl Input<'_> {
    /// Of these tokens alone.
    pub(crate) fn of(&self, tokens: Range<usize>) -> Self {
        let x = self.x.get(tokens.start * self.stride..).unwrap_or_default();
        let acts = self.acts.map(|acts| acts.of(tokens.clone()));
        Self { n: tokens.len(), x, acts, ..*self }
    }
}

/// What is done with a product y = W·x, to which the bias, if any, has been added.
#[derive(Clone, Copy)]
pub enum Task<'m> {
    /// `out = y`
    Store(Linear<'m>),
    /// `out = out + y · factor`: the residual stream
    Add(Linear<'m>, f32),
    /// `out = activation(y)`
    Activated(Linear<'m>, Activation),
    /// `out = activation(y of gate) · y of up`
    Gated {
        /// `(rows, cols)`
        gate: Linear<'m>,
        /// `(rows, cols)`
        up: Linear<'m>,
        /// Of the gate.
        activation: Activation,
        /// In place of the activation, what both are cut off at.
        clamped: Option<Clamped>,
    },
}

/// One output of a parallel region.
pub struct Job<'a> {
    /// What the matrix is multiplied with.
    pub input: Input<'a>,
    /// Which matrix, and what becomes of its product.
    pub task: Task<'a>,
    /// `(n of the input, rows padded to 16)`, rows `stride` apart. The padding becomes 0 (in
    /// [`Task::Add`] it stays as it is).
    pub out: &'a mut [f32],
    /// From one token's output to the next; at least the rows padded to 16.
    pub stride: usize,
}

/// How a register of products goes to the output.
#[derive(Clone, Copy)]
pub(super) enum Then {
    Store,
    Add(f32),
    /// `out = out · y`
    Times,
    /// `out = out · (y + 1)`, y cut off at this.
    TimesClamped(f32),
}

/// What then becomes of the output, while it is near.
#[derive(Clone, Copy)]
enum After {
    Nothing,
    Activation(Activation),
    Gate(Clamped),
}

#[derive(Clone, Copy)]
pub(super) struct Step<'m> {
    pub(super) linear: Linear<'m>,
    pub(super) then: Then,
    after: After,
}

impl<'m> Task<'m> {
    /// The products, one after the other on the same rows.
    fn steps(self) -> [Option<Step<'m>>; 2] {
        let step = |linear, then| Some(Step { linear, then, after: After::Nothing });
        let stored = |linear, after| Some(Step { linear, then: Then::Store, after });
        let activated = |linear, f| stored(linear, After::Activation(f));
        match self {
            Self::Store(linear) => [step(linear, Then::Store), None],
            Self::Add(linear, factor) => [step(linear, Then::Add(factor)), None],
            Self::Activated(linear, f) => [activated(linear, f), None],
            Self::Gated { gate, up, activation, clamped: None } => {
                [activated(gate, activation), step(up, Then::Times)]
            }
            Self::Gated { gate, up, clamped: Some(clamped), .. } => {
                [stored(gate, After::Gate(clamped)), step(up, Then::TimesClamped(clamped.limit))]
            }
        }
    }

    fn rows(self) -> usize {
        match self {
            Self::Store(linear) | Self::Add(linear, _) | Self::Activated(linear, _) => {
                linear.weight.rows()
            }
            Self::Gated { gate, .. } => gate.weight.rows(),
        }
    }
}

/// Tiles of one job that one thread computes.
struct Piece<'a> {
    input: &'a Input<'a>,
    steps: [Option<Step<'a>>; 2],
    /// Of the job's tiles.
    range: Range<usize>,
    /// `(n, 16 · tiles in range)`
    out: Block<'a, f32>,
}

/// Pieces a thread, so that a late thread is waited for less: few for one token, since
/// every piece starts its streams anew.
const PIECES_DECODE: usize = 1;
const PIECES_PREFILL: usize = 4;

/// Computes the jobs in one parallel region. They may differ in input and weight type.
///
/// # Panics
/// If a matrix, bias, input or output has not the stated shape.
pub fn matmul(machine: &Machine<'_>, jobs: &mut [Job<'_>]) {
    jobs.iter().for_each(check);
    let each = share(machine.exec.threads(), jobs);
    let jobs = jobs.iter_mut().filter(|job| job.input.n > 0);
    let pieces = jobs.flat_map(|job| cut(job, each.div_ceil(job.input.n.max(1))));
    for_each(machine.exec, pieces, |piece| compute(machine.isa, piece));
}

/// How many tiles, counted once for each token, make a piece of some jobs.
fn share(threads: usize, jobs: &[Job<'_>]) -> usize {
    let work_of = |job: &Job<'_>| tiles(job.task.rows()) * job.input.n;
    let decode = jobs.iter().all(|job| job.input.n <= 1);
    if let (true, [first, others @ ..]) = (decode, jobs)
        && others.iter().all(|job| work_of(job) == work_of(first))
    {
        // As few pieces of equal jobs as give every thread the same.
        let pieces = threads / gcd(threads, jobs.len()).max(1);
        if pieces.saturating_mul(jobs.len()) <= MOST_PIECES {
            return work_of(first).div_ceil(pieces.max(1));
        }
    }
    let most = if decode { PIECES_DECODE } else { PIECES_PREFILL };
    // The cut between two jobs may add a piece each.
    let wanted = threads.saturating_mul(most).min(MOST_PIECES.saturating_sub(jobs.len()));
    jobs.iter().map(work_of).sum::<usize>().div_ceil(wanted.max(1))
}

/// The greatest common divisor.
fn gcd(a: usize, b: usize) -> usize {
    let (mut a, mut b) = (a, b);
    while let Some(rest) = a.checked_rem(b) {
        (a, b) = (b, rest);
    }
    a
}

/// Cuts a job into pieces of `each` tiles.
fn cut<'a>(job: &'a mut Job<'_>, each: usize) -> impl Iterator<Item = Piece<'a>> {
    let Job { input, task, out, stride } = job;
    let (steps, all, each) = (task.steps(), tiles(task.rows()), each.max(1));
    let (input, mut rest) = (&*input, Some(Block::new(out, input.n, *stride)));
    (0..all.div_ceil(each)).filter_map(move |piece| {
        let range = piece * each..all.min((piece + 1) * each);
        let (out, right) = rest.take()?.split_cols(range.len() * TILE_ROWS);
        rest = Some(right);
        Some(Piece { input, steps, range, out })
    })
}

/// Everything that the kernels rely on.
fn check(job: &Job<'_>) {
    let input = &job.input;
    let rows = tiles(job.task.rows()) * TILE_ROWS;
    // As many whole rows as `Block` counts.
    assert!(job.stride >= rows && (job.stride == 0 || job.out.len() / job.stride >= input.n));
    for step in job.task.steps().into_iter().flatten() {
        let weight = step.linear.weight;
        assert!(weight.rows() == job.task.rows() && weight.cols() == input.cols);
        assert!(step.linear.bias.is_none_or(|bias| bias.len() == weight.rows()));
        if weight.kind().is_quantized() {
            assert!(input.acts.is_some_and(|a| a.n() >= input.n && a.cols() == input.cols));
        } else if input.n > 0 {
            let last = (input.n - 1).checked_mul(input.stride);
            let len = last.and_then(|last| last.checked_add(input.cols));
            assert!(len.is_some_and(|len| len <= input.x.len()));
        }
    }
}

fn compute(isa: Isa, piece: Piece<'_>) {
    let Piece { input, steps, range, mut out } = piece;
    for step in steps.into_iter().flatten() {
        let (range, out, after) = (range.clone(), &mut out, step.after);
        match step.linear.weight.kind() {
            WeightType::F32 => isa.run(Product::<Floats>::new(step, input, range, out)),
            WeightType::Int8 => isa.run(Product::<Packed<Int8>>::new(step, input, range, out)),
            WeightType::Int4 => isa.run(Product::<Packed<Int4>>::new(step, input, range, out)),
            WeightType::Int4a => isa.run(Product::<Packed<Int4a>>::new(step, input, range, out)),
        }
        (0..input.n).for_each(|token| match after {
            After::Nothing => {}
            After::Activation(activation) => activate(isa, activation, out.row(token)),
            After::Gate(clamped) => clamped_gate(isa, clamped, out.row(token)),
        });
    }
}
