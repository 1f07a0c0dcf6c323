//! Products of packed matrices with the inputs of one or several tokens.
//!
//! ```text
//! matmul(jobs):                                   out[token][row] = Σ W[row][col] · x[token][col]
//!     check every shape
//!     cut all jobs into pieces of neighbouring tiles (16 rows), shared between threads
//!     for each piece, for each pass of its task:              Task::passes: gate, then up
//!         if one token: decode
//!             for 4 tiles at a time, far apart in memory:     4 streams of bytes
//!                 for each block b (32 columns):
//!                     token = its 32 activations, scale, sum
//!                     for each tile: prefetch; acc[tile] += block b of the tile · token
//!         else: prefill
//!             for 4 tiles at a time, for up to 64 tokens:     sums[tile][token] in memory
//!                 for each block b:
//!                     token groups = activations of all tokens, ready to multiply
//!                     for each tile, for some of its rows:
//!                         rows = weights of block b, unpacked
//!                         for each token group: sums[tile][group] += rows · group
//!         add the bias, then the epilogue: store, add to, or multiply the output
//!         apply the activation function to what was stored
//! ```
//!
//! A block is multiplied exactly, in integers, and added by one fma (two with minima); f32
//! weights by one fma a column. So every row of every token is one chain over the blocks, and
//! neither threads nor tokens nor lanes change a bit.
//!
//! This file cuts; `drive.rs` has both loops, `epilogue.rs` what then becomes of sums;
//! `kernels/block.rs` and `floats.rs` multiply a block on any instruction set, and the files of
//! instruction sets have the rest.
#![allow(clippy::indexing_slicing)]

mod drive;
mod epilogue;
mod floats;
mod job;

use core::ops::Range;

use crate::base::disjoint::{MAX_PIECES, MatrixMut, for_each};
use crate::format::layout::{TILE_ROWS, WeightType, tiles};
use crate::kernels::block::{Int4, Int4a, Int4n, Int5, Int8};
use crate::kernels::elementwise::activation::{activate, clamped_gate};
use crate::kernels::isa::Isa;
use crate::kernels::machine::Machine;

use drive::Product;
use floats::Floats;
use job::{Pass, RowFunction};

pub use job::{Input, Job, Task};

/// Tiles of one job that one thread computes.
struct Piece<'a> {
    input: &'a Input<'a>,
    passes: [Option<Pass<'a>>; 2],
    /// A part of the job's tiles.
    range: Range<usize>,
    /// `(n, 16 · tiles in range)`
    out: MatrixMut<'a, f32>,
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

/// The tiles, counted once for each token, that make a piece of some jobs.
fn share(threads: usize, jobs: &[Job<'_>]) -> usize {
    let work_of = |job: &Job<'_>| tiles(job.task.rows()) * job.input.n;
    let decode = jobs.iter().all(|job| job.input.n <= 1);
    if let (true, [first, others @ ..]) = (decode, jobs)
        && others.iter().all(|job| work_of(job) == work_of(first))
    {
        // As few pieces of equal jobs as give every thread the same.
        let pieces = threads / gcd(threads, jobs.len()).max(1);
        if pieces.saturating_mul(jobs.len()) <= MAX_PIECES {
            return work_of(first).div_ceil(pieces.max(1));
        }
    }
    let most = if decode { PIECES_DECODE } else { PIECES_PREFILL };
    // The cut between two jobs may add a piece each.
    let wanted = threads.saturating_mul(most).min(MAX_PIECES.saturating_sub(jobs.len()));
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
    let (passes, all, each) = (task.passes(), tiles(task.rows()), each.max(1));
    let (input, mut rest) = (&*input, Some(MatrixMut::new(out, input.n, *stride)));
    (0..all.div_ceil(each)).filter_map(move |piece| {
        let range = piece * each..all.min((piece + 1) * each);
        let (out, right) = rest.take()?.split_cols(range.len() * TILE_ROWS);
        rest = Some(right);
        Some(Piece { input, passes, range, out })
    })
}

/// Checks everything that the kernels rely on.
fn check(job: &Job<'_>) {
    let input = &job.input;
    // A matrix without columns may have any number of rows.
    let rows = tiles(job.task.rows()).checked_mul(TILE_ROWS);
    assert!(rows.is_some_and(|rows| job.stride >= rows));
    // As many whole rows as `MatrixMut` counts.
    assert!(job.stride == 0 || job.out.len() / job.stride >= input.n);
    for pass in job.task.passes().into_iter().flatten() {
        let weight = pass.linear.weight;
        assert!(weight.rows() == job.task.rows() && weight.cols() == input.cols);
        assert!(pass.linear.bias.is_none_or(|bias| bias.len() == weight.rows()));
        if weight.kind().is_quantized() {
            assert!(input.acts.is_some_and(|a| a.n() >= input.n && a.cols() == input.cols));
        } else if input.n > 0 {
            let last = (input.n - 1).checked_mul(input.stride);
            let len = last.and_then(|last| last.checked_add(input.cols));
            assert!(len.is_some_and(|len| len <= input.x.len()));
        }
    }
}

/// Computes a piece: its passes over one weight type or another.
fn compute(isa: Isa, piece: Piece<'_>) {
    let Piece { input, passes, range, mut out } = piece;
    for pass in passes.into_iter().flatten() {
        let (range, out, function) = (range.clone(), &mut out, pass.function);
        match pass.linear.weight.kind() {
            WeightType::F32 => isa.run(Product::<Floats>::new(pass, input, range, out)),
            WeightType::Int8 => isa.run(Product::<Int8>::new(pass, input, range, out)),
            WeightType::Int4 => isa.run(Product::<Int4>::new(pass, input, range, out)),
            WeightType::Int4a => isa.run(Product::<Int4a>::new(pass, input, range, out)),
            WeightType::Int4n => isa.run(Product::<Int4n>::new(pass, input, range, out)),
            WeightType::Int5 => isa.run(Product::<Int5>::new(pass, input, range, out)),
        }
        (0..input.n).for_each(|token| match function {
            RowFunction::None => {}
            RowFunction::Activation(activation) => activate(isa, activation, out.row(token)),
            RowFunction::ClampedGate(clamped) => clamped_gate(isa, clamped, out.row(token)),
        });
    }
}
