//! A tile of a cache, the queries that meet it, and what they see of it.
#![allow(unsafe_code, clippy::indexing_slicing)]

use core::ops::Range;

use crate::format::kv::TILE_KEYS;
use crate::format::layout::BLOCK_COLS;
use crate::kernels::quants::{Int8, Quants};
use crate::kernels::simd::Simd;

/// The scores of a tile's keys, and then their weights, for queries that go together.
pub(super) type Scores<const Q: usize> = [[f32; TILE_KEYS]; Q];

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

    /// Block `b` of query `q`, made ready; what the keys' offset adds is taken off.
    ///
    /// # Safety
    /// There are this query and this block.
    #[inline(always)]
    pub(super) unsafe fn block<S: Simd>(&self, s: S, q: usize, b: usize) -> S::A8 {
        // SAFETY: as the caller promises.
        unsafe {
            let at = q * self.dims / BLOCK_COLS + b;
            let less = Int8::offset::<S>() * *self.sum.add(at);
            s.acts8(self.q.add(at * BLOCK_COLS), less)
        }
    }
}

/// The keys of a tile that a query sees.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    start: usize,
    end: usize,
}

impl Seen {
    pub(super) fn new(seen: &Range<usize>) -> Self {
        Self { start: seen.start, end: seen.end }
    }

    /// The keys, counted from the tile's first.
    pub(super) fn keys(self) -> Range<usize> {
        self.start..self.end
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
