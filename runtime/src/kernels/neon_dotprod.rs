//! Integer dot products of ARMs from 2018 on: `sdot` is four products a lane, in 32 bits.
#![allow(unsafe_code)]

use core::arch::aarch64::*;

use super::isa::Op;
use super::neon::{Dot, Neon, neon};
use super::neon_asm::sdot_lane;

/// Proof of `dotprod`: made by [`enter`] alone.
#[derive(Clone, Copy)]
pub(crate) struct Dotprod(());

/// Runs an operation with these registers.
#[target_feature(enable = "neon,dotprod")]
pub(super) fn enter<O: Op>(op: O) -> O::Out {
    op.run(Neon(Dotprod(())))
}

impl Dot for Dotprod {
    type Z4 = int32x4_t;
    type Z8 = int32x4_t;

    const TOGETHER: usize = 4;

    #[inline(always)]
    fn start4(self, less: i32) -> int32x4_t {
        neon!(vdupq_n_s32(-less))
    }
    #[inline(always)]
    fn start8(self) -> int32x4_t {
        self.start4(0)
    }
    #[inline(always)]
    fn dot_u4(self, z: int32x4_t, w: int8x16_t, a: int8x16x2_t, g: usize) -> int32x4_t {
        let half = if g < 4 { a.0 } else { a.1 };
        // SAFETY: `self` is proof that the CPU has `dotprod`.
        unsafe {
            match g % 4 {
                0 => sdot_lane::<0>(z, w, half),
                1 => sdot_lane::<1>(z, w, half),
                2 => sdot_lane::<2>(z, w, half),
                _ => sdot_lane::<3>(z, w, half),
            }
        }
    }
    #[inline(always)]
    fn dot_i8(self, z: int32x4_t, w: int8x16_t, a: int8x16x2_t, g: usize) -> int32x4_t {
        self.dot_u4(z, w, a, g)
    }
    #[inline(always)]
    fn sum4(self, z: int32x4_t) -> int32x4_t {
        z
    }
    #[inline(always)]
    fn sum8(self, z: int32x4_t) -> int32x4_t {
        z
    }
}
