//! Products of packed matrices with the inputs of one or several tokens.
//!
//! Rows are cut into tiles and shared between threads; every row of every token is one
//! chain of fma over the blocks, so neither threads nor tokens nor lanes change a bit.
#![allow(unsafe_code, clippy::indexing_slicing)]
// Registers come in arrays that are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop)]

use core::mem::MaybeUninit;
use core::ops::Range;

use super::Machine;
use super::acts::Acts;
use super::isa::{Isa, Op};
use super::simd::{MOST_PARTS, Simd};
use super::vector::{load_some, silu_times};
use super::weights::{Floats, Int4, Int4a, Int8, Lines, Packed, Rows, Sums, Weights, load};
use crate::exec::{Block, MOST_PIECES, for_each};
use crate::layout::{TILE_ROWS, WeightType, blocks, tiles};
use crate::matrix::Linear;

/// The inputs of `n` tokens, in the forms that the matrices of a region want.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// Tokens.
    pub n: usize,
    /// Columns of each.
    pub cols: usize,
    /// `(n, cols)`, rows `stride` apart: read by f32 matrices alone, else may be empty
    pub x: &'a [f32],
    /// From one token's `x` to the next; at least `cols`.
    pub stride: usize,
    /// Read by quantized matrices; at least `n` tokens.
    pub acts: Option<Acts<'a>>,
}

/// What is done with a product y = W·x, to which the bias, if any, has been added.
#[derive(Clone, Copy)]
pub enum Task<'m> {
    /// `out = y`
    Store(Linear<'m>),
    /// `out = out + y · factor`: the residual stream
    Add(Linear<'m>, f32),
    /// `out = SiLU(y of gate) · y of up`
    GatedSilu {
        /// `(rows, cols)`
        gate: Linear<'m>,
        /// `(rows, cols)`
        up: Linear<'m>,
    },
}

/// One output of a parallel region.
pub struct Job<'a> {
    /// Which matrix, and what becomes of its product.
    pub task: Task<'a>,
    /// `(n, rows padded to 16)`, rows `stride` apart. The padding becomes 0 (in
    /// [`Task::Add`] it stays as it is).
    pub out: &'a mut [f32],
    /// From one token's output to the next; at least the rows padded to 16.
    pub stride: usize,
}

/// How a register of products goes to the output.
#[derive(Clone, Copy)]
enum Then {
    Store,
    Add(f32),
    GatedBy,
}

#[derive(Clone, Copy)]
struct Step<'m> {
    linear: Linear<'m>,
    then: Then,
}

impl<'m> Task<'m> {
    /// The products, one after the other on the same rows.
    fn steps(self) -> [Option<Step<'m>>; 2] {
        let step = |linear, then| Some(Step { linear, then });
        match self {
            Self::Store(linear) => [step(linear, Then::Store), None],
            Self::Add(linear, factor) => [step(linear, Then::Add(factor)), None],
            Self::GatedSilu { gate, up } => [step(gate, Then::Store), step(up, Then::GatedBy)],
        }
    }

    fn rows(self) -> usize {
        match self {
            Self::Store(linear) | Self::Add(linear, _) => linear.weight.rows(),
            Self::GatedSilu { gate, .. } => gate.weight.rows(),
        }
    }
}

/// Tiles of one job that one thread computes.
struct Piece<'a> {
    steps: [Option<Step<'a>>; 2],
    /// Of the job's tiles.
    range: Range<usize>,
    /// `(n, 16 · tiles in range)`
    out: Block<'a, f32>,
}

/// Pieces a thread, so that a late thread is waited for less: few for one token, since
/// every piece starts its streams anew.
const PIECES_DECODE: usize = 1;
const PIECES_PREFILL: usize = 4;

/// Computes the jobs in one parallel region. All read the same input and may differ in
/// weight type.
///
/// # Panics
/// If a matrix, bias, input or output has not the stated shape.
pub fn matmul(machine: &Machine<'_>, input: &Input<'_>, jobs: &mut [Job<'_>]) {
    jobs.iter().for_each(|job| check(input, job));
    if input.n == 0 {
        return;
    }
    let total: usize = jobs.iter().map(|job| tiles(job.task.rows())).sum();
    let most = if input.n == 1 { PIECES_DECODE } else { PIECES_PREFILL };
    // The cut between two jobs may add a piece each.
    let wanted =
        machine.exec.threads().saturating_mul(most).min(MOST_PIECES.saturating_sub(jobs.len()));
    let each = total.div_ceil(wanted.max(1)).max(1);
    let pieces = jobs.iter_mut().flat_map(|job| cut(job, input.n, each));
    for_each(machine.exec, pieces, |piece| compute(machine.isa, input, piece));
}

/// Cuts a job into pieces of `each` tiles.
fn cut<'a>(job: &'a mut Job<'_>, n: usize, each: usize) -> impl Iterator<Item = Piece<'a>> {
    let (steps, all, each) = (job.task.steps(), tiles(job.task.rows()), each.max(1));
    let mut rest = Some(Block::new(job.out, n, job.stride));
    (0..all.div_ceil(each)).filter_map(move |piece| {
        let range = piece * each..all.min((piece + 1) * each);
        let (out, right) = rest.take()?.split_cols(range.len() * TILE_ROWS);
        rest = Some(right);
        Some(Piece { steps, range, out })
    })
}

/// Everything that the kernels rely on.
fn check(input: &Input<'_>, job: &Job<'_>) {
    let rows = tiles(job.task.rows()) * TILE_ROWS;
    // As many whole rows as `Block` counts.
    assert!(job.stride >= rows && (job.stride == 0 || job.out.len() / job.stride >= input.n));
    for step in job.task.steps().into_iter().flatten() {
        let weight = step.linear.weight;
        assert!(weight.rows() == job.task.rows() && weight.cols() == input.cols);
        assert!(step.linear.bias.is_none_or(|bias| bias.len() == weight.rows()));
        if weight.kind().is_quantized() {
            assert!(input.acts.is_some_and(|a| a.n() >= input.n && a.cols() == input.cols));
        } else if input.n > 0 {
            let last = (input.n - 1).checked_mul(input.stride);
            let len = last.and_then(|last| last.checked_add(input.cols));
            assert!(len.is_some_and(|len| len <= input.x.len()));
        }
    }
}

fn compute(isa: Isa, input: &Input<'_>, piece: Piece<'_>) {
    let Piece { steps, range, mut out } = piece;
    for step in steps.into_iter().flatten() {
        let (range, out) = (range.clone(), &mut out);
        match step.linear.weight.kind() {
            WeightType::F32 => isa.run(Product::<Floats>::new(step, input, range, out)),
            WeightType::Int8 => isa.run(Product::<Packed<Int8>>::new(step, input, range, out)),
            WeightType::Int4 => isa.run(Product::<Packed<Int4>>::new(step, input, range, out)),
            WeightType::Int4a => isa.run(Product::<Packed<Int4a>>::new(step, input, range, out)),
        }
    }
}

/// One step on one piece.
struct Product<'a, 'b, W> {
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
    fn new(
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
    fn finish<S: Simd>(&mut self, s: S, tile: usize, token: usize, products: Rows<S>) {
        for part in 0..S::PARTS {
            let row = tile * TILE_ROWS + part * S::LANES;
            let mut y = products[part];
            if let Some(bias) = self.bias {
                let bias = bias.get(row..).unwrap_or(&[]);
                y = s.add(y, load_some(s, &bias[..bias.len().min(S::LANES)]));
            }
            let out = &mut self.out.row(token)[row..row + S::LANES];
            // SAFETY: the slice has `LANES` elements.
            unsafe {
                let y = match self.then {
                    Then::Store => y,
                    // Once is exact.
                    Then::Add(factor) => s.add(s.load(out.as_ptr()), s.mul(y, s.splat(factor))),
                    Then::GatedBy => silu_times(s, s.load(out.as_ptr()), y),
                };
                s.store(out.as_mut_ptr(), y);
            }
        }
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
}

/// How far ahead each stream is prefetched for one token. At the end of a tile this reaches
/// the next one, which the same stream reads next.
const PREFETCH: usize = 3072;
const CACHE_LINE: usize = 64;

/// Asks for the block that is `ahead` of this one.
#[inline(always)]
fn prefetch<S: Simd, W: Weights>(s: S, block: *const u8, ahead: usize) {
    for line in 0..W::KIND.block_bytes().div_ceil(CACHE_LINE) {
        s.prefetch(block.wrapping_add(ahead + line * CACHE_LINE));
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
        // SAFETY: `check` saw the inputs.
        let acts = unsafe { W::acts(s, product.lines, 0, b) };
        for i in 0..N {
            prefetch::<S, W>(s, at[i], PREFETCH);
            // SAFETY: block `b` of a tile of this piece.
            unsafe { W::add_one(s, at[i], &acts, &mut acc[i]) };
            at[i] = at[i].wrapping_add(W::KIND.block_bytes());
        }
    }
    for i in 0..N {
        product.finish(s, tiles[i], 0, acc[i]);
    }
}

/// Tokens that share what is made ready. It all lies on the stack, 25 KiB of it, and in the
/// first cache.
const MOST_TOKENS: usize = 64;

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
    let mut sums = [const { [const { MaybeUninit::<Sums>::uninit() }; MOST_TOKENS] }; STREAMS];
    for sums in sums[..tiles.len()].iter_mut().flat_map(|sums| &mut sums[..tokens.len()]) {
        sums.write([0.0; TILE_ROWS]);
    }
    // The more tokens, the longer a block takes, and the first cache is full without it.
    let ahead = (PREFETCH / tokens.len().max(1)).max(W::KIND.block_bytes());
    for b in 0..product.lines.blocks {
        for (token, acts) in tokens.clone().zip(&mut acts) {
            // SAFETY: `check` saw the inputs.
            acts.write(unsafe { W::acts(s, product.lines, token, b) });
        }
        for (tile, sums) in tiles.iter().zip(&mut sums) {
            let tile = product.bytes[tile * product.tile_bytes..].as_ptr();
            let block = tile.wrapping_add(b * W::KIND.block_bytes());
            prefetch::<S, W>(s, block, ahead);
            // SAFETY: block `b` of a tile of this piece, and inputs and sums of as many
            // tokens as there are; both were written above.
            unsafe {
                let (acts, sums) = (acts.as_ptr().cast(), sums.as_mut_ptr().cast());
                add_block::<S, W>(s, block, tokens.len(), acts, sums);
            }
        }
    }
    for (&tile, sums) in tiles.iter().zip(&sums) {
        for (token, sums) in tokens.clone().zip(sums) {
            // SAFETY: written above.
            product.finish(s, tile, token, load(s, unsafe { sums.assume_init_ref() }));
        }
    }
}

/// Adds one block's products with `n` tokens to their sums.
///
/// # Safety
/// `block` points to a whole block, `acts` and `sums` to `n` values each.
#[inline(always)]
unsafe fn add_block<S: Simd, W: Weights>(
    s: S,
    block: *const u8,
    n: usize,
    acts: *const W::Acts<S>,
    sums: *mut Sums,
) {
    let mut t = 0;
    // SAFETY: as many tokens as are left, as the caller promises.
    unsafe {
        let ready = W::ready(s, block);
        while t < n {
            let (acts, sums) = (acts.add(t), sums.add(t));
            t += match S::MATMUL_TOKENS.min(n - t) {
                1 => add::<S, W, 1>(s, &ready, acts, sums),
                2 => add::<S, W, 2>(s, &ready, acts, sums),
                3 => add::<S, W, 3>(s, &ready, acts, sums),
                // The condition is constant, and without it all would compile this arm.
                8.. if S::MATMUL_TOKENS == 8 => add::<S, W, 8>(s, &ready, acts, sums),
                _ => add::<S, W, 4>(s, &ready, acts, sums),
            };
        }
    }
}

/// [`Weights::add`] by pointers; gives `T`.
///
/// # Safety
/// `acts` and `sums` point to `T` values each.
#[inline(always)]
unsafe fn add<S: Simd, W: Weights, const T: usize>(
    s: S,
    ready: &W::Ready<S>,
    acts: *const W::Acts<S>,
    sums: *mut Sums,
) -> usize {
    // SAFETY: as the caller promises.
    unsafe { W::add(s, ready, &*acts.cast::<[W::Acts<S>; T]>(), &mut *sums.cast::<[Sums; T]>()) };
    T
}
