//! Integer dot products of every 64-bit ARM: widening multiplications.
//!
//! `smlal` multiplies eight bytes at once into 16 bits, so how many products fit there
//! decides the speed. Of nibbles all eight groups of a block do, and even two neighbours
//! after that: 15 · 127 · 8 · 2 = 30,480. A block of 4 rows is 16 multiplications, and its
//! sums cost two instructions more. So it is with signed values of 5 bits: 16 · 127 · 8 · 2 =
//! 32,512. Of bytes two do, as 128 · 127 · 2 is as much.
//!
//! Intrinsics of `smlal` are stable, but what comes of them is widened apart from its
//! multiplication, wherever that can be moved out of a loop, and summed up in another order, with
//! more sums alive than there are registers.
//!
//! The assembly computes on registers alone: it touches neither memory nor stack nor flags, and its
//! results depend on its operands only, which is what the `options` say.
#![allow(unsafe_code, clippy::indexing_slicing)]

use core::arch::aarch64::*;
use core::arch::asm;

use super::neon::{Neon, NeonDot, neon};
use crate::format::layout::GROUPS;
use crate::kernels::block::PerToken;
use crate::kernels::simd::{IntWeights, Op};

/// Proof of nothing but NEON, which the target has.
#[derive(Clone, Copy)]
pub(crate) struct Base;

/// Runs an operation with these registers.
pub(crate) fn enter<O: Op>(op: O) -> O::Out {
    op.run(Neon(Base))
}

/// Products of 4 rows, 4 neighbouring lanes each: rows 0 and 1, then 2 and 3.
pub(crate) type WideProducts = (int16x8_t, int16x8_t);

/// Multiplies byte by byte.
#[inline]
fn multiply(w: int8x16_t, a: int8x16_t) -> WideProducts {
    let (low, high);
    // SAFETY: see the head of this file; the target has NEON.
    unsafe {
        asm!(
            "smull {low:v}.8h, {w:v}.8b, {a:v}.8b",
            "smull2 {high:v}.8h, {w:v}.16b, {a:v}.16b",
            low = out(vreg) low,
            high = lateout(vreg) high,
            w = in(vreg) w,
            a = in(vreg) a,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    (low, high)
}

/// Adds products byte by byte.
#[inline]
fn multiply_add((mut low, mut high): WideProducts, w: int8x16_t, a: int8x16_t) -> WideProducts {
    // SAFETY: see the head of this file; the target has NEON.
    unsafe {
        asm!(
            "smlal {low:v}.8h, {w:v}.8b, {a:v}.8b",
            "smlal2 {high:v}.8h, {w:v}.16b, {a:v}.16b",
            low = inout(vreg) low,
            high = inout(vreg) high,
            w = in(vreg) w,
            a = in(vreg) a,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    (low, high)
}

/// Two groups' products that wait to be widened, and the widened sums of those before.
#[derive(Clone, Copy)]
pub(crate) struct Int8Sums {
    pair: WideProducts,
    /// Two neighbouring lanes a row.
    sums: (int32x4_t, int32x4_t),
}

impl NeonDot for Base {
    // 4 tokens × 2 registers of rows are 16 registers of sums.
    const ROW_REGISTERS: usize = 2;
    const PREFILL_TOKENS: usize = 4;
    type Prefill<Q: IntWeights> = PerToken<Q>;

    /// Each group of 4 in every lane: made once for several tiles, since a multiplication
    /// has no lane to take it from.
    type Activations = [int8x16_t; GROUPS];
    /// The start in every lane of the products.
    type Start = int16x8_t;
    type AccumulatorInt4 = WideProducts;
    type AccumulatorInt8 = Int8Sums;

    #[inline(always)]
    unsafe fn load_activations(self, from: *const i8) -> [int8x16_t; GROUPS] {
        neon!({
            let low = vreinterpretq_s32_s8(vld1q_s8(from));
            let high = vreinterpretq_s32_s8(vld1q_s8(from.add(16)));
            [
                vreinterpretq_s8_s32(vdupq_laneq_s32::<0>(low)),
                vreinterpretq_s8_s32(vdupq_laneq_s32::<1>(low)),
                vreinterpretq_s8_s32(vdupq_laneq_s32::<2>(low)),
                vreinterpretq_s8_s32(vdupq_laneq_s32::<3>(low)),
                vreinterpretq_s8_s32(vdupq_laneq_s32::<0>(high)),
                vreinterpretq_s8_s32(vdupq_laneq_s32::<1>(high)),
                vreinterpretq_s8_s32(vdupq_laneq_s32::<2>(high)),
                vreinterpretq_s8_s32(vdupq_laneq_s32::<3>(high)),
            ]
        })
    }
    #[inline(always)]
    fn start(self, correction: i32) -> int16x8_t {
        // A quarter for each lane of a row. With the offset 8, the products of 16 columns less
        // 4 · their sum are at most 11 · 127 · 16, and the other columns' 4 · sum is at most
        // 4 · 127 · 16: 30,480 in two neighbouring lanes together.
        neon!(vdupq_n_s16((correction.wrapping_neg() / 4) as i16))
    }
    #[inline(always)]
    fn start_int4(self, start: int16x8_t) -> WideProducts {
        (start, start)
    }
    #[inline(always)]
    fn start_int8(self) -> Int8Sums {
        let (words, zero) = neon!((vdupq_n_s16(0), vdupq_n_s32(0)));
        Int8Sums { pair: (words, words), sums: (zero, zero) }
    }
    #[inline(always)]
    fn add_int4(
        self,
        z: WideProducts,
        w: int8x16_t,
        a: &[int8x16_t; GROUPS],
        g: usize,
    ) -> WideProducts {
        multiply_add(z, w, a[g])
    }
    #[inline(always)]
    fn add_int8(self, z: Int8Sums, w: int8x16_t, a: &[int8x16_t; GROUPS], g: usize) -> Int8Sums {
        if g.is_multiple_of(2) {
            return Int8Sums { pair: multiply(w, a[g]), ..z };
        }
        let pair = multiply_add(z.pair, w, a[g]);
        let sums = neon!((vpadalq_s16(z.sums.0, pair.0), vpadalq_s16(z.sums.1, pair.1)));
        Int8Sums { pair, sums }
    }
    #[inline(always)]
    fn finish_int4(self, z: WideProducts) -> int32x4_t {
        neon!(vpaddlq_s16(vpaddq_s16(z.0, z.1)))
    }
    #[inline(always)]
    fn finish_int8(self, z: Int8Sums) -> int32x4_t {
        neon!(vpaddq_s32(z.sums.0, z.sums.1))
    }
}
