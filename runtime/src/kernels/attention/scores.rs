//! Scores: queries times the keys of a tile, for each kind of cache.
#![allow(unsafe_code, clippy::indexing_slicing)]
// Registers come in arrays that are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop)]

use core::ops::Range;

use crate::kernels::quants::{Int8, Quants, packed_line};
use crate::kernels::simd::{MOST_PARTS, Simd};
use crate::kernels::vector::{Wide, load_16};
use crate::kv::{KvType, TILE_KEYS};
use crate::layout::{BLOCK_COLS, GROUPS, LINE, TILE_ROWS};

/// The scores of a tile's keys, and then their weights, for queries that go together.
pub(super) type Scores<const Q: usize> = [[f32; TILE_KEYS]; Q];

/// A kind of cache, as the kernels see it.
pub(super) trait Cache {
    const KIND: KvType;

    /// The scores of the keys in `seen` (others may be left or computed) of a tile whose
    /// keys begin at `keys`, for `Q` queries from `first` on.
    ///
    /// Here for floats, whose keys are rows: dot products by 16 strided partial sums. The
    /// padding of a head is 0 on both sides. It can turn a partial sum of −0 into +0, where
    /// skipping would not, but the sign of a score that is 0 is lost in exp(0) = 1.
    ///
    /// # Safety
    /// The shapes have been checked; the tile exists and `seen` lies inside it.
    #[inline(always)]
    unsafe fn scores<S: Simd, const Q: usize>(
        s: S,
        tile: Tile,
        queries: Rows,
        seen: Range<usize>,
        scores: &mut Scores<Q>,
    ) {
        for key in seen {
            let mut sums = [[s.splat(0.0); MOST_PARTS]; Q];
            for dim in (0..queries.dims).step_by(TILE_ROWS) {
                // SAFETY: `dims` is a multiple of 16; the key is one of the tile's 32.
                unsafe {
                    let at = (key * queries.dims + dim) * Self::KIND.bytes();
                    let k = Self::load(s, tile.keys.add(at));
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

    /// Reads 16 values.
    ///
    /// # Safety
    /// They exist.
    unsafe fn load<S: Simd>(s: S, from: *const u8) -> Wide<S>;
}

/// Where a tile is.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    pub(super) keys: *const u8,
    pub(super) values: *const u8,
    pub(super) key_scales: *const f32,
    pub(super) value_scales: *const f32,
}

/// Where the first of some queries is.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    pub(super) dims: usize,
    pub(super) x: *const f32,
    pub(super) q: *const i8,
    pub(super) scale: *const f32,
    pub(super) sum: *const i32,
}

impl Rows {
    /// Block `b` of query `q`, made ready; what the keys' offset adds is taken off.
    ///
    /// # Safety
    /// There are this query and this block.
    #[inline(always)]
    unsafe fn block<S: Simd>(&self, s: S, q: usize, b: usize) -> S::A8 {
        // SAFETY: as the caller promises.
        unsafe {
            let at = q * self.dims / BLOCK_COLS + b;
            let less = Int8::offset::<S>() * *self.sum.add(at);
            s.acts8(self.q.add(at * BLOCK_COLS), less)
        }
    }
}

pub(super) struct CacheInt8;

impl Cache for CacheInt8 {
    const KIND: KvType = KvType::Int8;

    /// A key is a lane, 16 of them are a tile of int8 weights; every block has its scales,
    /// and a score is the chain of fma over the blocks.
    #[inline(always)]
    unsafe fn scores<S: Simd, const Q: usize>(
        s: S,
        tile: Tile,
        queries: Rows,
        _seen: Range<usize>,
        scores: &mut Scores<Q>,
    ) {
        let blocks = queries.dims / BLOCK_COLS;
        for together in 0..TILE_KEYS / (S::TOGETHER * S::LANES) {
            let at = together * S::TOGETHER * S::LANES;
            let (half, first) = (at / TILE_ROWS, at % TILE_ROWS / S::LANES);
            let keys = tile.keys.wrapping_add(half * TILE_ROWS * queries.dims);
            let mut sums = [[s.splat(0.0); MOST_PARTS]; Q];
            for b in 0..blocks {
                // SAFETY: each query has as many blocks of activations.
                let mut acts = [unsafe { queries.block(s, 0, b) }; Q];
                for q in 1..Q {
                    // SAFETY: as above.
                    acts[q] = unsafe { queries.block(s, q, b) };
                }
                let keys = keys.wrapping_add(b * GROUPS * LINE);
                // SAFETY: the tile has two halves of as many blocks.
                let line = |line, part| unsafe { packed_line::<S, Int8>(s, keys, line, part) };
                let dots = Int8::dots(s, line, acts.each_ref(), first);
                for part in 0..S::TOGETHER {
                    let lane = b * TILE_KEYS + at + part * S::LANES;
                    // SAFETY: the tile has 32 scales to a block.
                    let key_scales = unsafe { s.load(tile.key_scales.add(lane)) };
                    for q in 0..Q {
                        // SAFETY: a query has as many scales as blocks.
                        let scale = unsafe { s.splat(*queries.scale.add(q * blocks + b)) };
                        let dot = s.to_f(dots[q][part]);
                        sums[q][part] = s.fma(dot, s.mul(scale, key_scales), sums[q][part]);
                    }
                }
            }
            for q in 0..Q {
                for part in 0..S::TOGETHER {
                    let to = scores[q].as_mut_ptr().wrapping_add(at + part * S::LANES);
                    // SAFETY: a query has 32 scores.
                    unsafe { s.store(to, sums[q][part]) };
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn load<S: Simd>(s: S, from: *const u8) -> Wide<S> {
        // SAFETY: 16 values exist, as the caller promises.
        unsafe { s.load_i8(from) }
    }
}

pub(super) struct CacheF16;

impl Cache for CacheF16 {
    const KIND: KvType = KvType::F16;

    #[inline(always)]
    unsafe fn load<S: Simd>(s: S, from: *const u8) -> Wide<S> {
        let mut wide = [s.splat(0.0); MOST_PARTS];
        for part in 0..S::PARTS {
            // SAFETY: 16 values exist, as the caller promises.
            wide[part] = unsafe { s.load_f16(from.add(2 * part * S::LANES)) };
        }
        wide
    }
}

pub(super) struct CacheF32;

impl Cache for CacheF32 {
    const KIND: KvType = KvType::F32;

    #[inline(always)]
    unsafe fn load<S: Simd>(s: S, from: *const u8) -> Wide<S> {
        // SAFETY: 16 values exist, as the caller promises.
        unsafe { load_16(s, from.cast()) }
    }
}
