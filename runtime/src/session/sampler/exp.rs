//! e^x in f64, from operations that IEEE 754 fixes, so that it is the same everywhere.

/// e^x to about one unit in the last place, for `x` ≤ 0: exactly 1 at 0, exactly 0 below
/// −708 (where the result would no longer be a normal number) and for NaN.
///
/// x = n · ln 2 + r with |r| ≤ ln 2 / 2; e^r by its Taylor polynomial of degree 13, whose
/// first missing term is below 2^−57; 2^n put together from bits.
#[inline]
pub(super) fn exp(x: f64) -> f64 {
    /// 1.5 · 2^52: added and taken off again, it rounds to the nearest integer.
    const MAGIC: f64 = 6_755_399_441_055_744.0;
    /// ln 2, its low 32 bits cleared so that n · `LN2_HIGH` is exact, and the rest.
    const LN2_HIGH: f64 = f64::from_bits(0x3FE6_2E42_FEE0_0000);
    const LN2_LOW: f64 = f64::from_bits(0x3DEA_39EF_3579_3C76);
    let shifted = x * core::f64::consts::LOG2_E + MAGIC;
    let n = shifted - MAGIC;
    let r = (x - n * LN2_HIGH) - n * LN2_LOW;
    let polynomial = TAYLOR.iter().fold(0.0, |sum, coefficient| sum * r + coefficient);
    // The low bits of `shifted` are n as an integer; 1023 is the bias of the exponent.
    let power = f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52);
    if x >= -708.0 { polynomial * power } else { 0.0 }
}

/// 1/13! … 1/2!, 1, 1.
const TAYLOR: [f64; 14] = [
    1.0 / 6_227_020_800.0,
    1.0 / 479_001_600.0,
    1.0 / 39_916_800.0,
    1.0 / 3_628_800.0,
    1.0 / 362_880.0,
    1.0 / 40_320.0,
    1.0 / 5_040.0,
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    0.5,
    1.0,
    1.0,
];

#[cfg(test)]
mod tests {
    extern crate std;
    use super::exp;

    #[test]
    fn agrees_with_libm() {
        let mut worst = 0.0_f64;
        for i in 0..708_000 {
            let x = -f64::from(i) / 1000.0;
            let right = x.exp();
            worst = worst.max((exp(x) - right).abs() / right);
        }
        assert!(worst < 4.5e-16, "relative error {worst}");
    }

    #[test]
    fn is_exact_at_the_ends() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-0.0), 1.0);
        for x in [-709.0, -1e300, f64::NEG_INFINITY, f64::NAN] {
            assert_eq!(exp(x), 0.0);
        }
    }
}
