//! What differs between weight types, and nothing else: how one block of a tile adds to
//! the accumulators of several tokens.
#![allow(unsafe_code, clippy::indexing_slicing)]
// Registers come in arrays that are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop)]

use core::marker::PhantomData;

use super::simd::{MOST_PARTS, Simd};
use crate::layout::{BLOCK_COLS, GROUPS, LINE, TILE_ROWS, WeightType};

/// The registers of 16 rows: the first [`Simd::PARTS`] are used.
pub(super) type Rows<S> = [<S as Simd>::F; MOST_PARTS];

/// Which registers of a tile's 16 rows are computed together. Results are counted from
/// `first`: an array indexed by what the compiler cannot know would live in memory.
#[derive(Clone, Copy)]
pub(super) struct Parts {
    pub first: usize,
    pub count: usize,
}

/// The inputs of a run of tokens, as pointers to the first of them.
#[derive(Clone, Copy)]
pub(super) struct Lines {
    /// `(n, cols)`, rows `stride` apart
    pub x: *const f32,
    pub stride: usize,
    pub cols: usize,
    /// `(n, blocks · 32)`
    pub q: *const i8,
    /// `(n, blocks)`
    pub scale: *const f32,
    /// `(n, blocks)`
    pub sum: *const f32,
    pub blocks: usize,
}

impl Lines {
    /// The inputs from `token` on.
    #[inline(always)]
    pub fn from(self, token: usize) -> Self {
        let blocks = token * self.blocks;
        Self {
            x: self.x.wrapping_add(token * self.stride),
            q: self.q.wrapping_add(blocks * BLOCK_COLS),
            scale: self.scale.wrapping_add(blocks),
            sum: self.sum.wrapping_add(blocks),
            ..self
        }
    }
}

/// A weight type, as the kernels see it.
pub(super) trait Weights {
    const KIND: WeightType;

    /// Adds block `b` of a tile, which begins at `block`, to the accumulators of `T`
    /// tokens.
    ///
    /// # Safety
    /// `block` points to a whole block; `lines` to the inputs of `T` tokens, quantized if
    /// the type wants that; `b` is one of its blocks.
    unsafe fn block<S: Simd, const T: usize>(
        s: S,
        block: *const u8,
        b: usize,
        lines: Lines,
        parts: Parts,
        acc: &mut [Rows<S>; T],
    );
}

/// f32 weights: a chain of fma over the columns.
pub(super) struct Floats;

impl Weights for Floats {
    const KIND: WeightType = WeightType::F32;

    #[inline(always)]
    unsafe fn block<S: Simd, const T: usize>(
        s: S,
        block: *const u8,
        b: usize,
        lines: Lines,
        parts: Parts,
        acc: &mut [Rows<S>; T],
    ) {
        let first = b * BLOCK_COLS;
        for c in 0..BLOCK_COLS.min(lines.cols - first) {
            for part in 0..parts.count {
                // SAFETY: column `c < 32` of the block, and column `first + c < cols` of
                // `T` tokens.
                unsafe {
                    let row = (parts.first + part) * S::LANES;
                    let w = s.load(block.cast::<f32>().add(c * TILE_ROWS + row));
                    for (t, acc) in acc.iter_mut().enumerate() {
                        let x = *lines.x.add(t * lines.stride + first + c);
                        acc[part] = s.fma(w, s.splat(x), acc[part]);
                    }
                }
            }
        }
    }
}

/// The constants of an integer weight type.
pub(super) trait Quants {
    const KIND: WeightType;
    /// Whether a byte holds two weights.
    const NIBBLES: bool;
    /// What a stored value exceeds the weight by; for int8, what the instruction adds.
    fn offset<S: Simd>() -> i32;
    /// Whether a minimum is added for each unit of activation.
    const MINIMUM: bool;
}

pub(super) struct Int8;
pub(super) struct Int4;
pub(super) struct Int4a;

impl Quants for Int8 {
    const KIND: WeightType = WeightType::Int8;
    const NIBBLES: bool = false;
    #[inline(always)]
    fn offset<S: Simd>() -> i32 {
        S::I8_OFFSET
    }
    const MINIMUM: bool = false;
}

impl Quants for Int4 {
    const KIND: WeightType = WeightType::Int4;
    const NIBBLES: bool = true;
    #[inline(always)]
    fn offset<S: Simd>() -> i32 {
        crate::layout::INT4_ZERO as i32
    }
    const MINIMUM: bool = false;
}

impl Quants for Int4a {
    const KIND: WeightType = WeightType::Int4a;
    const NIBBLES: bool = true;
    #[inline(always)]
    fn offset<S: Simd>() -> i32 {
        0
    }
    const MINIMUM: bool = true;
}

/// Integer weights: an exact dot product a block, then one fma (two with a minimum).
pub(super) struct Packed<Q>(PhantomData<Q>);

impl<Q: Quants> Weights for Packed<Q> {
    const KIND: WeightType = Q::KIND;

    #[inline(always)]
    unsafe fn block<S: Simd, const T: usize>(
        s: S,
        block: *const u8,
        b: usize,
        lines: Lines,
        parts: Parts,
        acc: &mut [Rows<S>; T],
    ) {
        // SAFETY: as the caller promises; scales and minima lie inside the block.
        unsafe {
            let q = lines.q.add(b * BLOCK_COLS);
            let dots = dots::<S, Q, T>(s, block, q, lines.blocks * BLOCK_COLS, parts);
            for part in 0..parts.count {
                let row = (parts.first + part) * S::LANES;
                let scales = block.add(Q::KIND.quant_bytes() + 2 * row);
                let minima = block.add(Q::KIND.minimum_offset() + 2 * row);
                let w_scale = s.load_f16(scales);
                for t in 0..T {
                    let scale = s.splat(*lines.scale.add(t * lines.blocks + b));
                    let sum = s.splat(*lines.sum.add(t * lines.blocks + b));
                    let mut dot = s.to_f(dots[t][part]);
                    if Q::offset::<S>() != 0 {
                        // Every term and the result are integers below 2^24: exact.
                        dot = s.fma(sum, s.splat(-Q::offset::<S>() as f32), dot);
                    }
                    acc[t][part] = s.fma(dot, s.mul(w_scale, scale), acc[t][part]);
                    if Q::MINIMUM {
                        let minimum = s.mul(s.load_f16(minima), scale);
                        acc[t][part] = s.fma(sum, minimum, acc[t][part]);
                    }
                }
            }
        }
    }
}

/// The integer dot products of a block's rows with `T` tokens, offsets included; parts
/// counted from the first.
///
/// # Safety
/// `quants` points to the quants of a block, `q` to 32 activations of each of `T` tokens
/// that are `stride` apart.
#[inline(always)]
pub(super) unsafe fn dots<S: Simd, Q: Quants, const T: usize>(
    s: S,
    quants: *const u8,
    q: *const i8,
    stride: usize,
    parts: Parts,
) -> [[S::I; MOST_PARTS]; T] {
    let at = |line: usize, part: usize| {
        quants.wrapping_add(line * LINE + (parts.first + part) * 4 * S::LANES)
    };
    let mut sums = [[s.splat_i(0); MOST_PARTS]; T];
    // SAFETY: `line < 4` or `8` of the block, and 32 activations, as the caller promises.
    unsafe {
        let mut acts = [s.acts(q); T];
        for (t, acts) in acts.iter_mut().enumerate() {
            *acts = s.acts(q.add(t * stride));
        }
        if Q::NIBBLES {
            let mut z = [[s.zero4(); MOST_PARTS]; T];
            for line in 0..GROUPS / 2 {
                for part in 0..parts.count {
                    let w = s.load_w(at(line, part));
                    let (low, high) = s.nibbles(w);
                    for t in 0..T {
                        z[t][part] = s.dot_u4(z[t][part], low, acts[t], line);
                        z[t][part] = s.dot_u4(z[t][part], high, acts[t], line + GROUPS / 2);
                    }
                }
            }
            for t in 0..T {
                for part in 0..parts.count {
                    sums[t][part] = s.sum4(z[t][part]);
                }
            }
        } else {
            let mut z = [[s.zero8(); MOST_PARTS]; T];
            for line in 0..GROUPS {
                for part in 0..parts.count {
                    let w = s.ready_i8(s.load_w(at(line, part)));
                    for t in 0..T {
                        z[t][part] = s.dot_i8(z[t][part], w, acts[t], line);
                    }
                }
            }
            for t in 0..T {
                for part in 0..parts.count {
                    sums[t][part] = s.sum8(z[t][part]);
                }
            }
        }
    }
    sums
}
