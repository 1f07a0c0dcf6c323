//! NEON registers: 16 lanes are four of four.
//!
//! What the 64-bit ARMs differ in is the integer dot product, and only that is a parameter
//! here ([`NeonDot`]): `base.rs` is for every one of them, `dotprod.rs` for those from 2018 on
//! (Pi 5, Apple M1), `i8mm.rs` for those from 2021 on (Apple M2).
#![allow(unsafe_code, clippy::indexing_slicing)]
// Registers come in arrays that are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop)]

use core::arch::aarch64::*;
use core::arch::asm;

use crate::format::layout::{GROUPS, TILE_ROWS};
use crate::kernels::simd::{Dots, IntWeights, Lines, MAX_PARTS, PrefillKernel, Simd};

#[cfg(not(all(target_endian = "little", target_feature = "neon")))]
compile_error!("oarlock on 64-bit ARM needs a little-endian target with NEON");

/// f32 of a register.
pub(super) const LANES: usize = 4;

/// Proof of NEON, and of the instructions of `D`.
#[derive(Clone, Copy)]
pub(crate) struct Neon<D>(pub(super) D);

/// The activations of a block, and where dot products of nibbles with them start.
#[derive(Clone, Copy)]
pub(crate) struct NeonActivations<D: NeonDot> {
    pub(super) q: D::Activations,
    pub(super) start: D::Start,
}

/// The integer dot products of one generation of CPUs; a value of the type is proof that the CPU
/// has its instructions. Their steps: start, add each of the groups 0 … 7 of 4 activations once,
/// in this order for int8, finish.
pub(crate) trait NeonDot: Copy {
    /// See [`Simd::ROW_REGISTERS`].
    const ROW_REGISTERS: usize;
    /// See [`Simd::PREFILL_TOKENS`].
    const PREFILL_TOKENS: usize;
    /// See [`Simd::Prefill`].
    type Prefill<Q: IntWeights>: PrefillKernel<Neon<Self>>;
    /// The 32 activations of a block.
    type Activations: Copy;
    /// Minus what is to be taken off.
    type Start: Copy;
    /// The running dot products of 4 rows with nibbles.
    type AccumulatorInt4: Copy;
    /// The running dot products of 4 rows with int8.
    type AccumulatorInt8: Copy;
    unsafe fn load_activations(self, from: *const i8) -> Self::Activations;
    fn start(self, correction: i32) -> Self::Start;
    fn start_int4(self, start: Self::Start) -> Self::AccumulatorInt4;
    fn start_int8(self) -> Self::AccumulatorInt8;
    /// Adds the products of unsigned nibbles with activation group `g`.
    fn add_int4(
        self,
        z: Self::AccumulatorInt4,
        w: int8x16_t,
        a: &Self::Activations,
        g: usize,
    ) -> Self::AccumulatorInt4;
    /// Adds the products of int8 with activation group `g`.
    fn add_int8(
        self,
        z: Self::AccumulatorInt8,
        w: int8x16_t,
        a: &Self::Activations,
        g: usize,
    ) -> Self::AccumulatorInt8;
    fn finish_int4(self, z: Self::AccumulatorInt4) -> int32x4_t;
    fn finish_int8(self, z: Self::AccumulatorInt8) -> int32x4_t;
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

/// An optimization barrier: no instruction, which a compiler keeps in its place (so it is not
/// `pure`).
#[inline]
fn barrier([mut a, mut b, mut c, mut d]: [float32x4_t; 4]) -> [float32x4_t; 4] {
    // SAFETY: no instruction is in it: the registers come out as they went in.
    unsafe {
        asm!(
            "// {a:v} {b:v} {c:v} {d:v}",
            a = inout(vreg) a,
            b = inout(vreg) b,
            c = inout(vreg) c,
            d = inout(vreg) d,
            options(nomem, nostack, preserves_flags),
        );
    }
    [a, b, c, d]
}

// SAFETY: NEON is in the target, and a `NeonDot` is proof of what it uses beyond that.
unsafe impl<D: NeonDot> Simd for Neon<D> {
    const LANES: usize = LANES;
    const INT5_OFFSET: i32 = 0;
    const ROW_REGISTERS: usize = D::ROW_REGISTERS;
    const PREFILL_TOKENS: usize = D::PREFILL_TOKENS;
    type Prefill<Q: IntWeights> = D::Prefill<Q>;

    type F = float32x4_t;
    type I = int32x4_t;
    type Weights = int8x16_t;
    type WeightsInt8 = int8x16_t;
    type Levels = int8x16_t;
    type ActivationsInt4 = NeonActivations<D>;
    type ActivationsInt8 = D::Activations;
    type ActivationsUint7 = D::Activations;

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
        // So that NaN stays.
        let v = self.select_lt(most, v, most, v);
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
    fn optimization_barrier(self, sums: [float32x4_t; MAX_PARTS]) -> [float32x4_t; MAX_PARTS] {
        barrier(sums)
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
    unsafe fn store_i8(self, to: *mut i8, v: [int32x4_t; MAX_PARTS]) {
        neon!({
            let low = vuzp1q_s16(vreinterpretq_s16_s32(v[0]), vreinterpretq_s16_s32(v[1]));
            let high = vuzp1q_s16(vreinterpretq_s16_s32(v[2]), vreinterpretq_s16_s32(v[3]));
            vst1q_s8(to, vuzp1q_s8(vreinterpretq_s8_s16(low), vreinterpretq_s8_s16(high)));
        })
    }

    #[inline(always)]
    unsafe fn load_weights(self, from: *const u8) -> int8x16_t {
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
    fn fifth_bit(self, nibbles: int8x16_t, signs: int8x16_t, group: usize) -> int8x16_t {
        neon!({
            let up = vdupq_n_s8(4 - group as i8);
            let sixteens = vandq_u8(vshlq_u8(vreinterpretq_u8_s8(signs), up), vdupq_n_u8(16));
            vsubq_s8(nibbles, vreinterpretq_s8_u8(sixteens))
        })
    }
    #[inline(always)]
    unsafe fn load_levels(self, from: *const u8) -> int8x16_t {
        neon!(vld1q_s8(from.cast()))
    }
    #[inline(always)]
    fn look_up(self, levels: int8x16_t, nibbles: int8x16_t) -> int8x16_t {
        neon!(vqtbl1q_s8(levels, vreinterpretq_u8_s8(nibbles)))
    }
    #[inline(always)]
    fn prepare_int8(self, w: int8x16_t) -> int8x16_t {
        w
    }
    #[inline(always)]
    unsafe fn load_activations_int4(self, from: *const i8, correction: i32) -> NeonActivations<D> {
        // SAFETY: the caller vouches for 32 elements.
        NeonActivations {
            q: unsafe { self.0.load_activations(from) },
            start: self.0.start(correction),
        }
    }
    #[inline(always)]
    unsafe fn load_activations_int8(self, from: *const i8, _nothing: i32) -> D::Activations {
        // SAFETY: the caller vouches for 32 elements.
        unsafe { self.0.load_activations(from) }
    }
    #[inline(always)]
    fn dot_int4<const T: usize>(
        self,
        w: impl Lines<(int8x16_t, int8x16_t)>,
        a: [&NeonActivations<D>; T],
        first: usize,
    ) -> Dots<Self, T> {
        let dot = self.0;
        let mut z = [[dot.start_int4(a[0].start); MAX_PARTS]; T];
        for t in 1..T {
            z[t] = [dot.start_int4(a[t].start); MAX_PARTS];
        }
        // Written out: the number of a line picks instructions, and a compiler that meets the
        // choice in a loop may leave both there.
        add_nibbles(dot, &mut z, w, a, first, 0);
        add_nibbles(dot, &mut z, w, a, first, 1);
        add_nibbles(dot, &mut z, w, a, first, 2);
        add_nibbles(dot, &mut z, w, a, first, 3);
        let mut sums = [[self.splat_i(0); MAX_PARTS]; T];
        for t in 0..T {
            for part in 0..D::ROW_REGISTERS {
                sums[t][part] = dot.finish_int4(z[t][part]);
            }
        }
        sums
    }
    #[inline(always)]
    fn dot_int8<const T: usize>(
        self,
        w: impl Lines<int8x16_t>,
        a: [&D::Activations; T],
        first: usize,
    ) -> Dots<Self, T> {
        let dot = self.0;
        let mut z = [[dot.start_int8(); MAX_PARTS]; T];
        // Written out, as above.
        add_bytes(dot, &mut z, w, a, first, 0);
        add_bytes(dot, &mut z, w, a, first, 1);
        add_bytes(dot, &mut z, w, a, first, 2);
        add_bytes(dot, &mut z, w, a, first, 3);
        add_bytes(dot, &mut z, w, a, first, 4);
        add_bytes(dot, &mut z, w, a, first, 5);
        add_bytes(dot, &mut z, w, a, first, 6);
        add_bytes(dot, &mut z, w, a, first, 7);
        let mut sums = [[self.splat_i(0); MAX_PARTS]; T];
        for t in 0..T {
            for part in 0..D::ROW_REGISTERS {
                sums[t][part] = dot.finish_int8(z[t][part]);
            }
        }
        sums
    }
    #[inline(always)]
    fn pack_activations_uint7(self, q: [[int32x4_t; MAX_PARTS]; 2]) -> D::Activations {
        let mut bytes = [0; 2 * TILE_ROWS];
        for (to, q) in bytes.chunks_exact_mut(TILE_ROWS).zip(q) {
            // SAFETY: 16 elements.
            unsafe { self.store_i8(to.as_mut_ptr(), q) };
        }
        // SAFETY: 32 elements.
        unsafe { self.0.load_activations(bytes.as_ptr()) }
    }
    #[inline(always)]
    fn dot_uint7<const T: usize>(
        self,
        w: impl Lines<int8x16_t>,
        a: [&D::Activations; T],
        first: usize,
    ) -> Dots<Self, T> {
        self.dot_int8(w, a, first)
    }
}

/// Adds the products of a line of nibbles, groups `line` and `line + 4` of each token.
#[inline(always)]
fn add_nibbles<D: NeonDot, const T: usize>(
    dot: D,
    z: &mut [[D::AccumulatorInt4; MAX_PARTS]; T],
    w: impl Lines<(int8x16_t, int8x16_t)>,
    a: [&NeonActivations<D>; T],
    first: usize,
    line: usize,
) {
    for part in 0..D::ROW_REGISTERS {
        let (low, high) = w.line(line, first + part);
        for t in 0..T {
            let lows = dot.add_int4(z[t][part], low, &a[t].q, line);
            z[t][part] = dot.add_int4(lows, high, &a[t].q, line + GROUPS / 2);
        }
    }
}

/// Adds the products of a line of bytes, group `line` of each token.
#[inline(always)]
fn add_bytes<D: NeonDot, const T: usize>(
    dot: D,
    z: &mut [[D::AccumulatorInt8; MAX_PARTS]; T],
    w: impl Lines<int8x16_t>,
    a: [&D::Activations; T],
    first: usize,
    line: usize,
) {
    for part in 0..D::ROW_REGISTERS {
        let w = w.line(line, first + part);
        for t in 0..T {
            z[t][part] = dot.add_int8(z[t][part], w, a[t], line);
        }
    }
}
