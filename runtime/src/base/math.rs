//! Scalar mathematics without the standard library, to the bit.
//!
//! `core` has no `mul_add`, `sqrt`, `exp` or `sin`; and where a host has them, they
//! differ between systems. What is here rests on IEEE addition, multiplication and
//! division alone.

/// 1.5 · 2^23: adding and subtracting it rounds a small f32 to the nearest even integer.
pub(crate) const ROUNDER: f32 = 12_582_912.0;

/// Coefficients of exp on |r| ≤ ln 2 / 2, highest power first: a minimax fit (relative
/// error 3.1e-9) with the last two held at 1, so that exp is exactly 1 at 0.
pub(crate) const EXP: [f32; 7] = [
    f32::from_bits(0x3ab5_121a),
    f32::from_bits(0x3c09_1cf1),
    f32::from_bits(0x3d2a_ac79),
    f32::from_bits(0x3e2a_aa49),
    f32::from_bits(0x3eff_fffe),
    1.0,
    1.0,
];
/// 1 / ln 2.
pub(crate) const LOG2_E: f32 = core::f32::consts::LOG2_E;
/// ln 2 in two parts (Cody and Waite): the product of the first with |n| ≤ 128 is exact.
pub(crate) const LN2_HIGH: f32 = f32::from_bits(0x3f31_7200);
/// ln 2 − [`LN2_HIGH`].
pub(crate) const LN2_LOW: f32 = f32::from_bits(0x35bf_be8e);
/// Below this exp is 0: the results above are all normal numbers.
pub(crate) const EXP_MIN: f32 = -87.0;
/// Above this exp stays what it is here: the scale of 2^n has no more exponents.
pub(crate) const EXP_MAX: f32 = 88.0;

/// Fused multiply-add: `a · b + c`, rounded once.
///
/// The product of two f32 is exact in f64. Their sum is not: rounding it to f64 and then
/// to f32 rounds twice. Rounding to odd first (Boldo and Melquiond, 2008) repairs that:
/// an inexact sum gets an odd last bit, which no tie of the second rounding has.
#[inline(always)]
pub fn fma(a: f32, b: f32, c: f32) -> f32 {
    let (product, c) = (f64::from(a) * f64::from(b), f64::from(c));
    let sum = product + c;
    if !sum.is_finite() {
        return sum as f32;
    }
    // TwoSum (Knuth): `sum + error` is exactly `product + c`.
    let from_c = sum - product;
    let error = (product - (sum - from_c)) + (c - from_c);
    let bits = sum.to_bits();
    if error == 0.0 || bits & 1 == 1 {
        return sum as f32;
    }
    // One step towards the error makes the last bit odd: away from zero if both have the
    // same sign. `sum` is not zero here, since then it would be exact.
    let away = (error > 0.0) == (sum > 0.0);
    f64::from_bits(if away { bits + 1 } else { bits - 1 }) as f32
}

/// The square root, correctly rounded.
///
/// Heron's method in f64 ends within 2 ulp of f64; the root of an f32 lies at least 4
/// such ulp from the middle between two f32, so rounding the estimate rounds the root.
pub fn sqrt(v: f32) -> f32 {
    if v.is_nan() || v < 0.0 {
        return f32::NAN;
    }
    if v == 0.0 || v == f32::INFINITY {
        return v;
    }
    let v = f64::from(v);
    // Halving the exponent is within 7 % of the root; four steps square that to 2^-60.
    let mut root = f64::from_bits((v.to_bits() >> 1) + (1023 << 51));
    for _ in 0..5 {
        root = 0.5 * (root + v / root);
    }
    root as f32
}

/// Rounds to the nearest integer, the even one of two; for |v| < 2^22.
#[inline(always)]
pub fn rint(v: f32) -> f32 {
    (v + ROUNDER) - ROUNDER
}

/// The exponential function: 1 at 0, 0 below −87, constant above 88; within 1 ulp.
///
/// The kernels compute the same lane by lane.
pub fn exp(v: f32) -> f32 {
    if v < EXP_MIN {
        return 0.0;
    }
    let v = if EXP_MAX < v { EXP_MAX } else { v };
    let shifted = fma(v, LOG2_E, ROUNDER);
    let n = shifted - ROUNDER;
    let r = fma(n, -LN2_LOW, fma(n, -LN2_HIGH, v));
    let mut p = 0.0;
    for c in EXP {
        p = fma(p, r, c);
    }
    p * f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0_f32.to_bits()))
}

/// The logistic function 1 / (1 + e^−v), the exponent never positive.
///
/// The kernels compute the same lane by lane.
pub fn sigmoid(v: f32) -> f32 {
    let e = exp(-v.abs());
    (if v < 0.0 { e } else { 1.0 }) / (1.0 + e)
}

/// sin(2π·x) / x in powers of x², highest first, |x| ≤ 1/8: relative error 4.6e-12.
const SIN: [f64; 5] = [
    41.469888767829964,
    -76.69777410232808,
    81.60520380697135,
    -41.34170215055444,
    6.283185307150998,
];
/// cos(2π·x) in powers of x², highest first, |x| ≤ 1/8: relative error 6.4e-11.
const COS: [f64; 5] =
    [59.22924360000459, -85.44323627985574, 64.93932184702015, -19.739208681562296, 1.0];

/// Sine and cosine of a phase that counts 2^-64 turns, within 1 ulp of the phase's top
/// 32 bits.
///
/// Only those count: 2^-32 of a turn is below the precision of the result. The nearest
/// quarter turn is taken off first. Evaluated in f64 without fma and rounded once, since
/// not every machine has one.
pub fn sin_cos(phase: u64) -> (f32, f32) {
    let top = (phase >> 32) as u32;
    let quadrant = top.wrapping_add(1 << 29) >> 30;
    // Exact: at most 30 bits.
    let x = f64::from(top.wrapping_sub(quadrant << 30).cast_signed()) / 4_294_967_296.0;
    let x2 = x * x;
    let horner = |coefficients: [f64; 5]| coefficients.iter().fold(0.0, |p, c| p * x2 + c);
    let (sin, cos) = ((horner(SIN) * x) as f32, horner(COS) as f32);
    match quadrant {
        0 => (sin, cos),
        1 => (cos, -sin),
        2 => (-sin, -cos),
        _ => (-cos, sin),
    }
}

/// The value of a half-precision float. NaN stays NaN, with its sign and fraction, made quiet.
#[inline(always)]
pub const fn f16_to_f32(half: u16) -> f32 {
    let (sign, rest) = ((half as u32 & 0x8000) << 16, half as u32 & 0x7fff);
    let magnitude = if rest >= 0x7c00 {
        let quiet = if rest > 0x7c00 { 0x0040_0000 } else { 0 };
        f32::from_bits(0x7f80_0000 | (rest << 13) | quiet)
    } else if rest >= 0x0400 {
        f32::from_bits((rest << 13) + (112 << 23))
    } else {
        // Subnormal: a multiple of 2^-24, exact.
        rest as f32 * (1.0 / 16_777_216.0)
    };
    f32::from_bits(magnitude.to_bits() | sign)
}

/// The nearest half-precision float, the even one of two; subnormals are kept, and what
/// is out of range becomes ±65504. NaN stays NaN, with its sign and the upper bits of its fraction,
/// made quiet: as the instructions of x86 and ARM have it.
#[inline(always)]
pub fn f32_to_f16(v: f32) -> u16 {
    let sign = (v.to_bits() >> 16) as u16 & 0x8000;
    let magnitude = v.abs();
    let half = if magnitude.is_nan() {
        0x7e00 | (v.to_bits() >> 13) as u16 & 0x03ff
    } else if magnitude >= 65504.0 {
        0x7bff
    } else if magnitude < 1.0 / 16384.0 {
        // 0.5 has the same last bit, 2^-24, as the subnormals: the addition rounds.
        ((magnitude + 0.5).to_bits() - 0.5_f32.to_bits()) as u16
    } else {
        let bits = magnitude.to_bits() - (112 << 23);
        // Half of the last bit kept, less one unless that bit is odd: ties go to even.
        ((bits + 0x0fff + (bits >> 13 & 1)) >> 13) as u16
    };
    sign | half
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fma_rounds_once() {
        // Rounding the f64 sum to f32 directly gives 3fb0c1a8.
        assert_eq!(fma(1.664_339_4, 0.013_906_215, 1.357_765_2).to_bits(), 0x3fb0_c1a7);
    }

    #[test]
    fn fma_is_the_fma_of_the_host() {
        let mut seed = 1_u64;
        let mut bits = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 32) as u32
        };
        for _ in 0..2_000_000 {
            let (a, b) = (f32::from_bits(bits()), f32::from_bits(bits()));
            // Near −a·b as often as anywhere: there the sum cancels.
            let c = if bits() & 1 == 0 {
                -(a * b) * (1.0 + f32::EPSILON)
            } else {
                f32::from_bits(bits())
            };
            let (ours, host) = (fma(a, b, c), host_fma(a, b, c));
            assert!(ours.to_bits() == host.to_bits() || ours.is_nan() && host.is_nan());
        }
    }

    fn host_fma(a: f32, b: f32, c: f32) -> f32 {
        extern crate std;
        a.mul_add(b, c)
    }

    #[test]
    fn sqrt_is_correctly_rounded() {
        extern crate std;
        for i in 0..4_000_000_u32 {
            let v = f32::from_bits(i.wrapping_mul(1_073) & 0x7fff_ffff);
            assert!(sqrt(v).to_bits() == v.sqrt().to_bits() || v.is_nan());
        }
    }

    #[test]
    fn exp_is_within_an_ulp() {
        extern crate std;
        assert_eq!((exp(0.0), exp(-0.0), exp(-87.1), exp(f32::NEG_INFINITY)), (1.0, 1.0, 0.0, 0.0));
        assert_eq!(exp(100.0), exp(88.0));
        for i in -870_000..880_000 {
            let v = i as f32 * 1e-4;
            let exact = f64::from(v).exp();
            let ulp =
                f64::from(f32::from_bits((exact as f32).to_bits() + 1)) - f64::from(exact as f32);
            assert!((f64::from(exp(v)) - exact).abs() <= ulp, "{v}");
        }
    }

    #[test]
    fn sin_and_cos_are_within_an_ulp() {
        extern crate std;
        for i in 0..1_000_000_u64 {
            let phase = i.wrapping_mul(0x9e37_79b9_7f4a_7c15) & !0xffff_ffff;
            let turn = phase as f64 / 18_446_744_073_709_551_616.0;
            let (sin, cos) = sin_cos(phase);
            for (ours, exact) in [
                (sin, (turn * core::f64::consts::TAU).sin()),
                (cos, (turn * core::f64::consts::TAU).cos()),
            ] {
                // Near a zero the host's rounding of 2π·turn shows: 1e-15 absolute.
                let ulp = (exact.abs() * 1.2e-7).max(2e-15);
                assert!((f64::from(ours) - exact).abs() <= ulp, "{turn}");
            }
        }
        assert_eq!(sin_cos(0), (0.0, 1.0));
        assert_eq!(sin_cos(1 << 62), (1.0, 0.0));
        assert_eq!(sin_cos(1 << 63), (0.0, -1.0));
    }

    #[test]
    fn halves_come_back() {
        for half in 0..=u16::MAX {
            let v = f16_to_f32(half);
            if v.is_finite() {
                assert_eq!(f32_to_f16(v), half);
            }
        }
        assert_eq!(f32_to_f16(1e9), 0x7bff);
        assert_eq!(f32_to_f16(f32::NEG_INFINITY), 0xfbff);
        // Ties: 1 + 2^-11 lies between 1 and the next half.
        assert_eq!(f32_to_f16(1.0 + 1.0 / 2048.0), 0x3c00);
        assert_eq!(f32_to_f16(1.0 + 3.0 / 2048.0), 0x3c02);
        assert_eq!(f32_to_f16(1.5 / 16_777_216.0), 0x0002);
    }
}
