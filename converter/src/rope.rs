//! Rotary frequencies as phases: turns per position, in units of 2⁻⁶⁴ turn.
//!
//! The file stores round(f / 2π · 2⁶⁴) for f = θ^(−2i/d), so that the runtime needs no
//! powers and any position's phase is one wrapping product. The host's `powf` differs
//! between systems; here everything is made of IEEE additions, products and quotients in
//! double-double arithmetic (Dekker 1971: about 106 bits), so each phase is the
//! mathematical value correctly rounded, up to an error of 2⁻³⁰ units in the last place,
//! and the same on every machine.

use std::ops::{Add, Mul};

/// How a model alters its rotary frequencies.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Scaling {
    /// Not at all.
    #[default]
    None,
    /// Llama 3: low frequencies are divided, high ones are not, smoothly in between.
    Llama3 {
        /// What low frequencies are divided by.
        factor: f64,
        /// Wavelengths longer than the original context over this are low frequencies.
        low_freq_factor: f64,
        /// Wavelengths shorter than the original context over this are high ones.
        high_freq_factor: f64,
        /// Context before the extension.
        original_context: f64,
    },
    /// What each frequency is divided by: linear scaling, YaRN, and Llama 3's in a GGUF file.
    Divisors(Vec<f64>),
}

/// The phases of `rot_dim / 2` frequencies to the base `theta`.
pub fn phases(theta: f64, rot_dim: usize, scaling: &Scaling) -> Vec<u64> {
    let half = rot_dim / 2;
    let step = inverse_root(theta, half);
    let mut frequency = Dd::from(1.0);
    let mut phases = Vec::with_capacity(half);
    for i in 0..half {
        phases.push(turns(scale(frequency, i, scaling) * INV_TAU));
        frequency = frequency * step;
    }
    phases
}

/// What YaRN (arXiv 2309.00071) divides each of `rot_dim / 2` frequencies by, and what it
/// multiplies sine and cosine by.
///
/// Frequencies that turn more often than `turns[0]` in the `original` context stay, those that
/// turn less often than `turns[1]` are divided by `factor`, with a ramp between. With `truncate`
/// its ends are whole numbers of frequencies. `None` if the numbers make none.
pub fn yarn(
    theta: f64,
    rot_dim: usize,
    factor: f64,
    turns: [f64; 2],
    original: f64,
    truncate: bool,
) -> Option<(Vec<f64>, f64)> {
    let frequency = |turns: f64| {
        rot_dim as f64 * ln(original / (turns * std::f64::consts::TAU)) / (2.0 * ln(theta))
    };
    let [mut low, mut high] = turns.map(frequency);
    if !(low.is_finite() && high.is_finite()) {
        return None;
    }
    if truncate {
        (low, high) = (low.floor(), high.ceil());
    }
    (low, high) = (low.max(0.0), high.min(rot_dim as f64 - 1.0));
    if low == high {
        high += 0.001;
    }
    let divisor = |i: usize| {
        let ramp = ((i as f64 - low) / (high - low)).clamp(0.0, 1.0);
        1.0 / (ramp / factor + (1.0 - ramp))
    };
    let mscale = if factor <= 1.0 { 1.0 } else { 0.1 * ln(factor) + 1.0 };
    let divisors: Vec<f64> = (0..rot_dim / 2).map(divisor).collect();
    let sound = |v: &f64| v.is_finite() && *v > 0.0;
    (divisors.iter().all(sound) && sound(&mscale)).then_some((divisors, mscale))
}

/// The natural logarithm of a positive number, else NaN, by IEEE operations alone: the host's
/// differs between systems.
pub(crate) fn ln(v: f64) -> f64 {
    if !(v.is_finite() && v > 0.0) {
        return f64::NAN;
    }
    let (mut v, mut doublings) = (v, 0.0);
    while v > 1.5 {
        (v, doublings) = (v / 2.0, doublings + 1.0);
    }
    while v < 0.75 {
        (v, doublings) = (v * 2.0, doublings - 1.0);
    }
    // 2 artanh z = 2 (z + z³ / 3 + z⁵ / 5 …), |z| ≤ 1 / 5
    let z = (v - 1.0) / (v + 1.0);
    let series = (0..16).rev().fold(0.0, |sum, n| sum * z * z + 1.0 / f64::from(2 * n + 1));
    doublings * std::f64::consts::LN_2 + 2.0 * z * series
}

fn scale(f: Dd, i: usize, scaling: &Scaling) -> Dd {
    match scaling {
        Scaling::None => f,
        Scaling::Divisors(divisors) => {
            f * divisors.get(i).map_or(Dd::from(1.0), |&d| Dd::from(d).recip())
        }
        &Scaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } => {
            let slow = f * Dd::from(factor).recip();
            // original_context / wavelength
            let turns = (f * INV_TAU).0 * original_context;
            if turns < low_freq_factor {
                slow
            } else if turns > high_freq_factor {
                f
            } else {
                let s = (turns - low_freq_factor) / (high_freq_factor - low_freq_factor);
                slow * Dd::from(1.0 - s) + f * Dd::from(s)
            }
        }
    }
}

/// The fraction of a turn, rounded to 2⁻⁶⁴.
fn turns(t: Dd) -> u64 {
    const UNIT: f64 = 18_446_744_073_709_551_616.0;
    // A power of two scales exactly; the high part then splits into integer and fraction
    // exactly, and what is left is far below one unit.
    let (hi, lo) = (t.0 * UNIT, t.1 * UNIT);
    let whole = hi.floor();
    let rest = (hi - whole) + lo;
    (whole as i128 + (rest + 0.5).floor() as i128) as u64
}

/// θ^(−1/n), by Newton's method on y⁻ⁿ = θ, whose step needs no quotient but by n.
fn inverse_root(theta: f64, n: usize) -> Dd {
    if n == 0 {
        return Dd::from(1.0);
    }
    // Below the root the method climbs to it: y ← y + y · (1 − θ·yⁿ) / n.
    let mut y = Dd::from(1.0);
    while (Dd::from(theta) * y.powi(n)).0 > 1.0 {
        y = y * Dd::from(0.5);
    }
    let per = Dd::from(n as f64).recip();
    // The step at least multiplies the distance by 1 − 1/n until it is small, and squares
    // it from then on.
    for _ in 0..8 * n + 64 {
        let excess = Dd::from(1.0) + Dd::from(theta) * y.powi(n) * Dd::from(-1.0);
        y = y + y * excess * per;
    }
    y
}

/// 1 / 2π to 106 bits.
const INV_TAU: Dd = Dd(0.159_154_943_091_895_35, -9.839_338_337_591_243e-18);

/// An unevaluated sum of two f64, the second below half an ulp of the first.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Dd(f64, f64);

impl From<f64> for Dd {
    fn from(v: f64) -> Self {
        Self(v, 0.0)
    }
}

impl Add for Dd {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let (sum, error) = two_sum(self.0, other.0);
        let (low, low_error) = two_sum(self.1, other.1);
        let (sum, error) = fast_two_sum(sum, error + low);
        let (sum, error) = fast_two_sum(sum, error + low_error);
        Self(sum, error)
    }
}

impl Mul for Dd {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let (product, error) = two_product(self.0, other.0);
        let (product, error) = fast_two_sum(product, error + (self.0 * other.1 + self.1 * other.0));
        Self(product, error)
    }
}

impl Dd {
    /// 1 / self, by two Newton steps from the f64 quotient.
    fn recip(self) -> Self {
        let mut y = Self::from(1.0 / self.0);
        for _ in 0..2 {
            y = y + y * (Self::from(1.0) + self * y * Self::from(-1.0));
        }
        y
    }

    fn powi(self, mut n: usize) -> Self {
        let (mut base, mut power) = (self, Self::from(1.0));
        while n > 0 {
            if n & 1 == 1 {
                power = power * base;
            }
            base = base * base;
            n >>= 1;
        }
        power
    }
}

/// a + b and its rounding error (Knuth).
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let virtual_b = sum - a;
    (sum, (a - (sum - virtual_b)) + (b - virtual_b))
}

/// The same for |a| ≥ |b| (Dekker).
fn fast_two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    (sum, b - (sum - a))
}

/// a · b and its rounding error (Dekker, Veltkamp).
fn two_product(a: f64, b: f64) -> (f64, f64) {
    let split = |v: f64| {
        let t = v * 134_217_729.0;
        let high = t - (t - v);
        (high, v - high)
    };
    let product = a * b;
    let ((ah, al), (bh, bl)) = (split(a), split(b));
    (product, ((ah * bh - product) + ah * bl + al * bh) + al * bl)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_logarithms() {
        for v in [1e-30, 0.3, 0.75, 1.0, 1.5, 2.0, 40.0, 10000.0, 5e5, 1e30] {
            assert!((ln(v) - f64::ln(v)).abs() <= 4.0 * f64::EPSILON * f64::ln(v).abs(), "{v}");
        }
        assert!([0.0, -1.0, f64::INFINITY, f64::NAN].into_iter().all(|v| ln(v).is_nan()));
    }

    /// From Python's `decimal` with 80 digits: round(θ^(−i/half) / 2π · 2⁶⁴).
    #[test]
    fn equals_arbitrary_precision() {
        let cases = [
            (10000.0, 32, 0, 2935890503282001226_u64),
            (10000.0, 32, 1, 2201607287645322120_u64),
            (10000.0, 32, 16, 29358905032820012_u64),
            (10000.0, 32, 31, 391507290861132_u64),
            (100000.0, 32, 0, 2935890503282001226_u64),
            (100000.0, 32, 1, 2048754186989806250_u64),
            (100000.0, 32, 16, 9284100951229172_u64),
            (100000.0, 32, 31, 42071679960424_u64),
            (500000.0, 64, 0, 2935890503282001226_u64),
            (500000.0, 64, 1, 2391627000689282720_u64),
            (500000.0, 64, 32, 4151976167383778_u64),
            (500000.0, 64, 63, 7208024532904_u64),
            (1000000.0, 10, 0, 2935890503282001226_u64),
            (1000000.0, 10, 1, 737462351959189126_u64),
            (1000000.0, 10, 5, 2935890503282001_u64),
            (1000000.0, 10, 9, 11687990613165_u64),
            (10000.0, 1, 0, 2935890503282001226_u64),
        ];
        for (theta, half, i, phase) in cases {
            assert_eq!(phases(theta, 2 * half, &Scaling::None)[i], phase, "{theta} {half} {i}");
        }
    }
}
