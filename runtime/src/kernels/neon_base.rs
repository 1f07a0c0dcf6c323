//! Integer dot products of every 64-bit ARM: widening multiplications.
//!
//! `smlal` multiplies eight bytes at once into 16 bits, so how many products fit there
//! decides the speed. Of nibbles all eight groups of a block do, and even two neighbours
//! after that: 15 · 127 · 8 · 2 = 30,480. A block of 4 rows is 16 multiplications, and its
//! sums cost two instructions more. Of bytes two do, as 128 · 127 · 2 = 32,512.
#![allow(unsafe_code, clippy::indexing_slicing)]

use core::arch::aarch64::*;

use super::isa::Op;
use super::neon::{Dot, Neon, neon};
use super::neon_asm::{Products, multiply, multiply_add};
use super::several::Each;
use crate::format::layout::GROUPS;

/// Nothing but NEON, which the target has.
#[derive(Clone, Copy)]
pub(crate) struct Base;

/// Runs an operation with these registers.
pub(super) fn enter<O: Op>(op: O) -> O::Out {
    op.run(Neon(Base))
}

/// Two groups' products that wait to be widened, and the widened sums of those before.
#[derive(Clone, Copy)]
pub(crate) struct Bytes {
    pair: Products,
    /// Two neighbouring lanes a row.
    sums: (int32x4_t, int32x4_t),
}

impl Dot for Base {
    // 4 tokens × 2 registers of rows are 16 registers of sums.
    const TOGETHER: usize = 2;
    const TOKENS: usize = 4;
    type Several = Each;

    /// Each group of 4 in every lane: made once for several tiles, since a multiplication
    /// has no lane to take it from.
    type A = [int8x16_t; GROUPS];
    /// In every lane of the products.
    type Start = int16x8_t;
    type Z4 = Products;
    type Z8 = Bytes;

    #[inline(always)]
    unsafe fn acts(self, from: *const i8) -> [int8x16_t; GROUPS] {
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
    fn start(self, less: i32) -> int16x8_t {
        // A quarter for each lane of a row. With the offset 8, the products of 16 columns less
        // 4 · their sum are at most 11 · 127 · 16, and the other columns' 4 · sum is at most
        // 4 · 127 · 16: 30,480 in two neighbouring lanes together.
        neon!(vdupq_n_s16((-less / 4) as i16))
    }
    #[inline(always)]
    fn start4(self, start: int16x8_t) -> Products {
        (start, start)
    }
    #[inline(always)]
    fn start8(self) -> Bytes {
        let (words, zero) = neon!((vdupq_n_s16(0), vdupq_n_s32(0)));
        Bytes { pair: (words, words), sums: (zero, zero) }
    }
    #[inline(always)]
    fn dot_u4(self, z: Products, w: int8x16_t, a: &[int8x16_t; GROUPS], g: usize) -> Products {
        multiply_add(z, w, a[g])
    }
    #[inline(always)]
    fn dot_i8(self, z: Bytes, w: int8x16_t, a: &[int8x16_t; GROUPS], g: usize) -> Bytes {
        if g.is_multiple_of(2) {
            return Bytes { pair: multiply(w, a[g]), ..z };
        }
        let pair = multiply_add(z.pair, w, a[g]);
        let sums = neon!((vpadalq_s16(z.sums.0, pair.0), vpadalq_s16(z.sums.1, pair.1)));
        Bytes { pair, sums }
    }
    #[inline(always)]
    fn sum4(self, z: Products) -> int32x4_t {
        neon!(vpaddlq_s16(vpaddq_s16(z.0, z.1)))
    }
    #[inline(always)]
    fn sum8(self, z: Bytes) -> int32x4_t {
        neon!(vpaddq_s32(z.sums.0, z.sums.1))
    }
}
