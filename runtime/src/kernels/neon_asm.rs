//! Instructions that Rust cannot name yet, and those that its compiler takes apart.
//!
//! The intrinsics of `sdot` and `smmla` are not stable. Those of `smlal` are, but what comes
//! of them is widened apart from its multiplication, wherever that can be moved out of a loop,
//! and summed up in another order, with more sums alive than there are registers.
//!
//! Each of these computes on registers alone (but for the last, which says more): it touches
//! neither memory nor stack nor flags, and its results depend on its operands only, which is
//! what the `options` say. That the CPU has it is the target feature of the function, and so its
//! caller's promise.
#![allow(unsafe_code)]

use core::arch::aarch64::*;
use core::arch::asm;

use super::neon_dotprod::TwoActs;
use super::weights::At;
use crate::base::math::ROUNDER;

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

/// Nothing: no instruction, which a compiler keeps in its place (so this one is not `pure`).
#[inline]
pub(super) fn settle([mut a, mut b, mut c, mut d]: [float32x4_t; 4]) -> [float32x4_t; 4] {
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
pub(super) unsafe fn sdot_twos(
    w: &[[int8x16_t; 2]; 8],
    scales: [float32x4_t; 2],
    (mut acts, mut sums): At<TwoActs>,
) -> At<TwoActs> {
    // SAFETY: reads what `acts` is and reads and writes what `sums` is said to point to, and
    // no other memory; else as the head of this file says.
    unsafe {
        asm!(
            "ldr {m:q}, [{acts}, #64]",
            "ldp {a:q}, {b:q}, [{acts}], #96",
            "ldp {c:q}, {d:q}, [{acts}, #-64]",
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
            acts = inout(reg) acts,
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
    (acts, sums)
}
