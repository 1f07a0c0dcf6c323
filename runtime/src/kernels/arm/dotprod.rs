//! Integer dot products of ARMs from 2018 on: `sdot` is four products a lane, in 32 bits.
//!
//! The intrinsics of `sdot` are not stable. All assembly here but [`sdot_pairs`], which says more,
//! computes on registers alone: it touches neither memory nor stack nor flags, and its results
//! depend on its operands only, which is what the `options` say. That the CPU has it is the target
//! feature of the function, and so its caller's promise.
#![allow(unsafe_code, clippy::indexing_slicing)]
// Registers come in arrays that are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop)]

use core::arch::aarch64::*;
use core::arch::asm;
use core::marker::PhantomData;

use super::neon::{LANES, Neon, NeonDot, neon};
use crate::base::math::ROUNDER;
use crate::format::layout::{BLOCK_COLS, GROUPS};
use crate::kernels::block::scales;
use crate::kernels::simd::{Block, Cursor, InputPointers, IntWeights, Op, PrefillKernel, Simd};

/// Proof of `dotprod`, and of what `G` needs.
#[derive(Clone, Copy)]
pub(crate) struct Dotprod<G>(PhantomData<G>);

impl<G: DotprodGeneration> Dotprod<G> {
    /// Makes the proof.
    ///
    /// # Safety
    /// The CPU has `dotprod`, and what `G` needs.
    #[inline(always)]
    pub(super) unsafe fn new() -> Self {
        Self(PhantomData)
    }
}

/// A generation of CPUs by how several tokens go.
pub(crate) trait DotprodGeneration: Copy {
    /// The prefill kernel: see [`Simd::Prefill`].
    type Prefill<Q: IntWeights>: PrefillKernel<Neon<Dotprod<Self>>>;
}

/// A generation where several tokens go by `sdot`, as one does.
#[derive(Clone, Copy)]
pub(crate) struct Sdot;

impl DotprodGeneration for Sdot {
    type Prefill<Q: IntWeights> = SdotPairs<Q>;
}

/// Runs an operation with these registers.
#[target_feature(enable = "neon,dotprod")]
pub(crate) fn enter<O: Op>(op: O) -> O::Out {
    op.run(Neon(Dotprod::<Sdot>(PhantomData)))
}

/// Adds to each lane 4 weights times the 4 activations in lane `LANE` of `a`.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn sdot_lane<const LANE: usize>(mut z: int32x4_t, w: int8x16_t, a: int8x16_t) -> int32x4_t {
    // SAFETY: see the head of this file.
    unsafe {
        asm!(
            "sdot {z:v}.4s, {w:v}.16b, {a:v}.4b[{lane}]",
            z = inout(vreg) z,
            w = in(vreg) w,
            a = in(vreg) a,
            lane = const LANE,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    z
}

impl<G: DotprodGeneration> NeonDot for Dotprod<G> {
    const ROW_REGISTERS: usize = 2;
    const PREFILL_TOKENS: usize = 4;

    type Prefill<Q: IntWeights> = G::Prefill<Q>;
    type Activations = int8x16x2_t;
    type Start = int32x4_t;
    type AccumulatorInt4 = int32x4_t;
    type AccumulatorInt8 = int32x4_t;

    #[inline(always)]
    unsafe fn load_activations(self, from: *const i8) -> int8x16x2_t {
        neon!(int8x16x2_t(vld1q_s8(from), vld1q_s8(from.add(16))))
    }
    #[inline(always)]
    fn start(self, correction: i32) -> int32x4_t {
        neon!(vdupq_n_s32(correction.wrapping_neg()))
    }
    #[inline(always)]
    fn start_int4(self, start: int32x4_t) -> int32x4_t {
        start
    }
    #[inline(always)]
    fn start_int8(self) -> int32x4_t {
        self.start(0)
    }
    #[inline(always)]
    fn add_int4(self, z: int32x4_t, w: int8x16_t, a: &int8x16x2_t, g: usize) -> int32x4_t {
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
    fn add_int8(self, z: int32x4_t, w: int8x16_t, a: &int8x16x2_t, g: usize) -> int32x4_t {
        self.add_int4(z, w, a, g)
    }
    #[inline(always)]
    fn finish_int4(self, z: int32x4_t) -> int32x4_t {
        z
    }
    #[inline(always)]
    fn finish_int8(self, z: int32x4_t) -> int32x4_t {
        z
    }
}

/// The prefill kernel that takes two tokens one after the other, with what they are scaled by in
/// one register.
///
/// The weights of two registers of rows are half of all registers, and stay there for any
/// number of tokens.
pub(crate) struct SdotPairs<Q>(PhantomData<Q>);

/// The activations of two tokens, as [`sdot_pairs`] reads them.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct TokenPair {
    q: [int8x16x2_t; 2],
    /// The bits of the floats where the dot products of both start, and of both scales.
    starts_scales: int32x4_t,
    /// The sums of both.
    sums: float32x2_t,
}

const _: () = assert!(size_of::<TokenPair>() == 96, "what `sdot_pairs` steps over");

/// Lane `$i` of the activations of two tokens with two registers of rows: four dot products.
macro_rules! sdots {
    ($w:literal, $v:literal, $a:literal, $b:literal, $i:literal) => {
        concat!(
            concat!("sdot {z:v}.4s, {", $w, ":v}.16b, {", $a, ":v}.4b[", $i, "]\n"),
            concat!("sdot {y:v}.4s, {", $v, ":v}.16b, {", $a, ":v}.4b[", $i, "]\n"),
            concat!("sdot {x:v}.4s, {", $w, ":v}.16b, {", $b, ":v}.4b[", $i, "]\n"),
            concat!("sdot {u:v}.4s, {", $v, ":v}.16b, {", $b, ":v}.4b[", $i, "]"),
        )
    };
}

/// Adds the scaled products of two registers of rows of a block with two tokens to their
/// sums, and gives the pointers behind what was read and written.
///
/// Whole, since the weights and all that is between take every register: a compiler that mixes
/// the tokens, as it does for the sake of latencies that these CPUs hide themselves, copies
/// weights about and back. One access alone moves each pointer, which costs as much as an addition.
///
/// Dot products are counted on the bits of [`ROUNDER`], whose last is one: up to 2^22 of them,
/// and 520,192 is the most. Without it that float is their float, exactly, and a subtraction
/// costs less than a conversion.
///
/// # Safety
/// The first points to the activations of two tokens, the second to two registers of sums of
/// the one and then of the other.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn sdot_pairs(
    w: &[[int8x16_t; 2]; 8],
    scales: [float32x4_t; 2],
    (mut tokens, mut sums): Cursor<TokenPair>,
) -> Cursor<TokenPair> {
    // SAFETY: reads what `tokens` is and reads and writes what `sums` is said to point to, and
    // no other memory; else as the head of this file says.
    unsafe {
        asm!(
            "ldr {m:q}, [{tokens}, #64]",
            "ldp {a:q}, {b:q}, [{tokens}], #96",
            "ldp {c:q}, {d:q}, [{tokens}, #-64]",
            "dup {z:v}.4s, {m:v}.s[0]",
            "dup {y:v}.4s, {m:v}.s[0]",
            "dup {x:v}.4s, {m:v}.s[1]",
            "dup {u:v}.4s, {m:v}.s[1]",
            sdots!("w0", "v0", "a", "c", "0"),
            sdots!("w1", "v1", "a", "c", "1"),
            sdots!("w2", "v2", "a", "c", "2"),
            sdots!("w3", "v3", "a", "c", "3"),
            sdots!("w4", "v4", "b", "d", "0"),
            sdots!("w5", "v5", "b", "d", "1"),
            sdots!("w6", "v6", "b", "d", "2"),
            sdots!("w7", "v7", "b", "d", "3"),
            "ld1 {{v28.4s, v29.4s, v30.4s, v31.4s}}, [{sums}]",
            "fmul {a:v}.4s, {s0:v}.4s, {m:v}.s[2]",
            "fmul {b:v}.4s, {s1:v}.4s, {m:v}.s[2]",
            "fmul {c:v}.4s, {s0:v}.4s, {m:v}.s[3]",
            "fmul {d:v}.4s, {s1:v}.4s, {m:v}.s[3]",
            "fsub {z:v}.4s, {z:v}.4s, {rounder:v}.4s",
            "fsub {y:v}.4s, {y:v}.4s, {rounder:v}.4s",
            "fsub {x:v}.4s, {x:v}.4s, {rounder:v}.4s",
            "fsub {u:v}.4s, {u:v}.4s, {rounder:v}.4s",
            "fmla v28.4s, {z:v}.4s, {a:v}.4s",
            "fmla v29.4s, {y:v}.4s, {b:v}.4s",
            "fmla v30.4s, {x:v}.4s, {c:v}.4s",
            "fmla v31.4s, {u:v}.4s, {d:v}.4s",
            "st1 {{v28.4s, v29.4s, v30.4s, v31.4s}}, [{sums}], #64",
            tokens = inout(reg) tokens,
            sums = inout(reg) sums,
            w0 = in(vreg) w[0][0],
            v0 = in(vreg) w[0][1],
            w1 = in(vreg) w[1][0],
            v1 = in(vreg) w[1][1],
            w2 = in(vreg) w[2][0],
            v2 = in(vreg) w[2][1],
            w3 = in(vreg) w[3][0],
            v3 = in(vreg) w[3][1],
            w4 = in(vreg) w[4][0],
            v4 = in(vreg) w[4][1],
            w5 = in(vreg) w[5][0],
            v5 = in(vreg) w[5][1],
            w6 = in(vreg) w[6][0],
            v6 = in(vreg) w[6][1],
            w7 = in(vreg) w[7][0],
            v7 = in(vreg) w[7][1],
            s0 = in(vreg) scales[0],
            s1 = in(vreg) scales[1],
            rounder = in(vreg) vdupq_n_f32(ROUNDER),
            a = out(vreg) _,
            b = out(vreg) _,
            c = out(vreg) _,
            d = out(vreg) _,
            m = out(vreg) _,
            z = out(vreg) _,
            y = out(vreg) _,
            x = out(vreg) _,
            u = out(vreg) _,
            out("v28") _,
            out("v29") _,
            out("v30") _,
            out("v31") _,
            options(nostack, preserves_flags),
        );
    }
    (tokens, sums)
}

/// The weights of two registers of rows.
pub(crate) struct RowPair {
    lines: [[int8x16_t; 2]; GROUPS],
    scales: [float32x4_t; 2],
    minima: [float32x4_t; 2],
}

/// The values of two tokens.
///
/// # Safety
/// Both are there.
#[inline(always)]
pub(super) unsafe fn both(from: *const f32, [a, b]: [usize; 2]) -> float32x2_t {
    neon!(vld1_lane_f32::<1>(from.add(b), vld1_dup_f32(from.add(a))))
}

/// The start of the dot products of two tokens with these sums.
#[inline(always)]
pub(super) fn starts<S: Simd, Q: IntWeights>(sums: float32x2_t) -> int32x2_t {
    neon!(vmul_n_s32(vcvt_s32_f32(sums), -Q::offset::<S>()))
}

impl<Q: IntWeights> PrefillKernel<Neon<Dotprod<Sdot>>> for SdotPairs<Q> {
    const INTERLEAVED: usize = 2;
    const ROW_REGISTERS: usize = 2;
    const TOKEN_GROUPS: usize = 4;
    type Tokens = TokenPair;
    type Rows = RowPair;

    #[inline(always)]
    unsafe fn load_tokens(
        s: Neon<Dotprod<Sdot>>,
        inputs: InputPointers,
        tokens: [usize; 2],
        b: usize,
    ) -> TokenPair {
        let at = tokens.map(|token| token * inputs.blocks + b);
        // SAFETY: tokens and block are there, as the caller promises.
        unsafe {
            let q = at.map(|at| s.0.load_activations(inputs.q.add(at * BLOCK_COLS)));
            let (sums, scales) = (both(inputs.sum, at), both(inputs.scale, at));
            let rounder = vreinterpret_s32_f32(vdup_n_f32(ROUNDER));
            let starts = vadd_s32(rounder, starts::<Neon<Dotprod<Sdot>>, Q>(sums));
            let starts_scales = vcombine_s32(starts, vreinterpret_s32_f32(scales));
            TokenPair { q, starts_scales, sums }
        }
    }

    #[inline(always)]
    unsafe fn load_rows(s: Neon<Dotprod<Sdot>>, block: Block, first: usize) -> RowPair {
        // SAFETY: the groups, scales and minima of one block.
        unsafe {
            let mut lines = [[vdupq_n_s8(0); 2]; GROUPS];
            for group in 0..GROUPS {
                for part in 0..2 {
                    lines[group][part] = Q::group(s, block, group, first + part);
                }
            }
            let (scales, minima) = scales::<Neon<Dotprod<Sdot>>, Q>(s, block, first, 2);
            RowPair { lines, scales: [scales[0], scales[1]], minima: [minima[0], minima[1]] }
        }
    }

    #[inline(always)]
    unsafe fn add<const G: usize>(
        s: Neon<Dotprod<Sdot>>,
        rows: &RowPair,
        (tokens, sums): Cursor<TokenPair>,
    ) -> Cursor<TokenPair> {
        let mut at = (tokens, sums);
        for _ in 0..G {
            // SAFETY: as many activations and sums, as the caller promises; `Sdot` is proof
            // that the CPU has `dotprod`.
            at = unsafe { sdot_pairs(&rows.lines, rows.scales, at) };
        }
        if Q::MINIMUM {
            // Apart, since no register is left beside the weights.
            for t in 0..G {
                let sums = sums.wrapping_add(t * 4 * LANES);
                // SAFETY: as above.
                unsafe {
                    let pair = &*tokens.wrapping_add(t);
                    add_minima::<0, 2>(s, rows, pair, sums);
                    add_minima::<1, 3>(s, rows, pair, sums.wrapping_add(2 * LANES));
                }
            }
        }
        at
    }
}

/// Adds the minima for each unit of token `TOKEN` of two, whose scale is in lane `SCALE`.
///
/// # Safety
/// `sums` points to two registers of sums.
#[inline(always)]
unsafe fn add_minima<const TOKEN: i32, const SCALE: i32>(
    s: Neon<Dotprod<Sdot>>,
    rows: &RowPair,
    pair: &TokenPair,
    sums: *mut f32,
) {
    let scale = neon!(vreinterpretq_f32_s32(pair.starts_scales));
    for part in 0..2 {
        let sums = sums.wrapping_add(part * LANES);
        neon!({
            let minima = vmulq_laneq_f32::<SCALE>(rows.minima[part], scale);
            s.store(sums, vfmaq_lane_f32::<TOKEN>(s.load(sums), minima, pair.sums));
        })
    }
}
