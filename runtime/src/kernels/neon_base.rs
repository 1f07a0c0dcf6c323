//! Integer dot products of every 64-bit ARM: widening multiplications.
//!
//! `smlal` multiplies eight bytes at once into 16 bits, so how many products fit there
//! decides the speed. Of nibbles all eight groups of a block do, and even two neighbours
//! after that: 15 · 127 · 8 · 2 = 30,480. A block of 4 rows is 16 multiplications, and its
//! sums cost two instructions more. Of bytes two do, as 128 · 127 · 2 = 32,512.
#![allow(unsafe_code)]

use core::arch::aarch64::*;

use super::isa::Op;
use super::neon::{Dot, Neon, neon};

/// Nothing but NEON, which the target has.
#[derive(Clone, Copy)]
pub(crate) struct Base;

/// Runs an operation with these registers.
pub(super) fn enter<O: Op>(op: O) -> O::Out {
    op.run(Neon(Base))
}

/// Products of 4 rows, 4 neighbouring lanes each: rows 0 and 1, then 2 and 3.
pub(crate) type Products = (int16x8_t, int16x8_t);

/// The four activations of a group in every lane.
#[inline(always)]
fn group(a: int8x16x2_t, g: usize) -> int8x16_t {
    let half = if g < 4 { a.0 } else { a.1 };
    neon!({
        let half = vreinterpretq_s32_s8(half);
        vreinterpretq_s8_s32(match g % 4 {
            0 => vdupq_laneq_s32::<0>(half),
            1 => vdupq_laneq_s32::<1>(half),
            2 => vdupq_laneq_s32::<2>(half),
            _ => vdupq_laneq_s32::<3>(half),
        })
    })
}

#[inline(always)]
fn multiply(w: int8x16_t, a: int8x16_t) -> Products {
    neon!((vmull_s8(vget_low_s8(w), vget_low_s8(a)), vmull_high_s8(w, a)))
}

#[inline(always)]
fn multiply_add(z: Products, w: int8x16_t, a: int8x16_t) -> Products {
    neon!((vmlal_s8(z.0, vget_low_s8(w), vget_low_s8(a)), vmlal_high_s8(z.1, w, a)))
}

/// Two groups' products that wait to be widened, and the widened sums of those before.
#[derive(Clone, Copy)]
pub(crate) struct Bytes {
    pair: Products,
    /// Two neighbouring lanes a row.
    sums: (int32x4_t, int32x4_t),
}

impl Dot for Base {
    type Z4 = Products;
    type Z8 = Bytes;

    const TOGETHER: usize = 1;

    #[inline(always)]
    fn start4(self, less: i32) -> Products {
        // A quarter for each lane of a row. With the offset 8, two neighbours of 16 columns
        // are within 8 · 127 · 16 of their half of it, and that is as much again at most.
        neon!({
            let quarter = vdupq_n_s16((-less / 4) as i16);
            (quarter, quarter)
        })
    }
    #[inline(always)]
    fn start8(self) -> Bytes {
        let zero = neon!(vdupq_n_s32(0));
        Bytes { pair: self.start4(0), sums: (zero, zero) }
    }
    #[inline(always)]
    fn dot_u4(self, z: Products, w: int8x16_t, a: int8x16x2_t, g: usize) -> Products {
        multiply_add(z, w, group(a, g))
    }
    #[inline(always)]
    fn dot_i8(self, z: Bytes, w: int8x16_t, a: int8x16x2_t, g: usize) -> Bytes {
        let a = group(a, g);
        if g.is_multiple_of(2) {
            return Bytes { pair: multiply(w, a), ..z };
        }
        let pair = multiply_add(z.pair, w, a);
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
