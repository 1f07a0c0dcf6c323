//! f32 weights: a chain of fma over the columns.
#![allow(unsafe_code, clippy::indexing_slicing)]
// Registers come in arrays that are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop)]

use crate::format::layout::{BLOCK_COLS, TILE_ROWS, WeightType};
use crate::kernels::block::BlockWeights;
use crate::kernels::simd::{Block, Cursor, InputPointers, MAX_PARTS, PrefillKernel, Simd, Wide};

/// Weights that are not quantized, and meet inputs that are not.
pub(super) struct Floats;

/// The inputs of one token to one block: columns from `x` on.
#[derive(Clone, Copy)]
pub(super) struct Columns {
    x: *const f32,
    len: usize,
}

impl Columns {
    /// Finds those of a token; nothing is read.
    #[inline(always)]
    fn new(inputs: InputPointers, token: usize, b: usize) -> Self {
        let first = b * BLOCK_COLS;
        let x = inputs.x.wrapping_add(token * inputs.stride + first);
        Self { x, len: BLOCK_COLS.min(inputs.cols - first) }
    }
}

impl BlockWeights for Floats {
    const KIND: WeightType = WeightType::F32;
    type Token<S: Simd> = Columns;
    type Prefill<S: Simd> = Self;

    #[inline(always)]
    unsafe fn load_token<S: Simd>(_s: S, inputs: InputPointers, token: usize, b: usize) -> Columns {
        Columns::new(inputs, token, b)
    }

    #[inline(always)]
    unsafe fn add_block<S: Simd>(s: S, block: Block, token: &Columns, acc: &mut Wide<S>) {
        let mut one = [*acc];
        // SAFETY: as the caller promises.
        unsafe { add_columns(s, block.at, &[*token], &mut one) };
        [*acc] = one;
    }
}

impl<S: Simd> PrefillKernel<S> for Floats {
    const INTERLEAVED: usize = 1;
    const ROW_REGISTERS: usize = S::PARTS;
    const TOKEN_GROUPS: usize = S::PREFILL_TOKENS;
    type Tokens = Columns;
    /// The block, which is read anew for each few tokens.
    type Rows = *const u8;

    #[inline(always)]
    unsafe fn load_tokens(_s: S, inputs: InputPointers, tokens: [usize; 2], b: usize) -> Columns {
        Columns::new(inputs, tokens[0], b)
    }

    #[inline(always)]
    unsafe fn load_rows(_s: S, block: Block, _first: usize) -> *const u8 {
        block.at
    }

    #[inline(always)]
    unsafe fn add<const G: usize>(
        s: S,
        block: &*const u8,
        (from, sums): Cursor<Columns>,
    ) -> Cursor<Columns> {
        // SAFETY: as many activations, as the caller promises.
        let tokens = unsafe { &*from.cast::<[Columns; G]>() };
        let mut acc = [[s.splat(0.0); MAX_PARTS]; G];
        let at = |t: usize, part: usize| sums.wrapping_add(t * TILE_ROWS + part * S::LANES);
        for t in 0..G {
            for part in 0..S::PARTS {
                // SAFETY: `G` times 16 sums, as the caller promises.
                acc[t][part] = unsafe { s.load(at(t, part)) };
            }
        }
        // SAFETY: as the caller promises. All tokens have as many columns.
        unsafe { add_columns(s, *block, tokens, &mut acc) };
        for t in 0..G {
            for part in 0..S::PARTS {
                // SAFETY: as above.
                unsafe { s.store(at(t, part), acc[t][part]) };
            }
        }
        (from.wrapping_add(G), sums.wrapping_add(G * TILE_ROWS))
    }
}

/// Adds the products of a block's columns with `T` tokens.
///
/// # Safety
/// `block` points to a whole block; every token has the columns of the first.
#[inline(always)]
unsafe fn add_columns<S: Simd, const T: usize>(
    s: S,
    block: *const u8,
    tokens: &[Columns; T],
    acc: &mut [Wide<S>; T],
) {
    for c in 0..tokens[0].len {
        for part in 0..S::PARTS {
            // SAFETY: column `c` of 32 in the block, and of the `T` tokens.
            unsafe {
                let w = s.load(block.cast::<f32>().add(c * TILE_ROWS + part * S::LANES));
                for t in 0..T {
                    acc[t][part] = s.fma(w, s.splat(*tokens[t].x.add(c)), acc[t][part]);
                }
            }
        }
    }
}
