//! A tile of a cache, the queries that meet it, and what they see of it.
#![allow(unsafe_code, clippy::indexing_slicing)]

use core::ops::Range;

use crate::format::kv::{KvType, TILE_KEYS};
use crate::format::layout::BLOCK_COLS;
use crate::kernels::simd::Simd;

/// The scores of a tile's keys, and then their weights, for queries that go together.
pub(super) type Scores<const Q: usize> = [[f32; TILE_KEYS]; Q];

/// Queries that take a step of the softmax together, and share every load of a float: their sums for
/// 16 dimensions are as many registers as keep the multipliers of all of these CPUs busy, and leave
/// room for what is multiplied.
pub(super) const FLOAT_QUERIES: usize = 6;
/// Queries that take a step together where one register holds 16 lanes.
pub(super) const MAX_QUERIES: usize = 12;
/// Queries that share every load of a key or of bytes, whose products want more registers.
pub(super) const INT8_QUERIES: usize = 3;

/// The index of each key.
pub(super) const KEYS: [f32; TILE_KEYS] = {
    let mut keys = [0.0; TILE_KEYS];
    let mut i = 0;
    while i < TILE_KEYS {
        keys[i] = i as f32;
        i += 1;
    }
    keys
};

/// The memory of a tile.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    pub(super) keys: *const u8,
    pub(super) values: *const u8,
    pub(super) key_scales: *const f32,
    pub(super) value_scales: *const f32,
}

/// The memory of some queries, from the first on.
#[derive(Clone, Copy)]
pub(super) struct QueryPointers {
    pub(super) dims: usize,
    pub(super) x: *const f32,
    pub(super) q: *const i8,
    pub(super) scale: *const f32,
    pub(super) sum: *const i32,
}

impl QueryPointers {
    /// The queries from the `n`th on.
    pub(super) fn from(self, n: usize) -> Self {
        let (values, blocks) = (n * self.dims, n * self.dims / BLOCK_COLS);
        Self {
            dims: self.dims,
            x: self.x.wrapping_add(values),
            q: self.q.wrapping_add(values),
            scale: self.scale.wrapping_add(blocks),
            sum: self.sum.wrapping_add(blocks),
        }
    }

    /// Reads block `b` of query `q`; what the keys' offset adds is taken off.
    ///
    /// # Safety
    /// There are this query and this block.
    #[inline(always)]
    pub(super) unsafe fn load_block<S: Simd>(
        &self,
        s: S,
        q: usize,
        b: usize,
    ) -> S::ActivationsInt8 {
        // SAFETY: as the caller promises.
        unsafe {
            let at = q * self.dims / BLOCK_COLS + b;
            let correction = S::INT8_OFFSET.wrapping_mul(*self.sum.add(at));
            s.load_activations_int8(self.q.add(at * BLOCK_COLS), correction)
        }
    }
}

/// The keys of a tile that a query sees.
#[derive(Clone, Copy)]
pub(super) struct VisibleKeys {
    start: usize,
    end: usize,
}

impl VisibleKeys {
    pub(super) fn new(seen: &Range<usize>) -> Self {
        Self { start: seen.start, end: seen.end }
    }

    /// The keys, counted from the tile's first.
    pub(super) fn keys(self) -> Range<usize> {
        // It is no more as it is; said again, every use of a key would be checked else.
        self.start..self.end.min(TILE_KEYS)
    }

    /// `v` for those of the keys from `at` on that are seen, `other` for the rest.
    #[inline(always)]
    pub(super) fn only<S: Simd>(self, s: S, at: usize, v: S::F, other: f32) -> S::F {
        if self.start == 0 && self.end == TILE_KEYS {
            return v;
        }
        let (other, start, end) = (s.splat(other), self.start as f32, self.end as f32);
        // SAFETY: `at + LANES` is at most 32.
        let key = unsafe { s.load(KEYS.as_ptr().add(at)) };
        s.select_lt(key, s.splat(start), other, s.select_lt(key, s.splat(end), v, other))
    }
}

/// A type of cache, as the loop over tiles sees it: scores of a tile's keys, sums of its values.
pub(super) trait TileKernel {
    const KIND: KvType;

    /// Computes the scores of the keys in `seen` (others may be left or computed) of a tile, for `Q`
    /// queries from `first` on.
    ///
    /// # Safety
    /// The shapes have been checked; the tile exists and `seen` lies inside it.
    unsafe fn scores<S: Simd, const Q: usize>(
        s: S,
        tile: Tile,
        queries: QueryPointers,
        seen: VisibleKeys,
        scores: &mut Scores<Q>,
    );

    /// Adds a tile's values times the exponentials `p` of their scores to `acc` `(Q, dims)` times
    /// `rescale`. What `p` says of a key that is not seen may be anything.
    ///
    /// # Safety
    /// The tile exists, its values have `dims` dimensions, a multiple of 32, and `seen` lies inside
    /// it.
    unsafe fn weigh<S: Simd, const Q: usize>(
        s: S,
        tile: Tile,
        seen: VisibleKeys,
        p: &mut Scores<Q>,
        rescale: &[f32; Q],
        acc: &mut [f32],
    );
}
