//! Instructions that Rust cannot name yet, and those that its compiler takes apart.
//!
//! The intrinsics of `sdot` and `smmla` are not stable. Those of `smlal` are, but what comes
//! of them is widened apart from its multiplication, wherever that can be moved out of a loop,
//! and summed up in another order, with more sums alive than there are registers.
//!
//! Each of these computes on registers alone: it touches neither memory nor stack nor flags,
//! and its results depend on its operands only, which is what the `options` say. That the CPU
//! has it is the target feature of the function, and so its caller's promise.
#![allow(unsafe_code)]

use core::arch::aarch64::*;
use core::arch::asm;

/// Products of 4 rows, 4 neighbouring lanes each: rows 0 and 1, then 2 and 3.
pub(crate) type Products = (int16x8_t, int16x8_t);

/// Byte by byte.
#[inline]
pub(super) fn multiply(w: int8x16_t, a: int8x16_t) -> Products {
    let (low, high);
    // SAFETY: see the head of this file; the target has NEON.
    unsafe {
        asm!(
            "smull {low:v}.8h, {w:v}.8b, {a:v}.8b",
            "smull2 {high:v}.8h, {w:v}.16b, {a:v}.16b",
            low = out(vreg) low,
            high = lateout(vreg) high,
            w = in(vreg) w,
            a = in(vreg) a,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    (low, high)
}

/// Adds products byte by byte.
#[inline]
pub(super) fn multiply_add((mut low, mut high): Products, w: int8x16_t, a: int8x16_t) -> Products {
    // SAFETY: see the head of this file; the target has NEON.
    unsafe {
        asm!(
            "smlal {low:v}.8h, {w:v}.8b, {a:v}.8b",
            "smlal2 {high:v}.8h, {w:v}.16b, {a:v}.16b",
            low = inout(vreg) low,
            high = inout(vreg) high,
            w = in(vreg) w,
            a = in(vreg) a,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    (low, high)
}

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

/// Adds 8 weights of 2 rows times 8 activations of 2 tokens: row 0 with both, then row 1.
#[inline]
#[target_feature(enable = "neon,i8mm")]
pub(super) fn smmla(mut z: int32x4_t, w: int8x16_t, a: int8x16_t) -> int32x4_t {
    // SAFETY: see the head of this file.
    unsafe {
        asm!(
            "smmla {z:v}.4s, {w:v}.16b, {a:v}.16b",
            z = inout(vreg) z,
            w = in(vreg) w,
            a = in(vreg) a,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    z
}
