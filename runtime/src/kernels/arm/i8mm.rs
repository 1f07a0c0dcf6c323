//! Several tokens on ARMs from 2021 on: `smmla` multiplies 8 weights of two rows by 8
//! activations of two tokens.
//!
//! A register of a tile has 4 weights of four rows. Interleaved, two neighbouring groups
//! are 8 weights of two rows each, so the packed layout serves this instruction too.
//! Activations are interleaved once for several tiles, and sums stay rows × tokens, as they come
//! out, through all blocks. One token alone goes by `sdot`.
//!
//! The intrinsics of `smmla` are not stable. The assembly computes on registers alone: it touches
//! neither memory nor stack nor flags, and its results depend on its operands only, which is what
//! the `options` say. That the CPU has it is the target feature of the function, and so its
//! caller's promise.
#![allow(unsafe_code, clippy::indexing_slicing)]
// Registers come in arrays that are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop)]

use core::arch::aarch64::*;
use core::arch::asm;
use core::marker::PhantomData;

use super::dotprod::{Dotprod, DotprodGeneration, both, starts};
use super::neon::{LANES, Neon, neon};
use crate::format::layout::{BLOCK_COLS, TILE_ROWS, WeightType};
use crate::kernels::block::packed;
use crate::kernels::simd::{Block, Cursor, InputPointers, IntWeights, Op, PrefillKernel, Simd};

/// A generation where several tokens go by `smmla`, of `i8mm`.
#[derive(Clone, Copy)]
pub(crate) struct Smmla;

impl DotprodGeneration for Smmla {
    type Prefill<Q: IntWeights> = SmmlaPairs<Q>;
}

/// Runs an operation with these registers, and with products of matrices.
#[target_feature(enable = "neon,dotprod,i8mm")]
pub(crate) fn enter<O: Op>(op: O) -> O::Out {
    // SAFETY: this function has the features.
    op.run(Neon(unsafe { Dotprod::<Smmla>::new() }))
}

/// The prefill kernel that takes pairs of tokens, interleaved.
pub(crate) struct SmmlaPairs<Q>(PhantomData<Q>);

/// Columns of one instruction go into a block so many times.
const EIGHTS: usize = 4;

/// The activations of two tokens. Every register of four has the tokens in turns, as the sums
/// have.
#[derive(Clone, Copy)]
pub(crate) struct InterleavedTokens {
    /// 8 columns of the one, then of the other.
    q: [int8x16_t; EIGHTS],
    start: int32x4_t,
    scale: float32x4_t,
    /// The sum of the one, and of the other.
    sums: float32x2_t,
}

/// The weights of four rows: two, and two.
pub(crate) struct InterleavedRows {
    lines: [[int8x16_t; EIGHTS]; 2],
    scales: [float32x4_t; 2],
    minima: [float32x4_t; 2],
}

/// Adds 8 weights of 2 rows times 8 activations of 2 tokens: row 0 with both, then row 1.
#[inline]
#[target_feature(enable = "neon,i8mm")]
fn smmla(mut z: int32x4_t, w: int8x16_t, a: int8x16_t) -> int32x4_t {
    // SAFETY: see the head of this file.
    unsafe {
        asm!(
            "smmla {z:v}.4s, {w:v}.16b, {a:v}.16b",
            z = inout(vreg) z,
            w = in(vreg) w,
            a = in(vreg) a,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    z
}

/// Two tokens' values in turns.
#[inline(always)]
fn alternate(both: float32x2_t) -> float32x4_t {
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
fn interleave(a: int8x16_t, b: int8x16_t) -> [int8x16_t; 2] {
    neon!({
        let (a, b) = (vreinterpretq_s32_s8(a), vreinterpretq_s32_s8(b));
        [vreinterpretq_s8_s32(vzip1q_s32(a, b)), vreinterpretq_s8_s32(vzip2q_s32(a, b))]
    })
}

/// The weights of four rows: nibbles are interleaved before they are parted, which is half the work.
///
/// # Safety
/// `block` is a whole one.
#[inline(always)]
unsafe fn lines<Q: IntWeights>(
    s: Neon<Dotprod<Smmla>>,
    block: Block,
    first: usize,
) -> [[int8x16_t; EIGHTS]; 2] {
    let is_nibbles = matches!(Q::KIND, WeightType::Int4 | WeightType::Int4a);
    let mut rows = [[neon!(vdupq_n_s8(0)); 2]; EIGHTS];
    for eight in 0..EIGHTS {
        // SAFETY: as the caller promises; types with nibbles have four lines.
        rows[eight] = unsafe {
            if is_nibbles {
                let line = 2 * (eight % 2);
                interleave(packed(s, block, line, first), packed(s, block, line + 1, first))
            } else {
                let group = 2 * eight;
                interleave(Q::group(s, block, group, first), Q::group(s, block, group + 1, first))
            }
        };
    }
    if is_nibbles {
        for half in 0..2 {
            let nibbles = [s.nibbles(rows[0][half]), s.nibbles(rows[1][half])];
            for two in 0..2 {
                (rows[two][half], rows[two + 2][half]) = nibbles[two];
            }
        }
    }
    [rows.map(|row| row[0]), rows.map(|row| row[1])]
}

impl<Q: IntWeights> PrefillKernel<Neon<Dotprod<Smmla>>> for SmmlaPairs<Q> {
    const INTERLEAVED: usize = 2;
    const ROW_REGISTERS: usize = 1;
    const TOKEN_GROUPS: usize = 4;
    type Tokens = InterleavedTokens;
    type Rows = InterleavedRows;

    #[inline(always)]
    unsafe fn load_tokens(
        _s: Neon<Dotprod<Smmla>>,
        inputs: InputPointers,
        tokens: [usize; 2],
        b: usize,
    ) -> InterleavedTokens {
        let at = tokens.map(|token| token * inputs.blocks + b);
        neon!({
            let [a, c] = at.map(|at| inputs.q.add(at * BLOCK_COLS).cast::<i64>());
            let (low, high) =
                ((vld1q_s64(a), vld1q_s64(c)), (vld1q_s64(a.add(2)), vld1q_s64(c.add(2))));
            let q = [
                vreinterpretq_s8_s64(vzip1q_s64(low.0, low.1)),
                vreinterpretq_s8_s64(vzip2q_s64(low.0, low.1)),
                vreinterpretq_s8_s64(vzip1q_s64(high.0, high.1)),
                vreinterpretq_s8_s64(vzip2q_s64(high.0, high.1)),
            ];
            let (sums, scale) = (both(inputs.sum, at), alternate(both(inputs.scale, at)));
            let start = starts::<Neon<Dotprod<Smmla>>, Q>(sums);
            InterleavedTokens { q, start: vcombine_s32(start, start), scale, sums }
        })
    }

    #[inline(always)]
    unsafe fn load_rows(s: Neon<Dotprod<Smmla>>, block: Block, first: usize) -> InterleavedRows {
        let row = 2 * first * LANES;
        // SAFETY: a block has 16 scales, and as many minima where the type has them.
        unsafe {
            let scales = twice(s.load_f16(block.at.add(Q::KIND.quant_bytes() + row)));
            let minima = if Q::MINIMUM {
                twice(s.load_f16(block.at.add(Q::KIND.minimum_offset() + row)))
            } else {
                scales
            };
            InterleavedRows { lines: lines::<Q>(s, block, first), scales, minima }
        }
    }

    #[inline(always)]
    unsafe fn add<const G: usize>(
        s: Neon<Dotprod<Smmla>>,
        rows: &InterleavedRows,
        (from, sums): Cursor<InterleavedTokens>,
    ) -> Cursor<InterleavedTokens> {
        for t in 0..G {
            // SAFETY: as many activations, as the caller promises.
            let pair = unsafe { &*from.wrapping_add(t) };
            for half in 0..2 {
                let mut dots = pair.start;
                for eight in 0..EIGHTS {
                    // SAFETY: `Smmla` is proof that the CPU has `i8mm`.
                    dots = unsafe { smmla(dots, rows.lines[half][eight], pair.q[eight]) };
                }
                let sums = sums.wrapping_add((2 * t + half) * LANES);
                // SAFETY: as many sums, as the caller promises.
                unsafe {
                    let scale = s.mul(rows.scales[half], pair.scale);
                    let mut after = s.fma(s.to_f(dots), scale, s.load(sums));
                    if Q::MINIMUM {
                        let minima = s.mul(rows.minima[half], pair.scale);
                        after = s.fma(alternate(pair.sums), minima, after);
                    }
                    s.store(sums, after);
                }
            }
        }
        (from.wrapping_add(G), sums.wrapping_add(2 * G * LANES))
    }

    #[inline(always)]
    unsafe fn deinterleave(s: Neon<Dotprod<Smmla>>, sums: *mut f32, groups: usize) {
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
