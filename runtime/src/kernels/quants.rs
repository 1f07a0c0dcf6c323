//! Integer weight types: what their lines, scales and minima are.
#![allow(unsafe_code, clippy::indexing_slicing)]
// Registers come in arrays that are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop)]

use super::simd::{MOST_PARTS, Simd};
use super::weights::Rows;
use crate::format::layout::{GROUPS, INT4_ZERO, LINE, WeightType};

/// An integer weight type: the registers of its dot products.
pub(crate) trait Quants {
    const KIND: WeightType;
    /// Lines of a block: registers with a column group of every row, or two of them.
    const LINES: usize;
    /// Whether a minimum is added for each unit of activation.
    const MINIMUM: bool;
    /// One register of a line, made ready.
    type Line<S: Simd>: Copy;
    /// 32 activations, made ready.
    type Acts<S: Simd>: Copy;

    /// What a stored value exceeds the weight by; for int8, what the instruction adds.
    fn offset<S: Simd>() -> i32;
    /// # Safety
    /// 32 activations are there.
    unsafe fn acts<S: Simd>(s: S, q: *const i8, less: i32) -> Self::Acts<S>;
    fn line<S: Simd>(s: S, packed: S::W) -> Self::Line<S>;
    /// [`Simd::dots4`] or [`Simd::dots8`].
    fn dots<S: Simd, const T: usize>(
        s: S,
        lines: impl Fn(usize, usize) -> Self::Line<S>,
        acts: [&Self::Acts<S>; T],
        first: usize,
    ) -> [[S::I; MOST_PARTS]; T];
}

pub(crate) struct Int8;

impl Quants for Int8 {
    const KIND: WeightType = WeightType::Int8;
    const LINES: usize = GROUPS;
    const MINIMUM: bool = false;
    type Line<S: Simd> = S::W8;
    type Acts<S: Simd> = S::A8;

    #[inline(always)]
    fn offset<S: Simd>() -> i32 {
        S::I8_OFFSET
    }
    #[inline(always)]
    unsafe fn acts<S: Simd>(s: S, q: *const i8, less: i32) -> S::A8 {
        // SAFETY: as the caller promises.
        unsafe { s.acts8(q, less) }
    }
    #[inline(always)]
    fn line<S: Simd>(s: S, packed: S::W) -> S::W8 {
        s.ready_i8(packed)
    }
    #[inline(always)]
    fn dots<S: Simd, const T: usize>(
        s: S,
        lines: impl Fn(usize, usize) -> S::W8,
        acts: [&S::A8; T],
        first: usize,
    ) -> [[S::I; MOST_PARTS]; T] {
        s.dots8(lines, acts, first)
    }
}

/// Nibbles, with or without minima instead of an offset.
pub(crate) struct Nibbles<const MINIMUM: bool>;

pub(crate) type Int4 = Nibbles<false>;
pub(crate) type Int4a = Nibbles<true>;

impl<const MINIMUM: bool> Quants for Nibbles<MINIMUM> {
    const KIND: WeightType = if MINIMUM { WeightType::Int4a } else { WeightType::Int4 };
    const LINES: usize = GROUPS / 2;
    const MINIMUM: bool = MINIMUM;
    type Line<S: Simd> = (S::W, S::W);
    type Acts<S: Simd> = S::A4;

    #[inline(always)]
    fn offset<S: Simd>() -> i32 {
        if MINIMUM { 0 } else { INT4_ZERO.into() }
    }
    #[inline(always)]
    unsafe fn acts<S: Simd>(s: S, q: *const i8, less: i32) -> S::A4 {
        // SAFETY: as the caller promises.
        unsafe { s.acts4(q, less) }
    }
    #[inline(always)]
    fn line<S: Simd>(s: S, packed: S::W) -> (S::W, S::W) {
        s.nibbles(packed)
    }
    #[inline(always)]
    fn dots<S: Simd, const T: usize>(
        s: S,
        lines: impl Fn(usize, usize) -> (S::W, S::W),
        acts: [&S::A4; T],
        first: usize,
    ) -> [[S::I; MOST_PARTS]; T] {
        s.dots4(lines, acts, first)
    }
}

/// A register of a packed line, made ready.
///
/// # Safety
/// `quants` points to the quants of a block that has this line.
#[inline(always)]
pub(super) unsafe fn packed_line<S: Simd, Q: Quants>(
    s: S,
    quants: *const u8,
    line: usize,
    part: usize,
) -> Q::Line<S> {
    // SAFETY: `part` is one of the parts of 64 bytes.
    Q::line(s, unsafe { s.load_w(quants.add(line * LINE + part * 4 * S::LANES)) })
}

/// The scales of `n` registers of rows from `first` on, and the minima where there are some.
///
/// # Safety
/// `block` points to a whole block, which has these registers.
#[inline(always)]
pub(super) unsafe fn scales<S: Simd, Q: Quants>(
    s: S,
    block: *const u8,
    first: usize,
    n: usize,
) -> (Rows<S>, Rows<S>) {
    let mut all = ([s.splat(0.0); MOST_PARTS], [s.splat(0.0); MOST_PARTS]);
    for part in 0..n {
        let row = (first + part) * S::LANES;
        // SAFETY: 16 scales, and as many minima where the type has them.
        unsafe {
            all.0[part] = s.load_f16(block.add(Q::KIND.quant_bytes() + 2 * row));
            if Q::MINIMUM {
                all.1[part] = s.load_f16(block.add(Q::KIND.minimum_offset() + 2 * row));
            }
        }
    }
    all
}
