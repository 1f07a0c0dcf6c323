//! Integer dot products of ARMs from 2018 on: `sdot` is four products a lane, in 32 bits.
#![allow(unsafe_code)]

use core::arch::aarch64::*;

use super::dots::dots;
use super::isa::Op;
use super::neon::{Acts, Dot, Dots, Neon, neon};
use super::neon_asm::sdot_lane;
use super::neon_i8mm::pairs;
use super::weights::{Int4, Int8};

/// Proof of `dotprod`; with `PAIRS` of `i8mm` too, which several tokens then go by.
#[derive(Clone, Copy)]
pub(crate) struct Dotprod<const PAIRS: bool>(());

/// Runs an operation with these registers.
#[target_feature(enable = "neon,dotprod")]
pub(super) fn enter<O: Op>(op: O) -> O::Out {
    op.run(Neon(Dotprod::<false>(())))
}

/// Runs an operation with these registers, and with products of matrices.
#[target_feature(enable = "neon,dotprod,i8mm")]
pub(super) fn enter_i8mm<O: Op>(op: O) -> O::Out {
    op.run(Neon(Dotprod::<true>(())))
}

impl<const PAIRS: bool> Dot for Dotprod<PAIRS> {
    // 4 tokens × all 4 registers of rows are 16 registers of sums; by pairs it is 8 × 2,
    // since what is woven for them is woven for each group of tokens anew.
    const TOGETHER: usize = if PAIRS { 2 } else { 4 };
    const TOKENS: usize = if PAIRS { 8 } else { 4 };

    type A = int8x16x2_t;
    type Start = int32x4_t;
    type Z4 = int32x4_t;
    type Z8 = int32x4_t;

    #[inline(always)]
    unsafe fn acts(self, from: *const i8) -> int8x16x2_t {
        neon!(int8x16x2_t(vld1q_s8(from), vld1q_s8(from.add(16))))
    }
    #[inline(always)]
    fn start(self, less: i32) -> int32x4_t {
        neon!(vdupq_n_s32(-less))
    }
    #[inline(always)]
    fn start4(self, start: int32x4_t) -> int32x4_t {
        start
    }
    #[inline(always)]
    fn start8(self) -> int32x4_t {
        self.start(0)
    }
    #[inline(always)]
    fn dot_u4(self, z: int32x4_t, w: int8x16_t, a: &int8x16x2_t, g: usize) -> int32x4_t {
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
    fn dot_i8(self, z: int32x4_t, w: int8x16_t, a: &int8x16x2_t, g: usize) -> int32x4_t {
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
    #[inline(always)]
    fn dots4<const T: usize>(
        self,
        w: impl Fn(usize, usize) -> (int8x16_t, int8x16_t),
        a: [&Acts<Self>; T],
        first: usize,
    ) -> Dots<T> {
        if !PAIRS || T == 1 {
            return dots::<Neon<Self>, Int4, T>(Neon(self), w, a, first);
        }
        let groups = |g, part| if g < 4 { w(g, first + part).0 } else { w(g - 4, first + part).1 };
        // SAFETY: with `PAIRS`, `self` is proof that the CPU has `i8mm`.
        unsafe { pairs(Self::TOGETHER, groups, a.map(|a| (a.q, a.start))) }
    }
    #[inline(always)]
    fn dots8<const T: usize>(
        self,
        w: impl Fn(usize, usize) -> int8x16_t,
        a: [&int8x16x2_t; T],
        first: usize,
    ) -> Dots<T> {
        if !PAIRS || T == 1 {
            return dots::<Neon<Self>, Int8, T>(Neon(self), w, a, first);
        }
        let zero = self.start8();
        // SAFETY: with `PAIRS`, `self` is proof that the CPU has `i8mm`.
        unsafe { pairs(Self::TOGETHER, |g, part| w(g, first + part), a.map(|a| (*a, zero))) }
    }
}
