//! Integer dot products of ARMs from 2018 on: `sdot` is four products a lane, in 32 bits.
#![allow(unsafe_code, clippy::indexing_slicing)]
// Registers come in arrays that are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop)]

use core::arch::aarch64::*;
use core::marker::PhantomData;

use super::isa::Op;
use super::neon::{Dot, LANES, Neon, neon};
use super::neon_asm::{sdot_lane, sdot_twos};
use super::neon_i8mm::Pairs;
use super::quants::{Quants, scales};
use super::several::Several;
use super::simd::Simd;
use super::weights::{At, Lines};
use crate::base::math::ROUNDER;
use crate::format::layout::{BLOCK_COLS, GROUPS, LINE};

/// Proof of `dotprod`, and of what `G` needs.
#[derive(Clone, Copy)]
pub(crate) struct Dotprod<G>(PhantomData<G>);

/// How several tokens go.
pub(crate) trait Generation: Copy {
    type Several: Several<Neon<Dotprod<Self>>>;
}

/// By `sdot`, as one token does.
#[derive(Clone, Copy)]
pub(crate) struct Sdot;

impl Generation for Sdot {
    type Several = Twos;
}

/// By `smmla`, of `i8mm`.
#[derive(Clone, Copy)]
pub(crate) struct Smmla;

impl Generation for Smmla {
    type Several = Pairs;
}

/// Runs an operation with these registers.
#[target_feature(enable = "neon,dotprod")]
pub(super) fn enter<O: Op>(op: O) -> O::Out {
    op.run(Neon(Dotprod::<Sdot>(PhantomData)))
}

/// Runs an operation with these registers, and with products of matrices.
#[target_feature(enable = "neon,dotprod,i8mm")]
pub(super) fn enter_i8mm<O: Op>(op: O) -> O::Out {
    op.run(Neon(Dotprod::<Smmla>(PhantomData)))
}

impl<G: Generation> Dot for Dotprod<G> {
    const TOGETHER: usize = 2;
    const TOKENS: usize = 4;

    type Several = G::Several;
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
}

/// Two tokens one after the other, with what they are scaled by in one register.
///
/// The weights of two registers of rows are half of all registers, and stay there for any
/// number of tokens.
pub(crate) struct Twos;

/// The activations of two tokens, as [`sdot_twos`] reads them.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct TwoActs {
    q: [int8x16x2_t; 2],
    /// The bits of the floats where the dot products of both start, and of both scales.
    starts_scales: int32x4_t,
    /// Of both.
    sums: float32x2_t,
}

const _: () = assert!(size_of::<TwoActs>() == 96, "what `sdot_twos` steps over");

/// The weights of two registers of rows.
pub(crate) struct Ready {
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

/// Where the dot products of two tokens with these sums start.
#[inline(always)]
pub(super) fn starts<S: Simd, Q: Quants>(sums: float32x2_t) -> int32x2_t {
    neon!(vmul_n_s32(vcvt_s32_f32(sums), -Q::offset::<S>()))
}

impl Several<Neon<Dotprod<Sdot>>> for Twos {
    const WOVEN: usize = 2;
    const TOGETHER: usize = 2;
    const AT_ONCE: usize = 4;
    type Acts<Q: Quants> = TwoActs;
    type Ready<Q: Quants> = Ready;

    #[inline(always)]
    unsafe fn acts<Q: Quants>(
        s: Neon<Dotprod<Sdot>>,
        lines: Lines,
        tokens: [usize; 2],
        b: usize,
    ) -> TwoActs {
        let at = tokens.map(|token| token * lines.blocks + b);
        // SAFETY: tokens and block are there, as the caller promises.
        unsafe {
            let q = at.map(|at| s.0.acts(lines.q.add(at * BLOCK_COLS)));
            let (sums, scales) = (both(lines.sum, at), both(lines.scale, at));
            let rounder = vreinterpret_s32_f32(vdup_n_f32(ROUNDER));
            let starts = vadd_s32(rounder, starts::<Neon<Dotprod<Sdot>>, Q>(sums));
            let starts_scales = vcombine_s32(starts, vreinterpret_s32_f32(scales));
            TwoActs { q, starts_scales, sums }
        }
    }

    #[inline(always)]
    unsafe fn ready<Q: Quants>(s: Neon<Dotprod<Sdot>>, block: *const u8, first: usize) -> Ready {
        // SAFETY: the lines, scales and minima of one block.
        unsafe {
            let row = |line: usize, part: usize| {
                s.load_w(block.add(line * LINE + (first + part) * 4 * LANES))
            };
            let line = |line: usize| [row(line, 0), row(line, 1)];
            let mut lines = [0, 1, 2, 3, 0, 1, 2, 3].map(line);
            for i in 0..GROUPS / 2 {
                if Q::LINES == GROUPS {
                    lines[GROUPS / 2 + i] = line(GROUPS / 2 + i);
                } else {
                    let [a, b] = lines[i].map(|line| s.nibbles(line));
                    (lines[i], lines[GROUPS / 2 + i]) = ([a.0, b.0], [a.1, b.1]);
                }
            }
            let (scales, minima) = scales::<Neon<Dotprod<Sdot>>, Q>(s, block, first, 2);
            Ready { lines, scales: [scales[0], scales[1]], minima: [minima[0], minima[1]] }
        }
    }

    #[inline(always)]
    unsafe fn add<Q: Quants, const T: usize>(
        s: Neon<Dotprod<Sdot>>,
        ready: &Ready,
        (acts, sums): At<TwoActs>,
    ) -> At<TwoActs> {
        let mut at = (acts, sums);
        for _ in 0..T {
            // SAFETY: as many activations and sums, as the caller promises; `Sdot` is proof
            // that the CPU has `dotprod`.
            at = unsafe { sdot_twos(&ready.lines, ready.scales, at) };
        }
        if Q::MINIMUM {
            // Apart, since no register is left beside the weights.
            for t in 0..T {
                let sums = sums.wrapping_add(t * 4 * LANES);
                // SAFETY: as above.
                unsafe {
                    let acts = &*acts.wrapping_add(t);
                    add_minima::<0, 2>(s, ready, acts, sums);
                    add_minima::<1, 3>(s, ready, acts, sums.wrapping_add(2 * LANES));
                }
            }
        }
        at
    }

    #[inline(always)]
    unsafe fn unweave(_s: Neon<Dotprod<Sdot>>, _sums: *mut f32, _groups: usize) {}
}

/// Adds the minima for each unit of token `TOKEN` of two, whose scale is in lane `SCALE`.
///
/// # Safety
/// `sums` points to two registers of sums.
#[inline(always)]
unsafe fn add_minima<const TOKEN: i32, const SCALE: i32>(
    s: Neon<Dotprod<Sdot>>,
    ready: &Ready,
    acts: &TwoActs,
    sums: *mut f32,
) {
    let scale = neon!(vreinterpretq_f32_s32(acts.starts_scales));
    for part in 0..2 {
        let sums = sums.wrapping_add(part * LANES);
        neon!({
            let minima = vmulq_laneq_f32::<SCALE>(ready.minima[part], scale);
            s.store(sums, vfmaq_lane_f32::<TOKEN>(s.load(sums), minima, acts.sums));
        })
    }
}
