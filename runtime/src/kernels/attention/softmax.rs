//! One tile's step of a running softmax.
#![allow(unsafe_code, clippy::indexing_slicing)]

use core::ops::Range;

use super::partial::{exp_one, first_lane};
use super::scores::Cache;
use crate::kernels::simd::{MOST_PARTS, Simd};
use crate::kernels::vector::exp;
use crate::kv::{KvType, TILE_KEYS};

/// The index of each key.
const KEYS: [f32; TILE_KEYS] = {
    let mut keys = [0.0; TILE_KEYS];
    let mut i = 0;
    while i < TILE_KEYS {
        keys[i] = i as f32;
        i += 1;
    }
    keys
};

/// Turns a tile's scores into the weights of its values (times their scales), takes them
/// into the largest score and the sum, and gives the factor for what was summed before.
///
/// # Safety
/// For int8, `value_scales` points to 32.
#[inline(always)]
pub(super) unsafe fn softmax<S: Simd, C: Cache>(
    s: S,
    scores: &mut [f32; TILE_KEYS],
    value_scales: *const f32,
    seen: Range<usize>,
    max: &mut f32,
    sum: &mut f32,
) -> f32 {
    let (start, end) = (s.splat(seen.start as f32), s.splat(seen.end as f32));
    let only_seen = |at: usize, v: S::F, other: S::F| {
        if seen.len() == TILE_KEYS {
            return v;
        }
        // SAFETY: `at + LANES` is at most 32.
        let key = unsafe { s.load(KEYS.as_ptr().add(at)) };
        s.select_lt(key, start, other, s.select_lt(key, end, v, other))
    };
    let mut largest = [s.splat(f32::NEG_INFINITY); MOST_PARTS];
    for at in (0..TILE_KEYS).step_by(S::LANES) {
        let part = at / S::LANES % S::PARTS;
        // SAFETY: `at + LANES` is at most 32.
        let v = unsafe { s.load(scores.as_ptr().add(at)) };
        largest[part] = s.max(largest[part], only_seen(at, v, s.splat(f32::NEG_INFINITY)));
    }
    let of_tile = s.max16(largest);
    let before = if *sum == 0.0 { of_tile } else { *max };
    *max = if before > of_tile { before } else { of_tile };
    let mut sums = [s.splat(0.0); MOST_PARTS];
    for at in (0..TILE_KEYS).step_by(S::LANES) {
        let part = at / S::LANES % S::PARTS;
        // SAFETY: `at + LANES` is at most 32, and so many scales there are.
        unsafe {
            let score = s.load(scores.as_ptr().add(at));
            let p = exp(s, s.sub(score, s.splat(*max)));
            // Not negative, so that adding +0 for a key not seen is to skip it.
            sums[part] = s.add(sums[part], only_seen(at, p, s.splat(0.0)));
            let weight = match C::KIND {
                KvType::Int8 => s.mul(p, s.load(value_scales.add(at))),
                KvType::F16 | KvType::F32 => p,
            };
            s.store(scores.as_mut_ptr().add(at), weight);
        }
    }
    let rescale = exp_one(s, before - *max);
    *sum = first_lane(s, s.fma(s.splat(*sum), s.splat(rescale), s.splat(s.sum16(sums))));
    rescale
}
