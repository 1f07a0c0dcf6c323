//! NEON registers: 16 lanes are four of four.
//!
//! What the 64-bit ARMs differ in is the integer dot product, and only that is a parameter
//! here ([`Dot`]): `neon_base.rs` has every one of them, `neon_dotprod.rs` those from 2018
//! on (Pi 5, Apple M1), `neon_i8mm.rs` those from 2021 on (Apple M2).
#![allow(unsafe_code)]

use core::arch::aarch64::*;
use core::arch::asm;

use super::dots::{Steps, dots};
use super::neon_asm::settle;
use super::quants::{Int4, Int8};
use super::several::Several;
use super::simd::{MOST_PARTS, Simd};
use crate::format::layout::TILE_ROWS;

#[cfg(not(all(target_endian = "little", target_feature = "neon")))]
compile_error!("oarlock on 64-bit ARM needs a little-endian target with NEON");

/// f32 of a register.
pub(super) const LANES: usize = 4;

/// Proof of NEON, and of the instructions of `D`.
#[derive(Clone, Copy)]
pub(crate) struct Neon<D>(pub(super) D);

/// The activations of a block, and where dot products of nibbles with them start.
#[derive(Clone, Copy)]
pub(crate) struct Acts<D: Dot> {
    pub(super) q: D::A,
    pub(super) start: D::Start,
}

/// What dot products with `T` tokens give: registers of rows, as many as go together.
pub(crate) type Dots<const T: usize> = [[int32x4_t; MOST_PARTS]; T];

/// The integer dot products of one generation of CPUs: see the methods of the same names
/// of [`Simd`]. A value of the type is proof that the CPU has its instructions.
pub(crate) trait Dot: Copy {
    /// As [`Simd::TOGETHER`]
    const TOGETHER: usize;
    /// As [`Simd::MATMUL_TOKENS`]
    const TOKENS: usize;
    /// As [`Simd::Several`]
    type Several: Several<Neon<Self>>;
    /// The 32 activations of a block.
    type A: Copy;
    /// Minus what is to be taken off.
    type Start: Copy;
    type Z4: Copy;
    type Z8: Copy;
    unsafe fn acts(self, from: *const i8) -> Self::A;
    fn start(self, less: i32) -> Self::Start;
    fn start4(self, start: Self::Start) -> Self::Z4;
    fn start8(self) -> Self::Z8;
    fn dot_u4(self, z: Self::Z4, w: int8x16_t, a: &Self::A, g: usize) -> Self::Z4;
    fn dot_i8(self, z: Self::Z8, w: int8x16_t, a: &Self::A, g: usize) -> Self::Z8;
    fn sum4(self, z: Self::Z4) -> int32x4_t;
    fn sum8(self, z: Self::Z8) -> int32x4_t;

    #[inline(always)]
    fn dots4<const T: usize>(
        self,
        w: impl Fn(usize, usize) -> (int8x16_t, int8x16_t),
        a: [&Acts<Self>; T],
        first: usize,
    ) -> Dots<T> {
        dots::<Neon<Self>, Int4, T>(Neon(self), w, a, first)
    }
    #[inline(always)]
    fn dots8<const T: usize>(
        self,
        w: impl Fn(usize, usize) -> int8x16_t,
        a: [&Self::A; T],
        first: usize,
    ) -> Dots<T> {
        dots::<Neon<Self>, Int8, T>(Neon(self), w, a, first)
    }
}

/// Uses instructions of NEON.
macro_rules! neon {
    ($e:expr) => {
        // SAFETY: the target has NEON (see `compile_error` above). Where instructions touch
        // memory, the caller of the (then unsafe) method vouches for the elements, and
        // only forms without alignment are used.
        unsafe { $e }
    };
}
pub(super) use neon;

/// The larger of two, lane by lane, as everywhere: `a > b ? a : b`.
#[inline(always)]
fn larger(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    neon!(vbslq_f32(vcgtq_f32(a, b), a, b))
}

// SAFETY: NEON is in the target, and a `Dot` is proof of what it uses beyond that.
unsafe impl<D: Dot> Simd for Neon<D> {
    const LANES: usize = LANES;
    const TOGETHER: usize = D::TOGETHER;
    const MATMUL_TOKENS: usize = D::TOKENS;
    type Several = D::Several;

    type F = float32x4_t;
    type I = int32x4_t;
    type W = int8x16_t;
    type W8 = int8x16_t;
    type A4 = Acts<D>;
    type A8 = D::A;
    type A7 = D::A;

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> float32x4_t {
        neon!(vld1q_f32(from))
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, v: float32x4_t) {
        neon!(vst1q_f32(to, v))
    }
    #[inline(always)]
    unsafe fn load_f16(self, from: *const u8) -> float32x4_t {
        neon!(vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(from))))
    }
    #[inline(always)]
    unsafe fn store_f16(self, to: *mut u8, v: float32x4_t) {
        let (most, least) = (self.splat(65504.0), self.splat(-65504.0));
        let v = self.select_lt(v, most, v, most);
        let v = self.select_lt(v, least, least, v);
        neon!(vst1_u8(to, vreinterpret_u8_f16(vcvt_f16_f32(v))))
    }
    #[inline(always)]
    fn prefetch<const AT: usize>(self, from: *const u8) {
        const { assert!(AT.is_multiple_of(8) && AT < 8 * 4096, "what the instruction can add") };
        // SAFETY: a hint, which reads nothing and faults at no address. (The intrinsic is
        // not stable.)
        unsafe {
            asm!(
                "prfm pldl1keep, [{}, #{}]",
                in(reg) from.addr(),
                const AT,
                options(nomem, nostack, preserves_flags),
            );
        }
    }

    #[inline(always)]
    fn settle(self, sums: [float32x4_t; MOST_PARTS]) -> [float32x4_t; MOST_PARTS] {
        settle(sums)
    }

    #[inline(always)]
    fn splat(self, v: f32) -> float32x4_t {
        neon!(vdupq_n_f32(v))
    }
    #[inline(always)]
    fn add(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        neon!(vaddq_f32(a, b))
    }
    #[inline(always)]
    fn sub(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        neon!(vsubq_f32(a, b))
    }
    #[inline(always)]
    fn mul(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        neon!(vmulq_f32(a, b))
    }
    #[inline(always)]
    fn div(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        neon!(vdivq_f32(a, b))
    }
    #[inline(always)]
    fn fma(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        neon!(vfmaq_f32(c, a, b))
    }
    #[inline(always)]
    fn select_lt(
        self,
        a: float32x4_t,
        b: float32x4_t,
        x: float32x4_t,
        y: float32x4_t,
    ) -> float32x4_t {
        neon!(vbslq_f32(vcltq_f32(a, b), x, y))
    }
    #[inline(always)]
    fn abs(self, a: float32x4_t) -> float32x4_t {
        neon!(vabsq_f32(a))
    }
    #[inline(always)]
    fn exp2_magic(self, t: float32x4_t) -> float32x4_t {
        neon!({
            let shifted = vshlq_n_s32::<23>(vreinterpretq_s32_f32(t));
            vreinterpretq_f32_s32(vaddq_s32(shifted, vdupq_n_s32(0x3f80_0000)))
        })
    }

    #[inline(always)]
    fn sum_lanes(self, v: float32x4_t) -> f32 {
        neon!({
            let v = vadd_f32(vget_low_f32(v), vget_high_f32(v));
            vget_lane_f32::<0>(vpadd_f32(v, v))
        })
    }
    #[inline(always)]
    fn max_lanes(self, v: float32x4_t) -> f32 {
        neon!({
            let v = larger(v, vextq_f32::<2>(v, v));
            vgetq_lane_f32::<0>(larger(v, vextq_f32::<1>(v, v)))
        })
    }

    #[inline(always)]
    fn splat_i(self, v: i32) -> int32x4_t {
        neon!(vdupq_n_s32(v))
    }
    #[inline(always)]
    fn add_i(self, a: int32x4_t, b: int32x4_t) -> int32x4_t {
        neon!(vaddq_s32(a, b))
    }
    #[inline(always)]
    fn to_f(self, v: int32x4_t) -> float32x4_t {
        neon!(vcvtq_f32_s32(v))
    }
    #[inline(always)]
    fn round(self, v: float32x4_t) -> int32x4_t {
        neon!(vcvtnq_s32_f32(v))
    }
    #[inline(always)]
    fn max_bits(self, m: int32x4_t, v: float32x4_t) -> int32x4_t {
        neon!(vmaxq_s32(m, vreinterpretq_s32_f32(vabsq_f32(v))))
    }
    #[inline(always)]
    fn reduce_max_i(self, v: int32x4_t) -> i32 {
        neon!(vmaxvq_s32(v))
    }
    #[inline(always)]
    fn reduce_add_i(self, v: int32x4_t) -> i32 {
        neon!(vaddvq_s32(v))
    }
    #[inline(always)]
    unsafe fn store_i8(self, to: *mut i8, v: [int32x4_t; MOST_PARTS]) {
        neon!({
            let low = vuzp1q_s16(vreinterpretq_s16_s32(v[0]), vreinterpretq_s16_s32(v[1]));
            let high = vuzp1q_s16(vreinterpretq_s16_s32(v[2]), vreinterpretq_s16_s32(v[3]));
            vst1q_s8(to, vuzp1q_s8(vreinterpretq_s8_s16(low), vreinterpretq_s8_s16(high)));
        })
    }

    #[inline(always)]
    unsafe fn load_w(self, from: *const u8) -> int8x16_t {
        neon!(vld1q_s8(from.cast()))
    }
    #[inline(always)]
    fn nibbles(self, w: int8x16_t) -> (int8x16_t, int8x16_t) {
        neon!({
            let w = vreinterpretq_u8_s8(w);
            let (low, high) = (vandq_u8(w, vdupq_n_u8(15)), vshrq_n_u8::<4>(w));
            (vreinterpretq_s8_u8(low), vreinterpretq_s8_u8(high))
        })
    }
    #[inline(always)]
    fn ready_i8(self, w: int8x16_t) -> int8x16_t {
        w
    }
    #[inline(always)]
    unsafe fn acts4(self, from: *const i8, less: i32) -> Acts<D> {
        // SAFETY: the caller vouches for 32 elements.
        Acts { q: unsafe { self.0.acts(from) }, start: self.0.start(less) }
    }
    #[inline(always)]
    unsafe fn acts8(self, from: *const i8, _nothing: i32) -> D::A {
        // SAFETY: the caller vouches for 32 elements.
        unsafe { self.0.acts(from) }
    }
    #[inline(always)]
    fn dots4<const T: usize>(
        self,
        w: impl Fn(usize, usize) -> (int8x16_t, int8x16_t),
        a: [&Acts<D>; T],
        first: usize,
    ) -> Dots<T> {
        self.0.dots4(w, a, first)
    }
    #[inline(always)]
    fn dots8<const T: usize>(
        self,
        w: impl Fn(usize, usize) -> int8x16_t,
        a: [&D::A; T],
        first: usize,
    ) -> Dots<T> {
        self.0.dots8(w, a, first)
    }
    #[inline(always)]
    fn acts7(self, q: [[int32x4_t; MOST_PARTS]; 2]) -> D::A {
        let mut bytes = [0; 2 * TILE_ROWS];
        for (to, q) in bytes.chunks_exact_mut(TILE_ROWS).zip(q) {
            // SAFETY: 16 elements.
            unsafe { self.store_i8(to.as_mut_ptr(), q) };
        }
        // SAFETY: 32 elements.
        unsafe { self.0.acts(bytes.as_ptr()) }
    }
    #[inline(always)]
    fn dots7<const T: usize>(
        self,
        w: impl Fn(usize, usize) -> int8x16_t,
        a: [&D::A; T],
        first: usize,
    ) -> Dots<T> {
        self.0.dots8(w, a, first)
    }
}

impl<D: Dot> Steps for Neon<D> {
    type Z4 = D::Z4;
    type Z8 = D::Z8;

    #[inline(always)]
    fn start4(self, a: &Acts<D>) -> D::Z4 {
        self.0.start4(a.start)
    }
    #[inline(always)]
    fn start8(self, _a: &D::A) -> D::Z8 {
        self.0.start8()
    }
    #[inline(always)]
    fn dot_u4(self, z: D::Z4, w: int8x16_t, a: &Acts<D>, g: usize) -> D::Z4 {
        self.0.dot_u4(z, w, &a.q, g)
    }
    #[inline(always)]
    fn dot_i8(self, z: D::Z8, w: int8x16_t, a: &D::A, g: usize) -> D::Z8 {
        self.0.dot_i8(z, w, a, g)
    }
    #[inline(always)]
    fn sum4(self, z: D::Z4) -> int32x4_t {
        self.0.sum4(z)
    }
    #[inline(always)]
    fn sum8(self, z: D::Z8) -> int32x4_t {
        self.0.sum8(z)
    }
}
