//! Products of packed matrices with the inputs of one or several tokens.
//!
//! Rows are cut into tiles and shared between threads; every row of every token is one
//! chain of fma over the blocks, so neither threads nor tokens nor lanes change a bit.
#![allow(clippy::indexing_slicing)]

mod drive;
mod job;
mod weights;

use core::ops::Range;

use crate::base::disjoint::{Block, MOST_PIECES, for_each};
use crate::format::layout::{TILE_ROWS, WeightType, tiles};
use crate::kernels::block::{Int4, Int4a, Int8};
use crate::kernels::elementwise::activation::{activate, clamped_gate};
use crate::kernels::isa::Isa;
use crate::kernels::machine::Machine;

use drive::Product;
use job::{After, Step};
use weights::{Floats, Packed};

pub use job::{Input, Job, Task};

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
