//! Several tokens on ARMs from 2021 on: `smmla` multiplies 8 weights of two rows by 8
//! activations of two tokens.
//!
//! A register of a tile has 4 weights of four rows. Woven together, two neighbouring groups
//! are 8 weights of two rows each, so the packed layout serves this instruction too.
//! Activations are woven once for several tiles, and sums stay rows × tokens, as they come
//! out, through all blocks. One token alone goes by `sdot`.
#![allow(unsafe_code, clippy::indexing_slicing)]
// Registers come in arrays that are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop)]

use core::arch::aarch64::*;

use super::neon::{LANES, Neon, neon};
use super::neon_asm::smmla;
use super::neon_dotprod::{Dotprod, Smmla, both, starts};
use super::quants::Quants;
use super::several::Several;
use super::simd::Simd;
use super::weights::{At, Lines};
use crate::format::layout::{BLOCK_COLS, LINE, TILE_ROWS};

/// Pairs of tokens.
pub(crate) struct Pairs;

/// Columns of one instruction go into a block so many times.
const EIGHTS: usize = 4;

/// The activations of two tokens. Every register of four has the tokens in turns, as the sums
/// have.
#[derive(Clone, Copy)]
pub(crate) struct Acts {
    /// 8 columns of the one, then of the other.
    q: [int8x16_t; EIGHTS],
    start: int32x4_t,
    scale: float32x4_t,
    /// Of the one, and of the other.
    sums: float32x2_t,
}

/// The weights of four rows: two, and two.
pub(crate) struct Ready {
    lines: [[int8x16_t; EIGHTS]; 2],
    scales: [float32x4_t; 2],
    minima: [float32x4_t; 2],
}

/// Two tokens' values in turns.
#[inline(always)]
fn turns(both: float32x2_t) -> float32x4_t {
    neon!(vcombine_f32(both, both))
}

/// Every value twice: those of the first two rows, then of the others.
#[inline(always)]
fn twice(v: float32x4_t) -> [float32x4_t; 2] {
    neon!([vzip1q_f32(v, v), vzip2q_f32(v, v)])
}

/// Two neighbouring groups of columns, those of a row together: the first two rows, then the
/// others.
#[inline(always)]
fn weave(a: int8x16_t, b: int8x16_t) -> [int8x16_t; 2] {
    neon!({
        let (a, b) = (vreinterpretq_s32_s8(a), vreinterpretq_s32_s8(b));
        [vreinterpretq_s8_s32(vzip1q_s32(a, b)), vreinterpretq_s8_s32(vzip2q_s32(a, b))]
    })
}

/// The weights of four rows, of either width: nibbles are woven before they are parted.
///
/// # Safety
/// `block` points to the quants of a block.
#[inline(always)]
unsafe fn lines<Q: Quants>(
    s: Neon<Dotprod<Smmla>>,
    block: *const u8,
    first: usize,
) -> [[int8x16_t; EIGHTS]; 2] {
    // SAFETY: a line has 64 bytes, and a register of rows 16 of them.
    let line = |line: usize| unsafe { s.load_w(block.add(line * LINE + first * 4 * LANES)) };
    let woven = |two: usize| weave(line(2 * two), line(2 * two + 1));
    let mut rows = [woven(0), woven(1), woven(0), woven(1)];
    if Q::LINES == EIGHTS {
        for half in 0..2 {
            let nibbles = [s.nibbles(rows[0][half]), s.nibbles(rows[1][half])];
            for two in 0..2 {
                (rows[two][half], rows[two + 2][half]) = nibbles[two];
            }
        }
    } else {
        (rows[2], rows[3]) = (woven(2), woven(3));
    }
    [rows.map(|row| row[0]), rows.map(|row| row[1])]
}

impl Several<Neon<Dotprod<Smmla>>> for Pairs {
    const WOVEN: usize = 2;
    const TOGETHER: usize = 1;
    const AT_ONCE: usize = 4;
    type Acts<Q: Quants> = Acts;
    type Ready<Q: Quants> = Ready;

    #[inline(always)]
    unsafe fn acts<Q: Quants>(
        _s: Neon<Dotprod<Smmla>>,
        lines: Lines,
        tokens: [usize; 2],
        b: usize,
    ) -> Acts {
        let at = tokens.map(|token| token * lines.blocks + b);
        neon!({
            let [a, c] = at.map(|at| lines.q.add(at * BLOCK_COLS).cast::<i64>());
            let (low, high) =
                ((vld1q_s64(a), vld1q_s64(c)), (vld1q_s64(a.add(2)), vld1q_s64(c.add(2))));
            let q = [
                vreinterpretq_s8_s64(vzip1q_s64(low.0, low.1)),
                vreinterpretq_s8_s64(vzip2q_s64(low.0, low.1)),
                vreinterpretq_s8_s64(vzip1q_s64(high.0, high.1)),
                vreinterpretq_s8_s64(vzip2q_s64(high.0, high.1)),
            ];
            let (sums, scale) = (both(lines.sum, at), turns(both(lines.scale, at)));
            let start = starts::<Neon<Dotprod<Smmla>>, Q>(sums);
            Acts { q, start: vcombine_s32(start, start), scale, sums }
        })
    }

    #[inline(always)]
    unsafe fn ready<Q: Quants>(s: Neon<Dotprod<Smmla>>, block: *const u8, first: usize) -> Ready {
        let row = 2 * first * LANES;
        // SAFETY: a block has 16 scales, and as many minima where the type has them.
        unsafe {
            let scales = twice(s.load_f16(block.add(Q::KIND.quant_bytes() + row)));
            let minima = if Q::MINIMUM {
                twice(s.load_f16(block.add(Q::KIND.minimum_offset() + row)))
            } else {
                scales
            };
            Ready { lines: lines::<Q>(s, block, first), scales, minima }
        }
    }

    #[inline(always)]
    unsafe fn add<Q: Quants, const T: usize>(
        s: Neon<Dotprod<Smmla>>,
        ready: &Ready,
        (from, sums): At<Acts>,
    ) -> At<Acts> {
        for t in 0..T {
            // SAFETY: as many activations, as the caller promises.
            let acts = unsafe { &*from.wrapping_add(t) };
            for half in 0..2 {
                let mut dots = acts.start;
                for eight in 0..EIGHTS {
                    // SAFETY: `Smmla` is proof that the CPU has `i8mm`.
                    dots = unsafe { smmla(dots, ready.lines[half][eight], acts.q[eight]) };
                }
                let sums = sums.wrapping_add((2 * t + half) * LANES);
                // SAFETY: as many sums, as the caller promises.
                unsafe {
                    let scale = s.mul(ready.scales[half], acts.scale);
                    let mut after = s.fma(s.to_f(dots), scale, s.load(sums));
                    if Q::MINIMUM {
                        let minima = s.mul(ready.minima[half], acts.scale);
                        after = s.fma(turns(acts.sums), minima, after);
                    }
                    s.store(sums, after);
                }
            }
        }
        (from.wrapping_add(T), sums.wrapping_add(2 * T * LANES))
    }

    #[inline(always)]
    unsafe fn unweave(s: Neon<Dotprod<Smmla>>, sums: *mut f32, groups: usize) {
        for pair in 0..groups * (TILE_ROWS / LANES) {
            let at = sums.wrapping_add(pair * 2 * LANES);
            // SAFETY: each group has two registers of sums to four rows.
            unsafe {
                let (a, b) = (s.load(at), s.load(at.add(LANES)));
                s.store(at, vuzp1q_f32(a, b));
                s.store(at.add(LANES), vuzp2q_f32(a, b));
            }
        }
    }
}
