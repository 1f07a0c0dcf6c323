//! Caches of floats, f32 or f16: keys and values are rows.
#![allow(unsafe_code, clippy::indexing_slicing)]
// Registers come in arrays that are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop)]

use super::tile::{QueryPointers, Scores, Tile, TileKernel, VisibleKeys};
use crate::format::kv::KvType;
use crate::format::layout::TILE_ROWS;
use crate::kernels::elementwise::vector::load_16;
use crate::kernels::simd::{MAX_PARTS, Simd, Wide};

/// A cache of one float type.
pub(super) trait FloatCache {
    const KIND: KvType;

    /// Reads 16 values.
    ///
    /// # Safety
    /// They exist.
    unsafe fn load<S: Simd>(s: S, from: *const u8) -> Wide<S>;
}

/// Keys and values in f16.
pub(super) struct F16;

impl FloatCache for F16 {
    const KIND: KvType = KvType::F16;

    #[inline(always)]
    unsafe fn load<S: Simd>(s: S, from: *const u8) -> Wide<S> {
        let mut wide = [s.splat(0.0); MAX_PARTS];
        for part in 0..S::PARTS {
            // SAFETY: 16 values exist, as the caller promises.
            wide[part] = unsafe { s.load_f16(from.add(2 * part * S::LANES)) };
        }
        wide
    }
}

/// Keys and values in f32.
pub(super) struct F32;

impl FloatCache for F32 {
    const KIND: KvType = KvType::F32;

    #[inline(always)]
    unsafe fn load<S: Simd>(s: S, from: *const u8) -> Wide<S> {
        // SAFETY: 16 values exist, as the caller promises.
        unsafe { load_16(s, from.cast()) }
    }
}

impl<F: FloatCache> TileKernel for F {
    const KIND: KvType = F::KIND;

    /// Dot products by 16 strided partial sums. The padding of a head is 0 on both sides. It
    /// can turn a partial sum of −0 into +0, where skipping would not, but the sign of a score
    /// that is 0 is lost in exp(0) = 1.
    #[inline(always)]
    unsafe fn scores<S: Simd, const Q: usize>(
        s: S,
        tile: Tile,
        queries: QueryPointers,
        seen: VisibleKeys,
        scores: &mut Scores<Q>,
    ) {
        for key in seen.keys() {
            let mut sums = [[s.splat(0.0); MAX_PARTS]; Q];
            for dim in (0..queries.dims).step_by(TILE_ROWS) {
                // SAFETY: `dims` is a multiple of 16; the key is one of the tile's 32.
                unsafe {
                    let at = (key * queries.dims + dim) * F::KIND.bytes();
                    let k = F::load(s, tile.keys.add(at));
                    for part in 0..S::PARTS {
                        for q in 0..Q {
                            let at = q * queries.dims + dim + part * S::LANES;
                            sums[q][part] =
                                s.fma(s.load(queries.x.add(at)), k[part], sums[q][part]);
                        }
                    }
                }
            }
            for q in 0..Q {
                scores[q][key] = s.sum16(sums[q]);
            }
        }
    }

    /// The exponentials are the weights; keys that are not seen are skipped.
    #[inline(always)]
    unsafe fn weigh<S: Simd, const Q: usize>(
        s: S,
        tile: Tile,
        seen: VisibleKeys,
        p: &mut Scores<Q>,
        rescale: &[f32; Q],
        acc: &mut [f32],
    ) {
        let dims = acc.len() / Q;
        for dim in (0..dims).step_by(TILE_ROWS) {
            let mut sums = [[s.splat(0.0); MAX_PARTS]; Q];
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
}
