//! Values times their weights, for each kind of cache.
#![allow(unsafe_code, clippy::indexing_slicing)]
// Registers come in arrays that are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop)]

use super::TOGETHER_FOR_PRODUCTS;
use super::kinds::Floats;
use super::tile::{Scores, Seen, Tile};
use crate::format::kv::TILE_KEYS;
use crate::format::layout::{LINE, TILE_ROWS};
use crate::kernels::acts::factors;
use crate::kernels::simd::{MOST_PARTS, Simd};

/// The exponentials are the weights; keys that are not seen are skipped.
///
/// # Safety
/// As [`Cache::weigh`](super::kinds::Cache::weigh) asks.
#[inline(always)]
pub(super) unsafe fn weigh_floats<S: Simd, F: Floats, const Q: usize>(
    s: S,
    tile: Tile,
    seen: Seen,
    p: &Scores<Q>,
    rescale: &[f32; Q],
    acc: &mut [f32],
) {
    let dims = acc.len() / Q;
    for dim in (0..dims).step_by(TILE_ROWS) {
        let mut sums = [[s.splat(0.0); MOST_PARTS]; Q];
        for q in 0..Q {
            for part in 0..S::PARTS {
                // SAFETY: 16 values from `dim` on lie in each row.
                let v = unsafe { s.load(acc.as_ptr().add(q * dims + dim + part * S::LANES)) };
                sums[q][part] = s.mul(v, s.splat(rescale[q]));
            }
        }
        for key in seen.keys() {
            let at = key * dims + dim;
            // SAFETY: 16 values from `dim` on lie in each row.
            let v = unsafe { F::load(s, tile.values.add(at * F::KIND.bytes())) };
            for q in 0..Q {
                let weight = s.splat(p[q][key]);
                for part in 0..S::PARTS {
                    sums[q][part] = s.fma(weight, v[part], sums[q][part]);
                }
            }
        }
        for q in 0..Q {
            for part in 0..S::PARTS {
                let to = acc.as_mut_ptr().wrapping_add(q * dims + dim + part * S::LANES);
                // SAFETY: 16 values from `dim` on lie in each row.
                unsafe { s.store(to, sums[q][part]) };
            }
        }
    }
}

/// A dimension is a lane, 16 of them are a tile of int8 weights whose only block of columns is
/// the keys. The weights of a query, exponentials times the values' scales and 0 for keys that
/// are not seen, are the block of activations that meets it.
///
/// # Safety
/// As [`Cache::weigh`](super::kinds::Cache::weigh) asks.
#[inline(always)]
pub(super) unsafe fn weigh_int8<S: Simd, const Q: usize>(
    s: S,
    tile: Tile,
    seen: Seen,
    p: &mut Scores<Q>,
    rescale: &[f32; Q],
    acc: &mut [f32],
) {
    let dims = acc.len() / Q;
    // SAFETY: as the caller promises.
    let (acts, scales) = unsafe { quantized(s, tile, seen, p) };
    let few = acts.as_chunks::<TOGETHER_FOR_PRODUCTS>().0;
    for dim in (0..dims).step_by(TILE_ROWS) {
        let lines = tile.values.wrapping_add(dim * TILE_KEYS);
        if S::PARTS == 1 || Q < TOGETHER_FOR_PRODUCTS {
            let weighed = Weighed { lines, dims, scales: &scales, rescale };
            // SAFETY: as the caller promises: 16 dimensions from `dim` on.
            unsafe { weighed.add(s, &acts, acc.as_mut_ptr().add(dim)) };
            continue;
        }
        for (i, acts) in few.iter().enumerate() {
            let q = i * TOGETHER_FOR_PRODUCTS;
            let (scales, rescale) = (&scales[q..], &rescale[q..]);
            let weighed = Weighed { lines, dims, scales, rescale };
            // SAFETY: as above, of these queries.
            unsafe { weighed.add(s, acts, acc.as_mut_ptr().add(q * dims + dim)) };
        }
    }
}

/// 16 dimensions of a tile's values on their way to sums.
struct Weighed<'a> {
    lines: *const u8,
    /// From one query's sums to the next.
    dims: usize,
    scales: &'a [f32],
    rescale: &'a [f32],
}

impl Weighed<'_> {
    /// Adds them, times their weights, to the rescaled sums of `Q` queries.
    ///
    /// # Safety
    /// The lines are there; `acc` points to 16 sums of the first query, and as many of the others.
    #[inline(always)]
    unsafe fn add<S: Simd, const Q: usize>(&self, s: S, acts: &[S::A7; Q], acc: *mut f32) {
        for first in (0..S::PARTS).step_by(S::TOGETHER) {
            // SAFETY: 8 lines for 16 dimensions.
            let line =
                |line, part| unsafe { s.load_w(self.lines.add(line * LINE + part * 4 * S::LANES)) };
            let dots = s.dots7(line, acts.each_ref(), first);
            for q in 0..Q {
                let (scale, rescale) = (s.splat(self.scales[q]), s.splat(self.rescale[q]));
                for part in 0..S::TOGETHER {
                    // SAFETY: as the caller promises.
                    unsafe {
                        let to = acc.add(q * self.dims + (first + part) * S::LANES);
                        let before = s.mul(s.load(to), rescale);
                        s.store(to, s.fma(s.to_f(dots[q][part]), scale, before));
                    }
                }
            }
        }
    }
}

/// The weights of `Q` queries, quantized as activations are, and their scales.
///
/// # Safety
/// The tile has 32 scales of values.
#[inline(always)]
unsafe fn quantized<S: Simd, const Q: usize>(
    s: S,
    tile: Tile,
    seen: Seen,
    p: &mut Scores<Q>,
) -> ([S::A7; Q], [f32; TILE_ROWS]) {
    let mut lanes = [s.splat(0.0); Q];
    for q in 0..Q {
        for at in (0..TILE_KEYS).step_by(S::LANES) {
            let p = p[q].as_mut_ptr().wrapping_add(at);
            // SAFETY: `at + LANES` is at most 32, and so many scales there are.
            unsafe {
                let weight = s.mul(s.load(p), s.load(tile.value_scales.add(at)));
                let weight = seen.only(s, at, weight, 0.0);
                lanes[q] = s.max(lanes[q], weight);
                s.store(p, weight);
            }
        }
    }
    let largest = s.max_lanes_each(&lanes);
    let (mut inverse, mut scale) = ([0.0; TILE_ROWS], [0.0; TILE_ROWS]);
    for at in (0..Q).step_by(S::LANES) {
        // SAFETY: `at + LANES` is at most 16.
        unsafe {
            let (by, of_quants) = factors(s, s.load(largest.as_ptr().add(at)));
            s.store(inverse.as_mut_ptr().add(at), by);
            s.store(scale.as_mut_ptr().add(at), of_quants);
        }
    }
    let mut acts = [acts(s, &p[0], inverse[0]); Q];
    for q in 1..Q {
        acts[q] = self::acts(s, &p[q], inverse[q]);
    }
    (acts, scale)
}

/// A query's weights, made ready.
#[inline(always)]
fn acts<S: Simd>(s: S, weights: &[f32; TILE_KEYS], inverse: f32) -> S::A7 {
    let mut quants = [[s.splat_i(0); MOST_PARTS]; TILE_KEYS / TILE_ROWS];
    for at in (0..TILE_KEYS).step_by(S::LANES) {
        // SAFETY: `at + LANES` is at most 32.
        let weight = unsafe { s.load(weights.as_ptr().add(at)) };
        let part = at % TILE_ROWS / S::LANES;
        quants[at / TILE_ROWS][part] = s.round(s.mul(weight, s.splat(inverse)));
    }
    s.acts7(quants)
}
