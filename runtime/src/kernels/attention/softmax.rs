//! One tile's step of a running softmax.
#![allow(unsafe_code, clippy::indexing_slicing)]
// Queries are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop)]

use core::ops::Range;

use super::bend::KEYS;
use super::partial::{exp_one, first_lane};
use super::scores::{Cache, Scores};
use crate::kernels::simd::{MOST_PARTS, Simd};
use crate::kernels::vector::exp;
use crate::kv::{KvType, TILE_KEYS};

/// Turns a tile's scores into the weights of its values (times their scales), takes them
/// into the largest scores and the sums, and gives the factors for what was summed before.
///
/// Each step is done for all queries before the next: one query alone is a chain of some
/// hundred cycles, in which a CPU that waits finds nothing else to do.
///
/// # Safety
/// For int8, `value_scales` points to 32.
#[inline(always)]
pub(super) unsafe fn softmax<S: Simd, C: Cache, const Q: usize>(
    s: S,
    scores: &mut Scores<Q>,
    value_scales: *const f32,
    seen: Range<usize>,
    max: &mut [f32; Q],
    sum: &mut [f32; Q],
) -> [f32; Q] {
    let seen =
        Seen { start: seen.start as f32, end: seen.end as f32, all: seen.len() == TILE_KEYS };
    let mut rescale = [1.0; Q];
    for q in 0..Q {
        let lanes = largest(s, &scores[q], seen);
        // Most tiles bring nothing larger, and exp(0) is 1.
        if sum[q] != 0.0 && !s.any_above(lanes, max[q]) {
            continue;
        }
        let of_tile = s.max16(lanes);
        let before = if sum[q] == 0.0 { of_tile } else { max[q] };
        max[q] = if before > of_tile { before } else { of_tile };
        if before != max[q] {
            rescale[q] = exp_one(s, before - max[q]);
        }
    }
    let mut sums = [0.0; Q];
    for q in (0..Q).step_by(2) {
        // SAFETY: as the caller promises.
        let first = unsafe { weights::<S, C>(s, &mut scores[q], value_scales, seen, max[q]) };
        if q + 1 == Q {
            sums[q] = s.sum16(first);
            break;
        }
        // SAFETY: as the caller promises.
        let second =
            unsafe { weights::<S, C>(s, &mut scores[q + 1], value_scales, seen, max[q + 1]) };
        [sums[q], sums[q + 1]] = s.sums16(first, second);
    }
    for q in 0..Q {
        sum[q] = first_lane(s, s.fma(s.splat(sum[q]), s.splat(rescale[q]), s.splat(sums[q])));
    }
    rescale
}

/// Sixteen scores, the largest of all keys that are seen among them.
#[inline(always)]
fn largest<S: Simd>(s: S, scores: &[f32; TILE_KEYS], seen: Seen) -> [S::F; MOST_PARTS] {
    let mut largest = [s.splat(f32::NEG_INFINITY); MOST_PARTS];
    for at in (0..TILE_KEYS).step_by(S::LANES) {
        let part = at / S::LANES % S::PARTS;
        // SAFETY: `at + LANES` is at most 32.
        let v = unsafe { s.load(scores.as_ptr().add(at)) };
        largest[part] = s.max(largest[part], seen.only(s, at, v, f32::NEG_INFINITY));
    }
    largest
}

/// Puts weights in place of a query's scores, and gives 16 partial sums of the exponentials.
///
/// # Safety
/// For int8, `value_scales` points to 32.
#[inline(always)]
unsafe fn weights<S: Simd, C: Cache>(
    s: S,
    scores: &mut [f32; TILE_KEYS],
    value_scales: *const f32,
    seen: Seen,
    max: f32,
) -> [S::F; MOST_PARTS] {
    let mut sums = [s.splat(0.0); MOST_PARTS];
    for at in (0..TILE_KEYS).step_by(S::LANES) {
        let part = at / S::LANES % S::PARTS;
        // SAFETY: `at + LANES` is at most 32, and so many scales there are.
        unsafe {
            let score = s.load(scores.as_ptr().add(at));
            let p = exp(s, s.sub(score, s.splat(max)));
            // Not negative, so that adding +0 for a key not seen is to skip it.
            sums[part] = s.add(sums[part], seen.only(s, at, p, 0.0));
            let weight = match C::KIND {
                KvType::Int8 => s.mul(p, s.load(value_scales.add(at))),
                KvType::F16 | KvType::F32 => p,
            };
            s.store(scores.as_mut_ptr().add(at), weight);
        }
    }
    sums
}

/// The keys of a tile that a query sees.
#[derive(Clone, Copy)]
struct Seen {
    start: f32,
    end: f32,
    all: bool,
}

impl Seen {
    /// `v` for those of the keys from `at` on that are seen, `other` for the rest.
    #[inline(always)]
    fn only<S: Simd>(self, s: S, at: usize, v: S::F, other: f32) -> S::F {
        if self.all {
            return v;
        }
        let other = s.splat(other);
        // SAFETY: `at + LANES` is at most 32.
        let key = unsafe { s.load(KEYS.as_ptr().add(at)) };
        s.select_lt(key, s.splat(self.start), other, s.select_lt(key, s.splat(self.end), v, other))
    }
}
