//! The instructions of later ARMs whose intrinsics are not stable yet.
//!
//! Every one of them computes on registers alone: it touches neither memory nor stack nor
//! flags, and its results depend on its operands only, which is what the `options` say.
//! That the CPU has it is the target feature of the function, and so its caller's promise.
#![allow(unsafe_code)]

use core::arch::aarch64::*;
use core::arch::asm;

/// Adds to each lane 4 weights times the 4 activations in lane `LANE` of `a`.
#[inline]
#[target_feature(enable = "neon,dotprod")]
pub(super) fn sdot_lane<const LANE: usize>(
    mut z: int32x4_t,
    w: int8x16_t,
    a: int8x16_t,
) -> int32x4_t {
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
