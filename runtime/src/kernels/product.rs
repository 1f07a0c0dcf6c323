//! The products of some tiles of a matrix with one token (decode) or several (prefill).
#![allow(unsafe_code, clippy::indexing_slicing)]
// Registers come in arrays that are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop)]

use core::mem::MaybeUninit;
use core::ops::Range;

use super::activation::clamped;
use super::isa::Op;
use super::matmul::{Input, Step, Then};
use super::several::Several;
use super::simd::{MOST_PARTS, Simd};
use super::vector::{load_wide, store_wide};
use super::weights::{Lines, Rows, Weights};
use crate::base::disjoint::Block;
use crate::format::layout::{TILE_ROWS, blocks};

/// One step on one piece.
pub(super) struct Product<'a, 'b, W> {
    /// Packed tiles of the piece.
    bytes: &'a [u8],
    tile_bytes: usize,
    lines: Lines,
    n: usize,
    /// From the piece's first row on, to the matrix's last.
    bias: Option<&'a [f32]>,
    then: Then,
    out: &'b mut Block<'a, f32>,
    weights: core::marker::PhantomData<W>,
}

impl<'a, 'b, W: Weights> Product<'a, 'b, W> {
    pub(super) fn new(
        step: Step<'a>,
        input: &Input<'_>,
        range: Range<usize>,
        out: &'b mut Block<'a, f32>,
    ) -> Self {
        let tile_bytes = blocks(input.cols) * W::KIND.block_bytes();
        let bytes = &step.linear.weight.tiles()[range.start * tile_bytes..range.end * tile_bytes];
        let acts = input.acts.filter(|_| W::KIND.is_quantized());
        let null = core::ptr::null();
        let lines = Lines {
            x: input.x.as_ptr(),
            stride: input.stride,
            cols: input.cols,
            q: acts.map_or(core::ptr::null(), |a| a.q.as_ptr()),
            scale: acts.map_or(null, |a| a.scale.as_ptr()),
            sum: acts.map_or(null, |a| a.sum.as_ptr()),
            blocks: blocks(input.cols),
        };
        let bias = step.linear.bias.map(|bias| &bias[range.start * TILE_ROWS..]);
        let weights = core::marker::PhantomData;
        Self { bytes, tile_bytes, lines, n: input.n, bias, then: step.then, out, weights }
    }

    fn tiles(&self) -> usize {
        self.bytes.len().checked_div(self.tile_bytes).unwrap_or(0)
    }

    /// Adds the bias to the products of a tile with a token and sends them to the output.
    #[inline(always)]
    fn finish<S: Simd>(&mut self, s: S, tile: usize, token: usize, mut products: Rows<S>) {
        let row = tile * TILE_ROWS;
        if let Some(bias) = self.bias {
            let bias = load_wide(s, bias.get(row..).unwrap_or(&[]));
            for part in 0..S::PARTS {
                products[part] = s.add(products[part], bias[part]);
            }
        }
        let out = &mut self.out.row(token)[row..row + TILE_ROWS];
        match self.then {
            Then::Store => {}
            Then::Add(factor) => {
                let x = load_wide(s, out);
                for part in 0..S::PARTS {
                    // Once is exact.
                    products[part] = s.add(x[part], s.mul(products[part], s.splat(factor)));
                }
            }
            Then::Times => {
                let gate = load_wide(s, out);
                for part in 0..S::PARTS {
                    products[part] = s.mul(gate[part], products[part]);
                }
            }
            Then::TimesClamped(limit) => {
                let gate = load_wide(s, out);
                for part in 0..S::PARTS {
                    let up = s.add(clamped(s, products[part], limit), s.splat(1.0));
                    products[part] = s.mul(gate[part], up);
                }
            }
        }
        store_wide(s, out, products);
    }
}

/// Tiles that one thread goes through at a time, each a stream of its own: a single
/// sequential stream reaches less than half of the memory's bandwidth.
const STREAMS: usize = 4;

impl<W: Weights> Op for Product<'_, '_, W> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        if self.n == 1 { decode(s, &mut self) } else { prefill(s, &mut self) }
    }
}

/// The products of all tiles with one token: sums in registers, so that each number of tiles
/// has its own code.
#[inline(always)]
fn decode<S: Simd, W: Weights>(s: S, product: &mut Product<'_, '_, W>) {
    let tiles = product.tiles();
    let each = tiles / STREAMS;
    for i in 0..each {
        one_token(s, product, [i, each + i, 2 * each + i, 3 * each + i]);
    }
    match tiles - each * STREAMS {
        0 => {}
        1 => one_token(s, product, [tiles - 1]),
        2 => one_token(s, product, [tiles - 2, tiles - 1]),
        _ => one_token(s, product, [tiles - 3, tiles - 2, tiles - 1]),
    }
}

/// The products of all tiles with all tokens.
#[inline(always)]
fn prefill<S: Simd, W: Weights>(s: S, product: &mut Product<'_, '_, W>) {
    let tiles = product.tiles();
    let each = tiles / STREAMS;
    S::Several::begin(s);
    for i in 0..tiles.div_ceil(STREAMS) {
        let mut group = [i, each + i, 2 * each + i, 3 * each + i];
        let mut len = STREAMS;
        if i == each {
            len = tiles - each * STREAMS;
            group = [tiles - len, tiles - len + 1, tiles - len + 2, tiles];
        }
        for first in (0..product.n).step_by(MOST_TOKENS) {
            let tokens = first..product.n.min(first + MOST_TOKENS);
            several_tokens(s, product, &group[..len], tokens);
        }
    }
    S::Several::end(s);
}

/// How far ahead each stream is prefetched for one token. At the end of a tile this reaches
/// the next one, which the same stream reads next.
const PREFETCH: usize = 3072;
const CACHE_LINE: usize = 64;

/// Asks for the whole block at `block`.
#[inline(always)]
fn prefetch<S: Simd, W: Weights>(s: S, block: *const u8) {
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

/// Decode: block by block in turns, sums in registers.
#[inline(always)]
fn one_token<S: Simd, W: Weights, const N: usize>(
    s: S,
    product: &mut Product<'_, '_, W>,
    tiles: [usize; N],
) {
    let mut at = tiles.map(|tile| product.bytes[tile * product.tile_bytes..].as_ptr());
    let mut acc = [[s.splat(0.0); MOST_PARTS]; N];
    for b in 0..product.lines.blocks {
        // SAFETY: `check` saw the inputs, and this is block `b` of tiles of this piece.
        unsafe {
            let acts = W::one(s, product.lines, 0, b);
            // Written out: sums that a loop picks would live in memory.
            add_one::<S, W>(s, &mut at[0], &acts, &mut acc[0]);
            if N > 1 {
                add_one::<S, W>(s, &mut at[1], &acts, &mut acc[1]);
            }
            if N > 2 {
                add_one::<S, W>(s, &mut at[2], &acts, &mut acc[2]);
            }
            if N > 3 {
                add_one::<S, W>(s, &mut at[3], &acts, &mut acc[3]);
            }
        }
    }
    for i in 0..N {
        product.finish(s, tiles[i], 0, acc[i]);
    }
}

/// Adds the products of one token with a block to their sums, and goes on to the next block.
///
/// # Safety
/// `at` points to a whole block, and the inputs are still there.
#[inline(always)]
unsafe fn add_one<S: Simd, W: Weights>(
    s: S,
    at: &mut *const u8,
    acts: &W::One<S>,
    acc: &mut Rows<S>,
) {
    prefetch::<S, W>(s, at.wrapping_add(PREFETCH));
    // SAFETY: as the caller promises.
    unsafe { W::add_one(s, *at, acts, acc) };
    *acc = s.settle(*acc);
    *at = at.wrapping_add(W::KIND.block_bytes());
}

/// Tokens that share what is made ready. It all lies on the stack, 25 KiB of it, and in the
/// first cache.
const MOST_TOKENS: usize = 64;

/// Sums of a tile with all of them, none across two lines of the cache.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Sums([MaybeUninit<f32>; MOST_TOKENS * TILE_ROWS]);

/// Prefill: a block's activations are made ready once for up to [`STREAMS`] tiles, its weights
/// once for all tokens; the sums of tiles × tokens wait in memory meanwhile, which costs
/// nothing beside the 32 columns added in registers.
#[inline(always)]
fn several_tokens<S: Simd, W: Weights>(
    s: S,
    product: &mut Product<'_, '_, W>,
    tiles: &[usize],
    tokens: Range<usize>,
) {
    let mut acts = [const { MaybeUninit::<W::Acts<S>>::uninit() }; MOST_TOKENS];
    let mut sums =
        [const { Sums([const { MaybeUninit::uninit() }; MOST_TOKENS * TILE_ROWS]) }; STREAMS];
    let groups = tokens.len().div_ceil(W::woven::<S>());
    for sums in &mut sums[..tiles.len()] {
        sums.0[..groups * W::woven::<S>() * TILE_ROWS].fill(MaybeUninit::new(0.0));
    }
    // The more tokens, the longer a block takes, but by tile registers it is soon done.
    let ahead = (PREFETCH / tokens.len().max(1)).max(3 * W::KIND.block_bytes());
    for b in 0..product.lines.blocks {
        // SAFETY: `check` saw the inputs.
        unsafe { ready_acts::<S, W>(s, product.lines, tokens.clone(), b, &mut acts) };
        for (tile, sums) in tiles.iter().zip(&mut sums) {
            let tile = product.bytes[tile * product.tile_bytes..].as_ptr();
            let block = tile.wrapping_add(b * W::KIND.block_bytes());
            prefetch::<S, W>(s, block.wrapping_add(ahead));
            // SAFETY: block `b` of a tile of this piece, and inputs and sums of as many
            // groups as there are; both were written above.
            unsafe {
                let (acts, sums) = (acts.as_ptr().cast(), sums.0.as_mut_ptr().cast());
                add_block::<S, W>(s, block, groups, acts, sums);
            }
        }
    }
    for (&tile, sums) in tiles.iter().zip(&mut sums) {
        let sums = sums.0.as_mut_ptr().cast::<f32>();
        // SAFETY: as many sums were written.
        unsafe { W::unweave(s, sums, groups) };
        for token in 0..tokens.len() {
            let stride = groups * W::woven::<S>();
            // SAFETY: as above.
            let products = unsafe { products::<S, W>(s, sums, token, stride) };
            product.finish(s, tile, tokens.start + token, products);
        }
    }
}

/// Makes a block's activations of all groups of tokens ready.
///
/// # Safety
/// `lines` has these tokens and this block.
#[inline(always)]
unsafe fn ready_acts<S: Simd, W: Weights>(
    s: S,
    lines: Lines,
    tokens: Range<usize>,
    b: usize,
    acts: &mut [MaybeUninit<W::Acts<S>>],
) {
    let whole = tokens.len() / W::woven::<S>();
    for (group, acts) in acts[..whole].iter_mut().enumerate() {
        let first = tokens.start + group * W::woven::<S>();
        // SAFETY: as the caller promises.
        acts.write(unsafe { W::acts(s, lines, [first, first + W::woven::<S>() - 1], b) });
    }
    if whole * W::woven::<S>() < tokens.len() {
        // A last token that is left alone is its own neighbour.
        // SAFETY: as the caller promises.
        acts[whole].write(unsafe { W::acts(s, lines, [tokens.end - 1; 2], b) });
    }
}

/// Where the sums of some rows with a token begin: `together` registers of each token, of all
/// `n` tokens, and then the next rows'.
#[inline(always)]
fn sums_of<S: Simd, W: Weights>(first: usize, token: usize, n: usize) -> usize {
    (first * n + token * W::together::<S>()) * S::LANES
}

/// One token's sums.
///
/// # Safety
/// `sums` points to those of `n` tokens, this one among them.
#[inline(always)]
unsafe fn products<S: Simd, W: Weights>(s: S, sums: *const f32, token: usize, n: usize) -> Rows<S> {
    let mut rows = [s.splat(0.0); MOST_PARTS];
    for part in 0..S::PARTS {
        let (first, rest) = (part - part % W::together::<S>(), part % W::together::<S>());
        let at = sums_of::<S, W>(first, token, n) + rest * S::LANES;
        // SAFETY: `PARTS · LANES` is 16, and so many sums has a token.
        rows[part] = unsafe { s.load(sums.add(at)) };
    }
    rows
}

/// Adds one block's products with all groups of tokens to their sums.
///
/// # Safety
/// `block` points to a whole block, `acts` to `groups` values, `sums` to 16 for each token.
#[inline(always)]
unsafe fn add_block<S: Simd, W: Weights>(
    s: S,
    block: *const u8,
    groups: usize,
    acts: *const W::Acts<S>,
    sums: *mut f32,
) {
    let n = groups * W::woven::<S>();
    for first in (0..S::PARTS).step_by(W::together::<S>()) {
        // SAFETY: as many groups as there are, as the caller promises.
        unsafe {
            let ready = W::ready(s, block, first);
            let at = (acts, sums.add(sums_of::<S, W>(first, 0, n)));
            let (mut at, groups) = W::add_many(s, &ready, at, groups);
            for _ in 0..groups / W::at_once::<S>() {
                // What is asked is constant: each compiles one of these.
                at = match W::at_once::<S>() {
                    1 => W::add::<S, 1>(s, &ready, at),
                    2 => W::add::<S, 2>(s, &ready, at),
                    8 => W::add::<S, 8>(s, &ready, at),
                    _ => W::add::<S, 4>(s, &ready, at),
                };
            }
            let rest = groups % W::at_once::<S>();
            if W::at_once::<S>() > 4 && rest >= 4 {
                at = W::add::<S, 4>(s, &ready, at);
            }
            match rest % 4 {
                0 => at,
                1 => W::add::<S, 1>(s, &ready, at),
                2 => W::add::<S, 2>(s, &ready, at),
                _ => W::add::<S, 3>(s, &ready, at),
            };
        }
    }
}
