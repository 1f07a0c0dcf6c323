//! How a block of integer weights meets several tokens: one after the other, or, where an
//! instruction multiplies by two tokens at once, in pairs.
#![allow(unsafe_code, clippy::indexing_slicing)]
// Registers come in arrays that are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop)]

use core::mem::MaybeUninit;

use super::quants::{Quants, packed_line, scales};
use super::simd::{MOST_PARTS, Simd};
use super::weights::{At, Lines, Rows};
use crate::format::layout::{BLOCK_COLS, GROUPS};

/// See the methods of the same names of [`super::weights::Weights`].
pub(crate) trait Several<S: Simd> {
    /// Tokens of a group: 1, or 2.
    const WOVEN: usize;
    /// Registers of rows that are made ready together.
    const TOGETHER: usize;
    /// Groups that [`Several::add`] takes at once.
    const AT_ONCE: usize;
    /// The inputs of a group of tokens to one block.
    type Acts<Q: Quants>: Copy;
    /// The weights of some rows of a block.
    type Ready<Q: Quants>;

    /// Goes before all others, and [`Several::end`] after them, on the same thread.
    #[inline(always)]
    fn begin(_s: S) {}
    #[inline(always)]
    fn end(_s: S) {}

    unsafe fn acts<Q: Quants>(s: S, lines: Lines, tokens: [usize; 2], b: usize) -> Self::Acts<Q>;
    unsafe fn ready<Q: Quants>(s: S, block: *const u8, first: usize) -> Self::Ready<Q>;
    unsafe fn add<Q: Quants, const T: usize>(
        s: S,
        ready: &Self::Ready<Q>,
        at: At<Self::Acts<Q>>,
    ) -> At<Self::Acts<Q>>;
    #[inline(always)]
    unsafe fn add_many<Q: Quants>(
        _s: S,
        _ready: &Self::Ready<Q>,
        at: At<Self::Acts<Q>>,
        groups: usize,
    ) -> (At<Self::Acts<Q>>, usize) {
        (at, groups)
    }
    unsafe fn unweave(s: S, sums: *mut f32, groups: usize);
}

/// Activations with their scale and sum.
#[derive(Clone, Copy)]
pub(crate) struct Scaled<A> {
    pub(super) acts: A,
    scale: f32,
    sum: f32,
}

impl<A> Scaled<A> {
    /// One token's, for one block.
    ///
    /// # Safety
    /// Token and block are there.
    #[inline(always)]
    pub(super) unsafe fn one<S: Simd, Q: Quants<Acts<S> = A>>(
        s: S,
        lines: Lines,
        token: usize,
        b: usize,
    ) -> Self {
        let at = token * lines.blocks + b;
        // SAFETY: as the caller promises.
        unsafe {
            let (scale, sum) = (*lines.scale.add(at), *lines.sum.add(at));
            Self::new::<S, Q>(s, lines.q.add(at * BLOCK_COLS), scale, sum)
        }
    }

    /// # Safety
    /// 32 activations are at `q`, and this is their sum.
    #[inline(always)]
    pub(super) unsafe fn new<S: Simd, Q: Quants<Acts<S> = A>>(
        s: S,
        q: *const i8,
        scale: f32,
        sum: f32,
    ) -> Self {
        // SAFETY: as the caller promises; a sum of 32 quants lies within ±4,064.
        unsafe {
            let less = Q::offset::<S>() * sum.to_int_unchecked::<i32>();
            Self { acts: Q::acts(s, q, less), scale, sum }
        }
    }
}

/// A register of sums after this block: its dot products with one token, scaled, and the
/// minima for each unit of activation.
#[inline(always)]
pub(super) fn scaled<S: Simd, Q: Quants>(
    s: S,
    dots: S::I,
    acts: &Scaled<Q::Acts<S>>,
    weights: (S::F, S::F),
    sums: S::F,
) -> S::F {
    rescaled::<S, Q>(s, dots, (acts.scale, acts.sum), weights, sums)
}

/// The same by the scale and sum of activations.
#[inline(always)]
pub(super) fn rescaled<S: Simd, Q: Quants>(
    s: S,
    dots: S::I,
    (scale, sum): (f32, f32),
    (scales, minima): (S::F, S::F),
    sums: S::F,
) -> S::F {
    let scale = s.splat(scale);
    let sums = s.fma(s.to_f(dots), s.mul(scales, scale), sums);
    if Q::MINIMUM { s.fma(s.splat(sum), s.mul(minima, scale), sums) } else { sums }
}

/// One token after the other.
pub(crate) struct Each;

/// The lines of some rows of a block and, in floats, its scales and minima.
pub(crate) struct Unpacked<S: Simd, L> {
    lines: [MaybeUninit<L>; GROUPS * MOST_PARTS],
    scales: Rows<S>,
    minima: Rows<S>,
}

impl<S: Simd> Several<S> for Each {
    const WOVEN: usize = 1;
    const TOGETHER: usize = S::TOGETHER;
    const AT_ONCE: usize = S::MATMUL_TOKENS;
    type Acts<Q: Quants> = Scaled<Q::Acts<S>>;
    type Ready<Q: Quants> = Unpacked<S, Q::Line<S>>;

    #[inline(always)]
    unsafe fn acts<Q: Quants>(s: S, lines: Lines, tokens: [usize; 2], b: usize) -> Self::Acts<Q> {
        // SAFETY: as the caller promises.
        unsafe { Scaled::one::<S, Q>(s, lines, tokens[0], b) }
    }

    #[inline(always)]
    unsafe fn ready<Q: Quants>(s: S, block: *const u8, first: usize) -> Self::Ready<Q> {
        let mut lines = [const { MaybeUninit::uninit() }; GROUPS * MOST_PARTS];
        // SAFETY: the lines, scales and minima of one block.
        unsafe {
            for line in 0..Q::LINES {
                for part in 0..S::TOGETHER {
                    let packed = packed_line::<S, Q>(s, block, line, first + part);
                    lines[line * S::TOGETHER + part].write(packed);
                }
            }
            let (scales, minima) = scales::<S, Q>(s, block, first, S::TOGETHER);
            Unpacked { lines, scales, minima }
        }
    }

    #[inline(always)]
    unsafe fn add<Q: Quants, const T: usize>(
        s: S,
        ready: &Self::Ready<Q>,
        (from, sums): At<Self::Acts<Q>>,
    ) -> At<Self::Acts<Q>> {
        // SAFETY: as many activations, as the caller promises.
        let acts = unsafe { &*from.cast::<[Self::Acts<Q>; T]>() };
        let line = |line: usize, part: usize| {
            // SAFETY: `ready` wrote every line.
            unsafe { ready.lines[line * S::TOGETHER + part].assume_init() }
        };
        let mut quants = [&acts[0].acts; T];
        for t in 1..T {
            quants[t] = &acts[t].acts;
        }
        let dots = Q::dots(s, line, quants, 0);
        for t in 0..T {
            for part in 0..S::TOGETHER {
                let scales = (ready.scales[part], ready.minima[part]);
                let sums = sums.wrapping_add((t * S::TOGETHER + part) * S::LANES);
                // SAFETY: as many sums, as the caller promises.
                unsafe {
                    let after = scaled::<S, Q>(s, dots[t][part], &acts[t], scales, s.load(sums));
                    s.store(sums, after);
                }
            }
        }
        (from.wrapping_add(T), sums.wrapping_add(T * S::TOGETHER * S::LANES))
    }

    #[inline(always)]
    unsafe fn unweave(_s: S, _sums: *mut f32, _groups: usize) {}
}
