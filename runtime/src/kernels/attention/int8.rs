//! An int8 cache: keys and values lie like tiles of int8 weights, and meet queries and softmax
//! weights that are quantized as activations are.
#![allow(unsafe_code, clippy::indexing_slicing)]
// Registers come in arrays that are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop)]

use core::ptr::null;

use super::tile::{INT8_QUERIES, QueryPointers, Scores, Tile, TileKernel, VisibleKeys};
use crate::format::kv::{KvType, TILE_KEYS};
use crate::format::layout::{BLOCK_COLS, GROUPS, LINE, TILE_ROWS};
use crate::kernels::block::{Int8, PackedLines};
use crate::kernels::elementwise::quantize::factors;
use crate::kernels::simd::{Block, Lines, MAX_PARTS, Simd, Wide};

/// Keys and values in int8.
pub(super) struct Int8Cache;

impl TileKernel for Int8Cache {
    const KIND: KvType = KvType::Int8;

    /// A key is a lane, 16 of them are a tile of int8 weights; every block has its scales,
    /// and a score is the chain of fma over the blocks.
    #[inline(always)]
    unsafe fn scores<S: Simd, const Q: usize>(
        s: S,
        tile: Tile,
        queries: QueryPointers,
        _seen: VisibleKeys,
        scores: &mut Scores<Q>,
    ) {
        let mut sums = [[[s.splat(0.0); MAX_PARTS]; Q]; HALVES];
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

    /// A dimension is a lane, 16 of them are a tile of int8 weights whose only block of columns is
    /// the keys. The weights of a query, exponentials times the values' scales and 0 for keys that
    /// are not seen, are the block of activations that meets it.
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
        // SAFETY: as the caller promises.
        let (quants, scales) = unsafe { quantized(s, tile, seen, p) };
        let few = quants.as_chunks::<INT8_QUERIES>().0;
        for dim in (0..dims).step_by(TILE_ROWS) {
            let lines = tile.values.wrapping_add(dim * TILE_KEYS);
            if S::PARTS == 1 || Q < INT8_QUERIES {
                let weighed = ValueLines { lines, dims, scales: &scales, rescale };
                // SAFETY: as the caller promises: 16 dimensions from `dim` on.
                unsafe { weighed.add(s, &quants, acc.as_mut_ptr().add(dim)) };
                continue;
            }
            for (i, quants) in few.iter().enumerate() {
                let q = i * INT8_QUERIES;
                let (scales, rescale) = (&scales[q..], &rescale[q..]);
                let weighed = ValueLines { lines, dims, scales, rescale };
                // SAFETY: as above, of these queries.
                unsafe { weighed.add(s, quants, acc.as_mut_ptr().add(q * dims + dim)) };
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
    queries: QueryPointers,
    b: usize,
    sums: &mut [[Wide<S>; Q]; HALVES],
) {
    let blocks = queries.dims / BLOCK_COLS;
    // SAFETY: each query has as many blocks of activations.
    let mut quants = [CacheLine(unsafe { queries.load_block(s, 0, b) }); Q];
    for q in 1..Q {
        // SAFETY: as above.
        quants[q] = CacheLine(unsafe { queries.load_block(s, q, b) });
    }
    let mut each = [&quants[0].0; Q];
    for q in 1..Q {
        each[q] = &quants[q].0;
    }
    for half in 0..HALVES {
        let at = tile.keys.wrapping_add((half * blocks + b) * GROUPS * LINE);
        let keys = Block { at, levels: null() };
        // SAFETY: the tile has two halves of as many blocks.
        let lines = unsafe { PackedLines::<S, Int8>::new(s, keys) };
        for first in (0..S::PARTS).step_by(S::ROW_REGISTERS) {
            let dots = s.dot_int8(lines, each, first);
            for part in 0..S::ROW_REGISTERS {
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

/// Runs of 16 keys in a tile.
const HALVES: usize = TILE_KEYS / TILE_ROWS;

/// A value in cache lines of its own: what is written across two of them is slow to be read back.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct CacheLine<T>(T);

/// 8 lines of values, 16 dimensions of 4 keys each, as they lie.
#[derive(Clone, Copy)]
struct ValueRegisters<S> {
    s: S,
    at: *const u8,
}

impl<S: Simd> ValueRegisters<S> {
    /// Those at `at`.
    ///
    /// # Safety
    /// 8 lines are there, and still are when one is read.
    #[inline(always)]
    unsafe fn new(s: S, at: *const u8) -> Self {
        Self { s, at }
    }
}

impl<S: Simd> Lines<S::Weights> for ValueRegisters<S> {
    #[inline(always)]
    fn line(self, line: usize, part: usize) -> S::Weights {
        // SAFETY: `new` was promised 8 lines of 64 bytes.
        unsafe { self.s.load_weights(self.at.add(line * LINE + part * 4 * S::LANES)) }
    }
}

/// 16 dimensions of a tile's values on their way to sums.
struct ValueLines<'a> {
    lines: *const u8,
    /// The distance from one query's sums to the next.
    dims: usize,
    scales: &'a [f32],
    rescale: &'a [f32],
}

impl ValueLines<'_> {
    /// Adds them, times their weights, to the rescaled sums of `Q` queries.
    ///
    /// # Safety
    /// The lines are there; `acc` points to 16 sums of the first query, and as many of the others.
    #[inline(always)]
    unsafe fn add<S: Simd, const Q: usize>(
        &self,
        s: S,
        quants: &[S::ActivationsUint7; Q],
        acc: *mut f32,
    ) {
        for first in (0..S::PARTS).step_by(S::ROW_REGISTERS) {
            // SAFETY: 8 lines for 16 dimensions, as the caller promises.
            let lines = unsafe { ValueRegisters::new(s, self.lines) };
            let dots = s.dot_uint7(lines, quants.each_ref(), first);
            for q in 0..Q {
                let (scale, rescale) = (s.splat(self.scales[q]), s.splat(self.rescale[q]));
                for part in 0..S::ROW_REGISTERS {
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
    seen: VisibleKeys,
    p: &mut Scores<Q>,
) -> ([S::ActivationsUint7; Q], [f32; TILE_ROWS]) {
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
    let mut quants = [quantize_weights(s, &p[0], inverse[0]); Q];
    for q in 1..Q {
        quants[q] = quantize_weights(s, &p[q], inverse[q]);
    }
    (quants, scale)
}

/// Quantizes a query's weights.
#[inline(always)]
fn quantize_weights<S: Simd>(
    s: S,
    weights: &[f32; TILE_KEYS],
    inverse: f32,
) -> S::ActivationsUint7 {
    let mut quants = [[s.splat_i(0); MAX_PARTS]; TILE_KEYS / TILE_ROWS];
    for at in (0..TILE_KEYS).step_by(S::LANES) {
        // SAFETY: `at + LANES` is at most 32.
        let weight = unsafe { s.load(weights.as_ptr().add(at)) };
        let part = at % TILE_ROWS / S::LANES;
        quants[at / TILE_ROWS][part] = s.round(s.mul(weight, s.splat(inverse)));
    }
    s.pack_activations_uint7(quants)
}
