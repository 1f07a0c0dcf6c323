//! The kinds of cache: what is done differently for each.
#![allow(unsafe_code)]

use super::scores::{of_floats, of_int8};
use super::tile::{Floats, Int8, Rows, Scores, Seen, Tile};
use super::values::{weigh_floats, weigh_int8};
use crate::format::kv::KvType;
use crate::kernels::simd::Simd;

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
