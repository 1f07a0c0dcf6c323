//! Sixteen lanes in plain Rust: runs anywhere, and defines the bits.
#![allow(unsafe_code, clippy::indexing_slicing)]

use core::array::from_fn;

use super::block::PerToken;
use super::simd::{Dots, IntWeights, Lines, MAX_PARTS, Simd};
use crate::base::math;
use crate::format::layout::{GROUPS, LEVELS};

/// Proof of no instructions at all.
#[derive(Clone, Copy)]
pub(crate) struct Scalar;

type F = [f32; 16];
type I = [i32; 16];

/// The activations of a block, and what their dot products are to be lessened by.
#[derive(Clone, Copy)]
pub(crate) struct ScalarActivations {
    q: [i8; 32],
    correction: i32,
}

// What is long stays a function of its own: inlined sixteen lanes deep into every kernel,
// it would make a megabyte of code that nobody runs for its speed.

/// Four weights times the four activations of a group, in each lane. (There are 8 groups: the
/// remainder lets the compiler see it.)
#[inline(never)]
fn dot(z: &I, w: &[u8; 64], value: fn(u8) -> i32, a: &[i8; 32], g: usize) -> I {
    from_fn(|lane| {
        let weight = |i| value(w[4 * lane + i]);
        let group: i32 = (0..4).map(|i| weight(i) * i32::from(a[4 * (g % GROUPS) + i])).sum();
        z[lane].wrapping_add(group)
    })
}

#[inline(never)]
fn fma(a: &F, b: &F, c: &F) -> F {
    from_fn(|i| one_fma(a[i], b[i], c[i]))
}

#[cfg(not(target_arch = "aarch64"))]
use math::fma as one_fma;

/// A fused multiply-add of the hardware, which every 64-bit ARM has: in f64 it is so slow where
/// that is emulated in turn that nobody could compare whole sessions there.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
fn one_fma(a: f32, b: f32, c: f32) -> f32 {
    use core::arch::aarch64::{vdup_n_f32, vfma_f32, vget_lane_f32};
    // SAFETY: the target has NEON.
    unsafe { vget_lane_f32::<0>(vfma_f32(vdup_n_f32(c), vdup_n_f32(a), vdup_n_f32(b))) }
}

/// Rounds to the nearest integer, ties to even. (Not by `math::rint`, which stops at 2^22.)
#[inline(never)]
fn round(v: &F) -> I {
    v.map(|v| {
        let floor = v as i32;
        let rest = v - floor as f32;
        let up = rest > 0.5 || rest == 0.5 && floor & 1 == 1;
        let down = rest < -0.5 || rest == -0.5 && floor & 1 == 1;
        floor.wrapping_add(i32::from(up)).wrapping_sub(i32::from(down))
    })
}

#[inline(never)]
fn from_halves(bytes: &[[u8; 2]; 16]) -> F {
    bytes.map(|b| math::f16_to_f32(u16::from_le_bytes(b)))
}

#[inline(never)]
fn to_halves(v: &F) -> [[u8; 2]; 16] {
    v.map(|v| math::f32_to_f16(v).to_le_bytes())
}

// SAFETY: plain Rust needs nothing of the CPU.
unsafe impl Simd for Scalar {
    const LANES: usize = 16;
    const PREFILL_TOKENS: usize = 1;
    type Prefill<Q: IntWeights> = PerToken<Q>;

    type F = F;
    type I = I;
    type Weights = [u8; 64];
    type WeightsInt8 = [u8; 64];
    type Levels = [u8; LEVELS];
    type ActivationsInt4 = ScalarActivations;
    type ActivationsInt8 = ScalarActivations;
    type ActivationsUint7 = ScalarActivations;

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> F {
        // SAFETY: the caller vouches for 16 elements.
        unsafe { from.cast::<F>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, v: F) {
        // SAFETY: the caller vouches for 16 elements.
        unsafe { to.cast::<F>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn load_f16(self, from: *const u8) -> F {
        // SAFETY: the caller vouches for 16 elements of two bytes.
        let bytes = unsafe { from.cast::<[[u8; 2]; 16]>().read_unaligned() };
        from_halves(&bytes)
    }
    #[inline(always)]
    unsafe fn store_f16(self, to: *mut u8, v: F) {
        let bytes = to_halves(&v);
        // SAFETY: the caller vouches for 16 elements of two bytes.
        unsafe { to.cast::<[[u8; 2]; 16]>().write_unaligned(bytes) }
    }
    #[inline(always)]
    fn prefetch<const AT: usize>(self, _from: *const u8) {}

    #[inline(always)]
    fn splat(self, v: f32) -> F {
        [v; 16]
    }
    #[inline(always)]
    fn add(self, a: F, b: F) -> F {
        from_fn(|i| a[i] + b[i])
    }
    #[inline(always)]
    fn sub(self, a: F, b: F) -> F {
        from_fn(|i| a[i] - b[i])
    }
    #[inline(always)]
    fn mul(self, a: F, b: F) -> F {
        from_fn(|i| a[i] * b[i])
    }
    #[inline(always)]
    fn div(self, a: F, b: F) -> F {
        from_fn(|i| a[i] / b[i])
    }
    #[inline(always)]
    fn fma(self, a: F, b: F, c: F) -> F {
        fma(&a, &b, &c)
    }
    #[inline(always)]
    fn select_lt(self, a: F, b: F, x: F, y: F) -> F {
        from_fn(|i| if a[i] < b[i] { x[i] } else { y[i] })
    }
    #[inline(always)]
    fn abs(self, a: F) -> F {
        a.map(f32::abs)
    }
    #[inline(always)]
    fn exp2_magic(self, t: F) -> F {
        t.map(|t| f32::from_bits((t.to_bits() << 23).wrapping_add(1.0_f32.to_bits())))
    }

    #[inline(always)]
    fn sum_lanes(self, mut v: F) -> f32 {
        for apart in [8, 4, 2, 1] {
            let (near, far) = v.split_at_mut(apart.min(16));
            for (near, far) in near.iter_mut().zip(far) {
                *near += *far;
            }
        }
        v[0]
    }
    #[inline(always)]
    fn max_lanes(self, v: F) -> f32 {
        v.into_iter().fold(f32::NEG_INFINITY, |m, v| if m > v { m } else { v })
    }

    #[inline(always)]
    fn splat_i(self, v: i32) -> I {
        [v; 16]
    }
    #[inline(always)]
    fn add_i(self, a: I, b: I) -> I {
        from_fn(|i| a[i].wrapping_add(b[i]))
    }
    #[inline(always)]
    fn to_f(self, v: I) -> F {
        v.map(|v| v as f32)
    }
    #[inline(always)]
    fn round(self, v: F) -> I {
        round(&v)
    }
    #[inline(always)]
    fn max_bits(self, m: I, v: F) -> I {
        from_fn(|i| m[i].max(v[i].abs().to_bits().cast_signed()))
    }
    #[inline(always)]
    fn reduce_max_i(self, v: I) -> i32 {
        v.into_iter().fold(i32::MIN, i32::max)
    }
    #[inline(always)]
    fn reduce_add_i(self, v: I) -> i32 {
        v.into_iter().fold(0, i32::wrapping_add)
    }
    #[inline(always)]
    unsafe fn store_i8(self, to: *mut i8, [v, ..]: [I; MAX_PARTS]) {
        // SAFETY: the caller vouches for 16 elements.
        unsafe { to.cast::<[i8; 16]>().write_unaligned(v.map(|v| v as i8)) }
    }

    #[inline(always)]
    unsafe fn load_weights(self, from: *const u8) -> [u8; 64] {
        // SAFETY: the caller vouches for 64 bytes.
        unsafe { from.cast::<[u8; 64]>().read_unaligned() }
    }
    #[inline(always)]
    fn nibbles(self, w: [u8; 64]) -> ([u8; 64], [u8; 64]) {
        (w.map(|b| b & 15), w.map(|b| b >> 4))
    }
    #[inline(always)]
    fn fifth_bit(self, nibbles: [u8; 64], signs: [u8; 64], group: usize) -> [u8; 64] {
        from_fn(|i| nibbles[i] | (!signs[i] >> (group % GROUPS) & 1) << 4)
    }
    #[inline(always)]
    unsafe fn load_levels(self, from: *const u8) -> [u8; LEVELS] {
        // SAFETY: the caller vouches for 16 bytes.
        unsafe { from.cast::<[u8; LEVELS]>().read_unaligned() }
    }
    #[inline(always)]
    fn look_up(self, levels: [u8; LEVELS], nibbles: [u8; 64]) -> [u8; 64] {
        nibbles.map(|nibble| levels[usize::from(nibble) % LEVELS])
    }
    #[inline(always)]
    fn prepare_int8(self, w: [u8; 64]) -> [u8; 64] {
        w
    }
    #[inline(always)]
    unsafe fn load_activations_int4(self, from: *const i8, correction: i32) -> ScalarActivations {
        // SAFETY: the caller vouches for 32 elements.
        ScalarActivations { q: unsafe { from.cast::<[i8; 32]>().read_unaligned() }, correction }
    }
    #[inline(always)]
    unsafe fn load_activations_int8(self, from: *const i8, correction: i32) -> ScalarActivations {
        // SAFETY: the caller vouches for 32 elements.
        unsafe { self.load_activations_int4(from, correction) }
    }
    #[inline(always)]
    fn dot_int4<const T: usize>(
        self,
        w: impl Lines<([u8; 64], [u8; 64])>,
        a: [&ScalarActivations; T],
        first: usize,
    ) -> Dots<Self, T> {
        let mut sums = start(a);
        for line in 0..GROUPS / 2 {
            let (low, high) = w.line(line, first);
            for (sums, a) in sums.iter_mut().zip(a) {
                sums[0] = dot(&sums[0], &low, i32::from, &a.q, line);
                sums[0] = dot(&sums[0], &high, i32::from, &a.q, line + GROUPS / 2);
            }
        }
        sums
    }
    #[inline(always)]
    fn dot_int8<const T: usize>(
        self,
        w: impl Lines<[u8; 64]>,
        a: [&ScalarActivations; T],
        first: usize,
    ) -> Dots<Self, T> {
        let mut sums = start(a);
        for line in 0..GROUPS {
            let w = w.line(line, first);
            for (sums, a) in sums.iter_mut().zip(a) {
                sums[0] = dot(&sums[0], &w, |w| i32::from(w.cast_signed()), &a.q, line);
            }
        }
        sums
    }
    #[inline(always)]
    fn dot_uint7<const T: usize>(
        self,
        w: impl Lines<[u8; 64]>,
        a: [&ScalarActivations; T],
        first: usize,
    ) -> Dots<Self, T> {
        self.dot_int8(w, a, first)
    }
    #[inline(always)]
    fn pack_activations_uint7(self, q: [[I; MAX_PARTS]; 2]) -> ScalarActivations {
        ScalarActivations { q: from_fn(|i| q[i / 16][0][i % 16] as i8), correction: 0 }
    }
}

/// Dot products before any line: minus what is taken off.
#[inline(always)]
fn start<const T: usize>(a: [&ScalarActivations; T]) -> Dots<Scalar, T> {
    a.map(|a| [[a.correction.wrapping_neg(); 16]; MAX_PARTS])
}
