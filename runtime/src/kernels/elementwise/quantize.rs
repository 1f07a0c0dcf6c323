//! Activations, quantized in blocks of 32 to meet int4, int4a and int8 weights.
#![allow(unsafe_code, clippy::indexing_slicing)]
// Registers come in arrays that are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop)]

use core::ops::Range;

use super::vector::{WIDE, load_wide};
use crate::format::layout::{BLOCK_COLS, blocks};
use crate::kernels::isa::Isa;
use crate::kernels::simd::{MAX_PARTS, Op, Simd};

/// The least magnitude of a block's largest value: a block below it is taken as zero,
/// so that neither 127 / amax nor a product of scales leaves the normal numbers.
pub(crate) const AMAX_LEAST: f32 = f32::from_bits((127 - 100) << 23);

/// Quantized activations of several tokens.
#[derive(Clone, Copy, Debug)]
pub struct QuantizedActivations<'a> {
    n: usize,
    cols: usize,
    /// `(n, blocks · 32)`, zero behind the columns
    pub(crate) q: &'a [i8],
    /// `(n, blocks)`
    pub(crate) scale: &'a [f32],
    /// `(n, blocks)`: the sum of a block's quants, which f32 holds exactly
    pub(crate) sum: &'a [f32],
}

/// Quantized activations of several tokens that are being written.
#[derive(Debug)]
pub struct QuantizedActivationsMut<'a> {
    n: usize,
    cols: usize,
    q: &'a mut [i8],
    scale: &'a mut [f32],
    sum: &'a mut [f32],
}

impl<'a> QuantizedActivationsMut<'a> {
    /// The first `n` tokens of `cols` in buffers of at least `(n, blocks · 32)`,
    /// `(n, blocks)` and `(n, blocks)`; `None` if one is shorter.
    pub fn new(
        n: usize,
        cols: usize,
        q: &'a mut [i8],
        scale: &'a mut [f32],
        sum: &'a mut [f32],
    ) -> Option<Self> {
        let len = n.checked_mul(blocks(cols))?;
        let (q, scale) = (q.get_mut(..len.checked_mul(BLOCK_COLS)?)?, scale.get_mut(..len)?);
        Some(Self { n, cols, q, scale, sum: sum.get_mut(..len)? })
    }

    /// Tokens.
    pub fn n(&self) -> usize {
        self.n
    }

    /// The tokens before `token` and the rest, for parts that fill them in parallel.
    pub fn split(self, token: usize) -> (Self, Self) {
        let at = token.min(self.n) * blocks(self.cols);
        let (q, q_rest) = self.q.split_at_mut((at * BLOCK_COLS).min(self.q.len()));
        let (scale, scale_rest) = self.scale.split_at_mut(at.min(self.scale.len()));
        let (sum, sum_rest) = self.sum.split_at_mut(at.min(self.sum.len()));
        let cols = self.cols;
        (
            Self { n: token.min(self.n), cols, q, scale, sum },
            Self {
                n: self.n.saturating_sub(token),
                cols,
                q: q_rest,
                scale: scale_rest,
                sum: sum_rest,
            },
        )
    }

    /// A second handle, for a while.
    pub fn reborrow(&mut self) -> QuantizedActivationsMut<'_> {
        let Self { n, cols, q, scale, sum } = self;
        QuantizedActivationsMut { n: *n, cols: *cols, q, scale, sum }
    }

    /// Ends the writing: the activations, for as long as the buffers last.
    pub fn freeze(self) -> QuantizedActivations<'a> {
        QuantizedActivations {
            n: self.n,
            cols: self.cols,
            q: self.q,
            scale: self.scale,
            sum: self.sum,
        }
    }

    /// The activations so far.
    pub fn view(&self) -> QuantizedActivations<'_> {
        QuantizedActivations {
            n: self.n,
            cols: self.cols,
            q: self.q,
            scale: self.scale,
            sum: self.sum,
        }
    }

    /// Takes over what `from`, which has as many columns, has of its token `source`.
    pub fn copy(&mut self, token: usize, from: &QuantizedActivations<'_>, source: usize) {
        let blocks = blocks(self.cols);
        // Of no token there may be any number of columns.
        copy_row(blocks.saturating_mul(BLOCK_COLS), self.q, token, from.q, source);
        copy_row(blocks, self.scale, token, from.scale, source);
        copy_row(blocks, self.sum, token, from.sum, source);
    }

    /// Quantizes `x` `(cols)` as this token.
    ///
    /// # Panics
    /// If there is no such token, or `x` has another length.
    pub fn quantize(&mut self, isa: Isa, token: usize, x: &[f32]) {
        assert!(x.len() == self.cols && token < self.n);
        let blocks = blocks(self.cols);
        let at = token * blocks..(token + 1) * blocks;
        let q = &mut self.q[at.start * BLOCK_COLS..at.end * BLOCK_COLS];
        isa.run(Quantize { x, q, scale: &mut self.scale[at.clone()], sum: &mut self.sum[at] });
    }
}

/// Row `row` of `to` becomes row `source` of `from`, both of `len`, if there are both.
fn copy_row<T: Copy>(len: usize, to: &mut [T], row: usize, from: &[T], source: usize) {
    let to = to.chunks_exact_mut(len.max(1)).nth(row).unwrap_or_default();
    let from = from.chunks_exact(len.max(1)).nth(source).unwrap_or_default();
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
}

impl QuantizedActivations<'_> {
    /// The activations of these tokens alone; of none, if they are not all there.
    pub(crate) fn select(&self, tokens: Range<usize>) -> Self {
        let blocks = blocks(self.cols);
        let (from, to) = (tokens.start * blocks, tokens.end * blocks);
        let q = self.q.get(from * BLOCK_COLS..to * BLOCK_COLS).unwrap_or_default();
        let scale = self.scale.get(from..to).unwrap_or_default();
        let sum = self.sum.get(from..to).unwrap_or_default();
        let n = if sum.is_empty() { 0 } else { tokens.len() };
        Self { n, cols: self.cols, q, scale, sum }
    }

    /// Tokens.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Columns of each.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// `(n, blocks · 32)`
    pub fn q(&self) -> &[i8] {
        self.q
    }

    /// `(n, blocks)`
    pub fn scale(&self) -> &[f32] {
        self.scale
    }

    /// `(n, blocks)`
    pub fn sum(&self) -> &[f32] {
        self.sum
    }
}

struct Quantize<'a> {
    x: &'a [f32],
    q: &'a mut [i8],
    scale: &'a mut [f32],
    sum: &'a mut [f32],
}

impl Op for Quantize<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let blocks = self.x.chunks(BLOCK_COLS).zip(self.q.chunks_exact_mut(BLOCK_COLS));
        for ((x, q), (scale, sum)) in blocks.zip(self.scale.iter_mut().zip(self.sum)) {
            // Of a whole block the compiler knows how many registers there are.
            let (block_scale, total) = match x.as_array::<BLOCK_COLS>() {
                Some(whole) => quantize_run(s, whole, q),
                None => quantize_run(s, x, q),
            };
            (*scale, *sum) = (block_scale, total as f32);
        }
    }
}

/// Quantizes `x` with one scale to `q`, which is a multiple of 16 long, at least as long
/// as `x`, and becomes zero behind it. Gives the scale and the sum of the quants.
#[inline(always)]
pub(crate) fn quantize_run<S: Simd>(s: S, x: &[f32], q: &mut [i8]) -> (f32, i32) {
    let mut largest = s.splat_i(0);
    for x in x.chunks(WIDE) {
        let v = load_wide(s, x);
        for part in 0..S::PARTS {
            largest = s.max_bits(largest, v[part]);
        }
    }
    let amax = f32::from_bits(s.reduce_max_i(largest).cast_unsigned());
    if !(AMAX_LEAST..=f32::MAX).contains(&amax) {
        q.fill(0);
        return (0.0, 0);
    }
    let inverse = s.splat(127.0 / amax);
    let mut sum = s.splat_i(0);
    for (i, q) in q.chunks_exact_mut(WIDE).enumerate() {
        let v = load_wide(s, x.get(i * WIDE..).unwrap_or(&[]));
        let mut rounded = [s.splat_i(0); MAX_PARTS];
        for part in 0..S::PARTS {
            // Within ±127 without being clamped: |v| is at most amax, so that both roundings
            // together leave the product below 127.5.
            rounded[part] = s.round(s.mul(v[part], inverse));
            sum = s.add_i(sum, rounded[part]);
        }
        // SAFETY: the chunk has 16 elements.
        unsafe { s.store_i8(q.as_mut_ptr(), rounded) };
    }
    (amax * (1.0 / 127.0), s.reduce_add_i(sum))
}

/// The factor by which [`quantize_run`] multiplies a run whose largest magnitude is `amax`, and the
/// scale that it gives, lane by lane: of many runs at once.
#[inline(always)]
pub(crate) fn factors<S: Simd>(s: S, amax: S::F) -> (S::F, S::F) {
    let (zero, least) = (s.splat(0.0), s.splat(AMAX_LEAST));
    let amax = s.select_lt(s.splat(f32::MAX), amax, zero, amax);
    let inverse = s.select_lt(amax, least, zero, s.div(s.splat(127.0), amax));
    let amax = s.select_lt(amax, least, zero, amax);
    (inverse, s.mul(amax, s.splat(1.0 / 127.0)))
}
