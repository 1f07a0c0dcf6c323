//! Loops over the tiles of a piece, with one token (decode) or several (prefill).
//!
//! `gemm/mod.rs` has both as pseudocode.
#![allow(unsafe_code, clippy::indexing_slicing)]
// Registers come in arrays that are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop)]

use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ops::Range;
use core::ptr::null;

use super::epilogue::Output;
use super::job::{Input, Pass};
use crate::base::disjoint::MatrixMut;
use crate::format::layout::{TILE_ROWS, blocks};
use crate::kernels::block::BlockWeights;
use crate::kernels::simd::{Block, InputPointers, MAX_PARTS, Op, PrefillKernel, Simd, Wide};

/// One pass over one piece.
pub(super) struct Product<'a, 'b, W> {
    /// Packed tiles of the piece.
    bytes: &'a [u8],
    tile_bytes: usize,
    /// The matrix's, for types that have them.
    levels: *const u8,
    inputs: InputPointers,
    /// Tokens.
    n: usize,
    output: Output<'a, 'b>,
    weights: PhantomData<W>,
}

impl<'a, 'b, W: BlockWeights> Product<'a, 'b, W> {
    /// The product of some tiles of a job's matrix, whose shapes `check` saw.
    pub(super) fn new(
        pass: Pass<'a>,
        input: &Input<'_>,
        range: Range<usize>,
        out: &'b mut MatrixMut<'a, f32>,
    ) -> Self {
        let tile_bytes = blocks(input.cols) * W::KIND.block_bytes();
        let bytes = &pass.linear.weight.tiles()[range.start * tile_bytes..range.end * tile_bytes];
        let acts = input.acts.filter(|_| W::KIND.is_quantized());
        let inputs = InputPointers {
            x: input.x.as_ptr(),
            stride: input.stride,
            cols: input.cols,
            q: acts.map_or(null(), |a| a.q.as_ptr()),
            scale: acts.map_or(null(), |a| a.scale.as_ptr()),
            sum: acts.map_or(null(), |a| a.sum.as_ptr()),
            blocks: blocks(input.cols),
        };
        let bias = pass.linear.bias.map(|bias| &bias[range.start * TILE_ROWS..]);
        let output = Output { bias, epilogue: pass.epilogue, out };
        let levels = pass.linear.weight.levels().as_ptr();
        Self { bytes, tile_bytes, levels, inputs, n: input.n, output, weights: PhantomData }
    }

    /// Tiles of the piece.
    fn tiles(&self) -> usize {
        self.bytes.len().checked_div(self.tile_bytes).unwrap_or(0)
    }
}

/// Tiles that one thread goes through at a time, each a stream of its own: a single
/// sequential stream reaches less than half of the memory's bandwidth.
const STREAMS: usize = 4;

impl<W: BlockWeights> Op for Product<'_, '_, W> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        if self.n == 1 {
            decode(s, &mut self);
        } else {
            prefill::<S, W, W::Prefill<S>>(s, &mut self);
        }
    }
}

/// Computes the products of all tiles with one token: sums in registers, so that each number of
/// tiles has its own code.
#[inline(always)]
fn decode<S: Simd, W: BlockWeights>(s: S, product: &mut Product<'_, '_, W>) {
    let tiles = product.tiles();
    let each = tiles / STREAMS;
    for i in 0..each {
        decode_tiles(s, product, [i, each + i, 2 * each + i, 3 * each + i]);
    }
    match tiles - each * STREAMS {
        0 => {}
        1 => decode_tiles(s, product, [tiles - 1]),
        2 => decode_tiles(s, product, [tiles - 2, tiles - 1]),
        _ => decode_tiles(s, product, [tiles - 3, tiles - 2, tiles - 1]),
    }
}

/// Computes the products of all tiles with all tokens.
#[inline(always)]
fn prefill<S: Simd, W: BlockWeights, K: PrefillKernel<S>>(s: S, product: &mut Product<'_, '_, W>) {
    let tiles = product.tiles();
    let each = tiles / STREAMS;
    K::begin(s);
    for i in 0..tiles.div_ceil(STREAMS) {
        let mut group = [i, each + i, 2 * each + i, 3 * each + i];
        let mut len = STREAMS;
        if i == each {
            len = tiles - each * STREAMS;
            group = [tiles - len, tiles - len + 1, tiles - len + 2, tiles];
        }
        for first in (0..product.n).step_by(MAX_TOKENS) {
            let tokens = first..product.n.min(first + MAX_TOKENS);
            prefill_tiles::<S, W, K>(s, product, &group[..len], tokens);
        }
    }
    K::end(s);
}

/// The bytes that each stream is prefetched ahead for one token. At the end of a tile this reaches
/// the next one, which the same stream reads next.
const PREFETCH: usize = 3072;
const CACHE_LINE: usize = 64;

/// Asks for the whole block at `block`.
#[inline(always)]
fn prefetch<S: Simd, W: BlockWeights>(s: S, block: *const u8) {
    let lines = W::KIND.block_bytes().div_ceil(CACHE_LINE);
    for line in (0..lines).step_by(4) {
        let (at, left) = (block.wrapping_add(line * CACHE_LINE), lines - line);
        // Written out, since only what is constant is part of an instruction.
        s.prefetch::<0>(at);
        if left > 1 {
            s.prefetch::<CACHE_LINE>(at);
        }
        if left > 2 {
            s.prefetch::<{ 2 * CACHE_LINE }>(at);
        }
        if left > 3 {
            s.prefetch::<{ 3 * CACHE_LINE }>(at);
        }
    }
}

/// Adds up `N` tiles with one token, alternating block by block, sums in registers.
#[inline(always)]
fn decode_tiles<S: Simd, W: BlockWeights, const N: usize>(
    s: S,
    product: &mut Product<'_, '_, W>,
    tiles: [usize; N],
) {
    let mut at = tiles.map(|tile| Block {
        at: product.bytes[tile * product.tile_bytes..].as_ptr(),
        levels: product.levels,
    });
    let mut acc = [[s.splat(0.0); MAX_PARTS]; N];
    for b in 0..product.inputs.blocks {
        // SAFETY: `check` saw the inputs, and this is block `b` of tiles of this piece.
        unsafe {
            let token = W::load_token(s, product.inputs, 0, b);
            // Written out: sums that a loop picks would live in memory.
            add_one::<S, W>(s, &mut at[0], &token, &mut acc[0]);
            if N > 1 {
                add_one::<S, W>(s, &mut at[1], &token, &mut acc[1]);
            }
            if N > 2 {
                add_one::<S, W>(s, &mut at[2], &token, &mut acc[2]);
            }
            if N > 3 {
                add_one::<S, W>(s, &mut at[3], &token, &mut acc[3]);
            }
        }
    }
    for i in 0..N {
        product.output.store(s, tiles[i], 0, acc[i]);
    }
}

/// Adds the products of one token with a block to their sums, and goes on to the next block.
///
/// # Safety
/// `block` is a whole one, and the inputs are still there.
#[inline(always)]
unsafe fn add_one<S: Simd, W: BlockWeights>(
    s: S,
    block: &mut Block,
    token: &W::Token<S>,
    acc: &mut Wide<S>,
) {
    prefetch::<S, W>(s, block.at.wrapping_add(PREFETCH));
    // SAFETY: as the caller promises.
    unsafe { W::add_block(s, *block, token, acc) };
    *acc = s.optimization_barrier(*acc);
    block.at = block.at.wrapping_add(W::KIND.block_bytes());
}

/// Tokens that share unpacked weights. All that they need lies on the stack, 25 KiB of it, and in
/// the first cache.
const MAX_TOKENS: usize = 64;

/// Sums of a tile with all of them, none across two lines of the cache.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Sums([MaybeUninit<f32>; MAX_TOKENS * TILE_ROWS]);

/// Adds up some tiles with up to 64 tokens, block by block: a block's activations are read once
/// for all tiles, its weights are unpacked once for all tokens; the sums of tiles × tokens wait in
/// memory meanwhile, which costs nothing beside the 32 columns added in registers.
#[inline(always)]
fn prefill_tiles<S: Simd, W: BlockWeights, K: PrefillKernel<S>>(
    s: S,
    product: &mut Product<'_, '_, W>,
    tiles: &[usize],
    tokens: Range<usize>,
) {
    let mut groups = [const { MaybeUninit::<K::Tokens>::uninit() }; MAX_TOKENS];
    let mut sums =
        [const { Sums([const { MaybeUninit::uninit() }; MAX_TOKENS * TILE_ROWS]) }; STREAMS];
    let n_groups = tokens.len().div_ceil(K::INTERLEAVED);
    for sums in &mut sums[..tiles.len()] {
        sums.0[..n_groups * K::INTERLEAVED * TILE_ROWS].fill(MaybeUninit::new(0.0));
    }
    // The more tokens, the longer a block takes, but by tile registers it is soon done.
    let ahead = (PREFETCH / tokens.len().max(1)).max(3 * W::KIND.block_bytes());
    for b in 0..product.inputs.blocks {
        // SAFETY: `check` saw the inputs.
        unsafe { load_groups::<S, K>(s, product.inputs, tokens.clone(), b, &mut groups) };
        for (tile, sums) in tiles.iter().zip(&mut sums) {
            let tile = product.bytes[tile * product.tile_bytes..].as_ptr();
            let at = tile.wrapping_add(b * W::KIND.block_bytes());
            prefetch::<S, W>(s, at.wrapping_add(ahead));
            let block = Block { at, levels: product.levels };
            // SAFETY: block `b` of a tile of this piece, and inputs and sums of as many
            // groups as there are; both were written above.
            unsafe {
                let (groups, sums) = (groups.as_ptr().cast(), sums.0.as_mut_ptr().cast());
                add_block::<S, K>(s, block, n_groups, groups, sums);
            }
        }
    }
    for (&tile, sums) in tiles.iter().zip(&mut sums) {
        let sums = sums.0.as_mut_ptr().cast::<f32>();
        // SAFETY: as many sums were written.
        unsafe { K::deinterleave(s, sums, n_groups) };
        for token in 0..tokens.len() {
            // SAFETY: as above.
            let products = unsafe { load_sums::<S, K>(s, sums, token, n_groups * K::INTERLEAVED) };
            product.output.store(s, tile, tokens.start + token, products);
        }
    }
}

/// Reads a block's activations of all token groups.
///
/// # Safety
/// `inputs` has these tokens and this block.
#[inline(always)]
unsafe fn load_groups<S: Simd, K: PrefillKernel<S>>(
    s: S,
    inputs: InputPointers,
    tokens: Range<usize>,
    b: usize,
    groups: &mut [MaybeUninit<K::Tokens>],
) {
    let whole = tokens.len() / K::INTERLEAVED;
    for (i, group) in groups[..whole].iter_mut().enumerate() {
        let first = tokens.start + i * K::INTERLEAVED;
        // SAFETY: as the caller promises.
        group.write(unsafe { K::load_tokens(s, inputs, [first, first + K::INTERLEAVED - 1], b) });
    }
    if whole * K::INTERLEAVED < tokens.len() {
        // A last token that is left alone is its own neighbour.
        // SAFETY: as the caller promises.
        groups[whole].write(unsafe { K::load_tokens(s, inputs, [tokens.end - 1; 2], b) });
    }
}

/// The place of the sums of some rows with a token: [`PrefillKernel::ROW_REGISTERS`] registers of
/// each token, of all `n` tokens, and then the next rows'.
#[inline(always)]
fn sums_at<S: Simd, K: PrefillKernel<S>>(first: usize, token: usize, n: usize) -> usize {
    (first * n + token * K::ROW_REGISTERS) * S::LANES
}

/// Reads one token's sums.
///
/// # Safety
/// `sums` points to those of `n` tokens, this one among them.
#[inline(always)]
unsafe fn load_sums<S: Simd, K: PrefillKernel<S>>(
    s: S,
    sums: *const f32,
    token: usize,
    n: usize,
) -> Wide<S> {
    let mut rows = [s.splat(0.0); MAX_PARTS];
    for part in 0..S::PARTS {
        let (first, rest) = (part - part % K::ROW_REGISTERS, part % K::ROW_REGISTERS);
        let at = sums_at::<S, K>(first, token, n) + rest * S::LANES;
        // SAFETY: `PARTS · LANES` is 16, and so many sums has a token.
        rows[part] = unsafe { s.load(sums.add(at)) };
    }
    rows
}

/// Adds one block's products with all token groups to their sums.
///
/// # Safety
/// `block` points to a whole block, `groups` to `n_groups` values, `sums` to 16 for each token.
#[inline(always)]
unsafe fn add_block<S: Simd, K: PrefillKernel<S>>(
    s: S,
    block: Block,
    n_groups: usize,
    groups: *const K::Tokens,
    sums: *mut f32,
) {
    let n = n_groups * K::INTERLEAVED;
    for first in (0..S::PARTS).step_by(K::ROW_REGISTERS) {
        // SAFETY: as many groups as there are, as the caller promises.
        unsafe {
            let rows = K::load_rows(s, block, first);
            let at = (groups, sums.add(sums_at::<S, K>(first, 0, n)));
            let (mut at, n_groups) = K::add_many(s, &rows, at, n_groups);
            for _ in 0..n_groups / K::TOKEN_GROUPS {
                // What is asked is constant: each compiles one of these.
                at = match K::TOKEN_GROUPS {
                    1 => K::add::<1>(s, &rows, at),
                    2 => K::add::<2>(s, &rows, at),
                    8 => K::add::<8>(s, &rows, at),
                    _ => K::add::<4>(s, &rows, at),
                };
            }
            let rest = n_groups % K::TOKEN_GROUPS;
            if K::TOKEN_GROUPS > 4 && rest >= 4 {
                at = K::add::<4>(s, &rows, at);
            }
            match rest % 4 {
                0 => at,
                1 => K::add::<1>(s, &rows, at),
                2 => K::add::<2>(s, &rows, at),
                _ => K::add::<3>(s, &rows, at),
            };
        }
    }
}
