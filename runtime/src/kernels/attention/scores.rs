//! Scores: queries times the keys of a tile, for each kind of cache.
#![allow(unsafe_code, clippy::indexing_slicing)]
// Registers come in arrays that are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop)]

use super::kinds::Floats;
use super::tile::{Rows, Scores, Seen, Tile};
use crate::format::kv::TILE_KEYS;
use crate::format::layout::{BLOCK_COLS, GROUPS, LINE, TILE_ROWS};
use crate::kernels::quants::{Int8, Quants, packed_line};
use crate::kernels::simd::{MOST_PARTS, Simd};
use crate::kernels::vector::Wide;

/// Dot products by 16 strided partial sums. The padding of a head is 0 on both sides. It
/// can turn a partial sum of −0 into +0, where skipping would not, but the sign of a score
/// that is 0 is lost in exp(0) = 1.
///
/// # Safety
/// As [`Cache::scores`](super::kinds::Cache::scores) asks.
#[inline(always)]
pub(super) unsafe fn of_floats<S: Simd, F: Floats, const Q: usize>(
    s: S,
    tile: Tile,
    queries: Rows,
    seen: Seen,
    scores: &mut Scores<Q>,
) {
    for key in seen.keys() {
        let mut sums = [[s.splat(0.0); MOST_PARTS]; Q];
        for dim in (0..queries.dims).step_by(TILE_ROWS) {
            // SAFETY: `dims` is a multiple of 16; the key is one of the tile's 32.
            unsafe {
                let at = (key * queries.dims + dim) * F::KIND.bytes();
                let k = F::load(s, tile.keys.add(at));
                for part in 0..S::PARTS {
                    for q in 0..Q {
                        let at = q * queries.dims + dim + part * S::LANES;
                        sums[q][part] = s.fma(s.load(queries.x.add(at)), k[part], sums[q][part]);
                    }
                }
            }
        }
        for q in 0..Q {
            scores[q][key] = s.sum16(sums[q]);
        }
    }
}

/// A key is a lane, 16 of them are a tile of int8 weights; every block has its scales,
/// and a score is the chain of fma over the blocks.
///
/// # Safety
/// As [`Cache::scores`](super::kinds::Cache::scores) asks.
#[inline(always)]
pub(super) unsafe fn of_int8<S: Simd, const Q: usize>(
    s: S,
    tile: Tile,
    queries: Rows,
    scores: &mut Scores<Q>,
) {
    let mut sums = [[[s.splat(0.0); MOST_PARTS]; Q]; HALVES];
    for b in 0..queries.dims / BLOCK_COLS {
        // SAFETY: as the caller promises.
        unsafe { add_block(s, tile, queries, b, &mut sums) };
    }
    for half in 0..HALVES {
        for q in 0..Q {
            for part in 0..S::PARTS {
                let at = half * TILE_ROWS + part * S::LANES;
                // SAFETY: a query has 32 scores.
                unsafe { s.store(scores[q].as_mut_ptr().add(at), sums[half][q][part]) };
            }
        }
    }
}

/// Adds what block `b` of dimensions brings to the scores.
///
/// # Safety
/// The shapes have been checked; the tile exists, and the block.
#[inline(always)]
unsafe fn add_block<S: Simd, const Q: usize>(
    s: S,
    tile: Tile,
    queries: Rows,
    b: usize,
    sums: &mut [[Wide<S>; Q]; HALVES],
) {
    let blocks = queries.dims / BLOCK_COLS;
    // SAFETY: each query has as many blocks of activations.
    let mut acts = [Apart(unsafe { queries.block(s, 0, b) }); Q];
    for q in 1..Q {
        // SAFETY: as above.
        acts[q] = Apart(unsafe { queries.block(s, q, b) });
    }
    let mut each = [&acts[0].0; Q];
    for q in 1..Q {
        each[q] = &acts[q].0;
    }
    for half in 0..HALVES {
        let keys = tile.keys.wrapping_add((half * blocks + b) * GROUPS * LINE);
        // SAFETY: the tile has two halves of as many blocks.
        let line = |line, part| unsafe { packed_line::<S, Int8>(s, keys, line, part) };
        for first in (0..S::PARTS).step_by(S::TOGETHER) {
            let dots = Int8::dots(s, line, each, first);
            for part in 0..S::TOGETHER {
                let lane = b * TILE_KEYS + half * TILE_ROWS + (first + part) * S::LANES;
                // SAFETY: the tile has 32 scales to a block.
                let key_scales = unsafe { s.load(tile.key_scales.add(lane)) };
                for q in 0..Q {
                    // SAFETY: a query has as many scales as blocks.
                    let scale = unsafe { s.splat(*queries.scale.add(q * blocks + b)) };
                    let (dot, scale) = (s.to_f(dots[q][part]), s.mul(scale, key_scales));
                    let sum = &mut sums[half][q][first + part];
                    *sum = s.fma(dot, scale, *sum);
                }
            }
        }
    }
}

/// Times 16 keys that are a tile.
const HALVES: usize = TILE_KEYS / TILE_ROWS;

/// In cache lines of its own: what is written across two of them is slow to be read back.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Apart<T>(T);
