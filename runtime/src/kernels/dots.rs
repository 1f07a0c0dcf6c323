//! Dot products of a block one group of activations at a time: for instruction sets where
//! neither two tokens nor two registers of rows have anything to share.
#![allow(clippy::indexing_slicing)]
// Registers come in arrays that are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop)]

use super::quants::{Int8, Nibbles, Quants};
use super::simd::{MOST_PARTS, Simd};
use crate::format::layout::GROUPS;

/// Registers whose lanes are 4 weights times the same 4 activations.
pub(crate) trait Steps: Simd {
    /// The running dot products of one block with unsigned nibbles.
    type Z4: Copy;
    /// The running dot products of one block with int8.
    type Z8: Copy;

    /// Minus what is to be taken off, in each lane.
    fn start4(self, a: &Self::A4) -> Self::Z4;
    fn start8(self, a: &Self::A8) -> Self::Z8;
    /// Adds the dot product with activation group `g` (0 … 7); each group once before
    /// [`Steps::sum4`].
    fn dot_u4(self, z: Self::Z4, w: Self::W, a: &Self::A4, g: usize) -> Self::Z4;
    /// Adds the dot product with activation group `g`, plus [`Simd::I8_OFFSET`] times the
    /// group's sum: groups 0 … 7 in this order before [`Steps::sum8`].
    fn dot_i8(self, z: Self::Z8, w: Self::W8, a: &Self::A8, g: usize) -> Self::Z8;
    fn sum4(self, z: Self::Z4) -> Self::I;
    fn sum8(self, z: Self::Z8) -> Self::I;
}

/// An integer weight type in steps.
pub(super) trait Stepped: Quants {
    /// Running dot products.
    type Dots<S: Steps>: Copy;

    fn start<S: Steps>(s: S, acts: &Self::Acts<S>) -> Self::Dots<S>;
    /// Adds the products of line `number`.
    fn add<S: Steps>(
        s: S,
        dots: Self::Dots<S>,
        line: Self::Line<S>,
        acts: &Self::Acts<S>,
        number: usize,
    ) -> Self::Dots<S>;
    fn finish<S: Steps>(s: S, dots: Self::Dots<S>) -> S::I;
}

impl Stepped for Int8 {
    type Dots<S: Steps> = S::Z8;

    #[inline(always)]
    fn start<S: Steps>(s: S, acts: &S::A8) -> S::Z8 {
        s.start8(acts)
    }
    #[inline(always)]
    fn add<S: Steps>(s: S, dots: S::Z8, line: S::W8, acts: &S::A8, number: usize) -> S::Z8 {
        s.dot_i8(dots, line, acts, number)
    }
    #[inline(always)]
    fn finish<S: Steps>(s: S, dots: S::Z8) -> S::I {
        s.sum8(dots)
    }
}

impl<const MINIMUM: bool> Stepped for Nibbles<MINIMUM> {
    type Dots<S: Steps> = S::Z4;

    #[inline(always)]
    fn start<S: Steps>(s: S, acts: &S::A4) -> S::Z4 {
        s.start4(acts)
    }
    #[inline(always)]
    fn add<S: Steps>(
        s: S,
        dots: S::Z4,
        (low, high): (S::W, S::W),
        acts: &S::A4,
        number: usize,
    ) -> S::Z4 {
        let dots = s.dot_u4(dots, low, acts, number);
        s.dot_u4(dots, high, acts, number + GROUPS / 2)
    }
    #[inline(always)]
    fn finish<S: Steps>(s: S, dots: S::Z4) -> S::I {
        s.sum4(dots)
    }
}

/// The integer dot products of a block's rows with `T` tokens, offsets taken off:
/// [`Simd::TOGETHER`] parts, counted from `first`. (An array indexed by what the compiler
/// cannot know would live in memory.)
#[inline(always)]
pub(super) fn dots<S: Steps, Q: Stepped, const T: usize>(
    s: S,
    ready: impl Fn(usize, usize) -> Q::Line<S>,
    acts: [&Q::Acts<S>; T],
    first: usize,
) -> [[S::I; MOST_PARTS]; T] {
    let mut running = [[Q::start(s, acts[0]); MOST_PARTS]; T];
    for t in 1..T {
        running[t] = [Q::start(s, acts[t]); MOST_PARTS];
    }
    // Written out: the number of a line picks instructions, and a compiler that meets the
    // choice in a loop may leave both there.
    add_line::<S, Q, T>(s, &mut running, &ready, acts, first, 0);
    add_line::<S, Q, T>(s, &mut running, &ready, acts, first, 1);
    add_line::<S, Q, T>(s, &mut running, &ready, acts, first, 2);
    add_line::<S, Q, T>(s, &mut running, &ready, acts, first, 3);
    if Q::LINES == 8 {
        add_line::<S, Q, T>(s, &mut running, &ready, acts, first, 4);
        add_line::<S, Q, T>(s, &mut running, &ready, acts, first, 5);
        add_line::<S, Q, T>(s, &mut running, &ready, acts, first, 6);
        add_line::<S, Q, T>(s, &mut running, &ready, acts, first, 7);
    }
    let mut sums = [[s.splat_i(0); MOST_PARTS]; T];
    for t in 0..T {
        for part in 0..S::TOGETHER {
            sums[t][part] = Q::finish(s, running[t][part]);
        }
    }
    sums
}

/// Adds the products of one line to the running sums.
#[inline(always)]
fn add_line<S: Steps, Q: Stepped, const T: usize>(
    s: S,
    running: &mut [[Q::Dots<S>; MOST_PARTS]; T],
    ready: &impl Fn(usize, usize) -> Q::Line<S>,
    acts: [&Q::Acts<S>; T],
    first: usize,
    line: usize,
) {
    for part in 0..S::TOGETHER {
        let weights = ready(line, first + part);
        for t in 0..T {
            running[t][part] = Q::add(s, running[t][part], weights, acts[t], line);
        }
    }
}
