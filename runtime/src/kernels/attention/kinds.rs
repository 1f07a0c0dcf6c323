//! The kinds of cache: what is done differently for each.
#![allow(unsafe_code, clippy::indexing_slicing)]

use super::scores::{of_floats, of_int8};
use super::tile::{Rows, Scores, Seen, Tile};
use super::values::{weigh_floats, weigh_int8};
use crate::format::kv::KvType;
use crate::kernels::simd::{MOST_PARTS, Simd};
use crate::kernels::vector::{Wide, load_16};

/// A kind of cache, as the kernels see it.
pub(super) trait Cache {
    const KIND: KvType;

    /// The scores of the keys in `seen` (others may be left or computed) of a tile, for `Q`
    /// queries from `first` on.
    ///
    /// # Safety
    /// The shapes have been checked; the tile exists and `seen` lies inside it.
    unsafe fn scores<S: Simd, const Q: usize>(
        s: S,
        tile: Tile,
        queries: Rows,
        seen: Seen,
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
        seen: Seen,
        p: &mut Scores<Q>,
        rescale: &[f32; Q],
        acc: &mut [f32],
    );
}

pub(super) struct Int8;

impl Cache for Int8 {
    const KIND: KvType = KvType::Int8;

    #[inline(always)]
    unsafe fn scores<S: Simd, const Q: usize>(
        s: S,
        tile: Tile,
        queries: Rows,
        _seen: Seen,
        scores: &mut Scores<Q>,
    ) {
        // SAFETY: as the caller promises.
        unsafe { of_int8(s, tile, queries, scores) };
    }

    #[inline(always)]
    unsafe fn weigh<S: Simd, const Q: usize>(
        s: S,
        tile: Tile,
        seen: Seen,
        p: &mut Scores<Q>,
        rescale: &[f32; Q],
        acc: &mut [f32],
    ) {
        // SAFETY: as the caller promises.
        unsafe { weigh_int8(s, tile, seen, p, rescale, acc) };
    }
}

/// Floats, whose keys and values are rows.
pub(super) trait Floats {
    const KIND: KvType;

    /// Reads 16 values.
    ///
    /// # Safety
    /// They exist.
    unsafe fn load<S: Simd>(s: S, from: *const u8) -> Wide<S>;
}

impl<F: Floats> Cache for F {
    const KIND: KvType = F::KIND;

    #[inline(always)]
    unsafe fn scores<S: Simd, const Q: usize>(
        s: S,
        tile: Tile,
        queries: Rows,
        seen: Seen,
        scores: &mut Scores<Q>,
    ) {
        // SAFETY: as the caller promises.
        unsafe { of_floats::<S, F, Q>(s, tile, queries, seen, scores) };
    }

    #[inline(always)]
    unsafe fn weigh<S: Simd, const Q: usize>(
        s: S,
        tile: Tile,
        seen: Seen,
        p: &mut Scores<Q>,
        rescale: &[f32; Q],
        acc: &mut [f32],
    ) {
        // SAFETY: as the caller promises.
        unsafe { weigh_floats::<S, F, Q>(s, tile, seen, p, rescale, acc) };
    }
}

pub(super) struct F16;

impl Floats for F16 {
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

pub(super) struct F32;

impl Floats for F32 {
    const KIND: KvType = KvType::F32;

    #[inline(always)]
    unsafe fn load<S: Simd>(s: S, from: *const u8) -> Wide<S> {
        // SAFETY: 16 values exist, as the caller promises.
        unsafe { load_16(s, from.cast()) }
    }
}
