//! One tile's step of a running softmax.
#![allow(unsafe_code, clippy::indexing_slicing)]
// Queries are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop)]

use super::tile::{Scores, VisibleKeys};
use crate::format::kv::TILE_KEYS;
use crate::format::layout::TILE_ROWS;
use crate::kernels::elementwise::vector::exp_limited;
use crate::kernels::simd::{MAX_PARTS, Simd};

/// Turns a tile's scores into exponentials (of keys that are not seen, into anything), takes
/// them into the largest scores and the sums, and gives the factors for what was summed
/// before.
///
/// Each step is done for all queries before the next: one query alone is a chain of some
/// hundred cycles, in which a CPU that waits finds nothing else to do. What a query has one
/// number of becomes a lane.
#[inline(always)]
pub(super) fn softmax<S: Simd, const Q: usize>(
    s: S,
    scores: &mut Scores<Q>,
    seen: VisibleKeys,
    max: &mut [f32; Q],
    sum: &mut [f32; Q],
) -> [f32; TILE_ROWS] {
    let mut lanes = [s.splat(0.0); Q];
    for q in 0..Q {
        lanes[q] = largest(s, &scores[q], seen);
    }
    let rescale = raise(s, &s.max_lanes_each(&lanes), max, sum);
    for q in 0..Q {
        lanes[q] = exponentials(s, &mut scores[q], seen, max[q]);
    }
    let of_tile = s.sum_lanes_each(&lanes);
    let mut sums = padded(sum);
    for at in (0..Q).step_by(S::LANES) {
        let before = sums.as_mut_ptr().wrapping_add(at);
        // SAFETY: `at + LANES` is at most 16.
        unsafe {
            let of_tile = s.load(of_tile.as_ptr().add(at));
            let factor = s.load(rescale.as_ptr().add(at));
            s.store(before, s.fma(s.load(before), factor, of_tile));
        }
    }
    sum.copy_from_slice(&sums[..Q]);
    rescale
}

/// Takes the largest scores of a tile into those of all before, and gives the factors for what
/// was summed with those.
#[inline(always)]
fn raise<S: Simd, const Q: usize>(
    s: S,
    of_tile: &[f32; TILE_ROWS],
    max: &mut [f32; Q],
    sum: &[f32; Q],
) -> [f32; TILE_ROWS] {
    let (mut most, sum, mut rescale) = (padded(max), padded(sum), [0.0; TILE_ROWS]);
    for at in (0..Q).step_by(S::LANES) {
        let most = most.as_mut_ptr().wrapping_add(at);
        // SAFETY: `at + LANES` is at most 16.
        unsafe {
            let (of_tile, sum) = (s.load(of_tile.as_ptr().add(at)), s.load(sum.as_ptr().add(at)));
            // A query that has seen nothing begins with its first tile.
            let last = s.select_lt(s.splat(0.0), sum, s.load(most), of_tile);
            let now = s.max(last, of_tile);
            s.store(most, now);
            s.store(rescale.as_mut_ptr().add(at), exp_limited(s, s.sub(last, now)));
        }
    }
    max.copy_from_slice(&most[..Q]);
    rescale
}

/// A number for each query, zeros behind them.
#[inline(always)]
fn padded<const Q: usize>(each: &[f32; Q]) -> [f32; TILE_ROWS] {
    let mut padded = [0.0; TILE_ROWS];
    padded[..Q].copy_from_slice(each);
    padded
}

/// Scores of the keys that are seen, the largest of them all among them.
#[inline(always)]
fn largest<S: Simd>(s: S, scores: &[f32; TILE_KEYS], seen: VisibleKeys) -> S::F {
    let mut largest = s.splat(f32::NEG_INFINITY);
    for at in (0..TILE_KEYS).step_by(S::LANES) {
        // SAFETY: `at + LANES` is at most 32.
        let v = unsafe { s.load(scores.as_ptr().add(at)) };
        largest = s.max(largest, seen.only(s, at, v, f32::NEG_INFINITY));
    }
    largest
}

/// Puts exponentials in place of a query's scores, and gives partial sums of them, the first
/// steps of [`Simd::sum16`].
#[inline(always)]
fn exponentials<S: Simd>(s: S, scores: &mut [f32; TILE_KEYS], seen: VisibleKeys, max: f32) -> S::F {
    let mut sums = [s.splat(0.0); MAX_PARTS];
    for at in (0..TILE_KEYS).step_by(S::LANES) {
        let part = at / S::LANES % S::PARTS;
        let score = scores.as_mut_ptr().wrapping_add(at);
        // SAFETY: `at + LANES` is at most 32.
        unsafe {
            let p = exp_limited(s, s.sub(s.load(score), s.splat(max)));
            // Not negative, so that adding +0 for a key not seen is to skip it.
            sums[part] = s.add(sums[part], seen.only(s, at, p, 0.0));
            s.store(score, p);
        }
    }
    s.sum_parts(sums)
}
