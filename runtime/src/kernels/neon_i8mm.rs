//! Dot products two by two, of ARMs from 2021 on: `smmla` multiplies 8 weights of two rows
//! by 8 activations of two tokens.
//!
//! A register of a tile has 4 weights of four rows. Woven together, two neighbouring groups
//! are 8 weights of two rows each, so the packed layout serves this instruction too; sums
//! come out as rows × tokens, and are unwoven once a block. One token alone goes by `sdot`.
#![allow(unsafe_code, clippy::indexing_slicing)]
// Registers come in arrays that are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop)]

use core::arch::aarch64::*;

use super::neon::{Dots, neon};
use super::neon_asm::smmla;
use super::simd::MOST_PARTS;

/// Most tokens that go together, by two.
const MOST_PAIRS: usize = 4;

/// Activations of a token, and where its dot products start.
type Token = (int8x16x2_t, int32x4_t);

/// Rows 0 and 1, then 2 and 3, each with both tokens of a pair.
type Sums = [[(int32x4_t, int32x4_t); MOST_PARTS]; MOST_PAIRS];

/// The dot products of `parts` registers of rows with `T` tokens. The last token, if it is
/// left alone, is its own neighbour.
///
/// # Safety
/// The CPU must have `i8mm`.
#[inline(always)]
pub(super) unsafe fn pairs<const T: usize>(
    parts: usize,
    groups: impl Fn(usize, usize) -> int8x16_t,
    tokens: [Token; T],
) -> Dots<T> {
    let pair = |p: usize| (tokens[2 * p], tokens[(2 * p + 1).min(T - 1)]);
    let mut sums = [[(tokens[0].1, tokens[0].1); MOST_PARTS]; MOST_PAIRS];
    for p in 0..T.div_ceil(2) {
        let ((_, a), (_, b)) = pair(p);
        sums[p] = [(neon!(vzip1q_s32(a, b)), neon!(vzip1q_s32(a, b))); MOST_PARTS];
    }
    // Written out, as everywhere where a number picks an instruction.
    // SAFETY: as the caller promises.
    unsafe {
        add::<T, 0>(&mut sums, parts, &groups, pair);
        add::<T, 1>(&mut sums, parts, &groups, pair);
        add::<T, 2>(&mut sums, parts, &groups, pair);
        add::<T, 3>(&mut sums, parts, &groups, pair);
    }
    let mut dots = [[tokens[0].1; MOST_PARTS]; T];
    for t in 0..T {
        for part in 0..parts {
            let (low, high) = sums[t / 2][part];
            dots[t][part] =
                neon!(if t % 2 == 0 { vuzp1q_s32(low, high) } else { vuzp2q_s32(low, high) });
        }
    }
    dots
}

/// Adds the products of groups `2 · EIGHT` and `2 · EIGHT + 1`.
///
/// # Safety
/// The CPU must have `i8mm`.
#[inline(always)]
unsafe fn add<const T: usize, const EIGHT: usize>(
    sums: &mut Sums,
    parts: usize,
    groups: &impl Fn(usize, usize) -> int8x16_t,
    pair: impl Fn(usize) -> (Token, Token),
) {
    for part in 0..parts {
        let (a, b) = (groups(2 * EIGHT, part), groups(2 * EIGHT + 1, part));
        let (a, b) = neon!((vreinterpretq_s32_s8(a), vreinterpretq_s32_s8(b)));
        let low = neon!(vreinterpretq_s8_s32(vzip1q_s32(a, b)));
        let high = neon!(vreinterpretq_s8_s32(vzip2q_s32(a, b)));
        for p in 0..T.div_ceil(2) {
            let ((a, _), (b, _)) = pair(p);
            let (a, b) = if EIGHT < 2 { (a.0, b.0) } else { (a.1, b.1) };
            let both = neon!({
                let (a, b) = (vreinterpretq_s64_s8(a), vreinterpretq_s64_s8(b));
                let woven = if EIGHT % 2 == 0 { vzip1q_s64(a, b) } else { vzip2q_s64(a, b) };
                vreinterpretq_s8_s64(woven)
            });
            let (z, y) = sums[p][part];
            // SAFETY: as the caller promises.
            sums[p][part] = unsafe { (smmla(z, low, both), smmla(y, high, both)) };
        }
    }
}
