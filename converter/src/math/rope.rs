//! Rotary frequencies as phases: turns per position, in units of 2⁻⁶⁴ turn.
//!
//! The file stores round(f / 2π · 2⁶⁴) for f = θ^(−2i/d), so that the runtime needs no
//! powers and any position's phase is one wrapping product. The host's `powf` differs
//! between systems; here everything is made of IEEE additions, products and quotients in
//! double-double arithmetic (Dekker 1971: about 106 bits), so each phase is the
//! mathematical value correctly rounded, up to an error of 2⁻³⁰ units in the last place,
//! and the same on every machine.

use super::double::DoubleDouble;

/// Alterations of rotary frequencies.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Scaling {
    /// No alteration.
    #[default]
    None,
    /// Llama 3: low frequencies are divided, high ones are not, smoothly in between.
    Llama3 {
        /// The divisor of low frequencies.
        factor: f64,
        /// Wavelengths longer than the original context over this are low frequencies.
        low_freq_factor: f64,
        /// Wavelengths shorter than the original context over this are high ones.
        high_freq_factor: f64,
        /// Context before the extension.
        original_context: f64,
    },
    /// A divisor for each frequency, `(rot_dim / 2)`: linear scaling, YaRN, and Llama 3's in a GGUF
    /// file.
    Divisors(Vec<f64>),
}

/// The phases of `rot_dim / 2` frequencies to the base `theta`.
pub fn phases(theta: f64, rot_dim: usize, scaling: &Scaling) -> Vec<u64> {
    let half = rot_dim / 2;
    let step = inverse_root(theta, half);
    let mut frequency = DoubleDouble::from(1.0);
    let mut phases = Vec::with_capacity(half);
    for i in 0..half {
        phases.push(phase(scale(frequency, i, scaling) * INV_TAU));
        frequency = frequency * step;
    }
    phases
}

fn scale(f: DoubleDouble, i: usize, scaling: &Scaling) -> DoubleDouble {
    match scaling {
        Scaling::None => f,
        Scaling::Divisors(divisors) => {
            f * divisors.get(i).map_or(DoubleDouble::from(1.0), |&d| DoubleDouble::from(d).recip())
        }
        &Scaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } => {
            let slow = f * DoubleDouble::from(factor).recip();
            // original_context / wavelength
            let turns = (f * INV_TAU).0 * original_context;
            if turns < low_freq_factor {
                slow
            } else if turns > high_freq_factor {
                f
            } else {
                let s = (turns - low_freq_factor) / (high_freq_factor - low_freq_factor);
                slow * DoubleDouble::from(1.0 - s) + f * DoubleDouble::from(s)
            }
        }
    }
}

/// The fraction of a turn, rounded to 2⁻⁶⁴.
fn phase(t: DoubleDouble) -> u64 {
    const UNIT: f64 = 18_446_744_073_709_551_616.0;
    // A power of two scales exactly; the high part then splits into integer and fraction
    // exactly, and what is left is far below one unit.
    let (hi, lo) = (t.0 * UNIT, t.1 * UNIT);
    let whole = hi.floor();
    let rest = (hi - whole) + lo;
    (whole as i128 + (rest + 0.5).floor() as i128) as u64
}

/// θ^(−1/n), by Newton's method on y⁻ⁿ = θ, whose step needs no quotient but by n.
fn inverse_root(theta: f64, n: usize) -> DoubleDouble {
    if n == 0 {
        return DoubleDouble::from(1.0);
    }
    // Below the root the method climbs to it: y ← y + y · (1 − θ·yⁿ) / n.
    let mut y = DoubleDouble::from(1.0);
    while (DoubleDouble::from(theta) * y.powi(n)).0 > 1.0 {
        y = y * DoubleDouble::from(0.5);
    }
    let per = DoubleDouble::from(n as f64).recip();
    // The step at least multiplies the distance by 1 − 1/n until it is small, and squares
    // it from then on.
    for _ in 0..8 * n + 64 {
        let excess = DoubleDouble::from(1.0)
            + DoubleDouble::from(theta) * y.powi(n) * DoubleDouble::from(-1.0);
        y = y + y * excess * per;
    }
    y
}

/// 1 / 2π to 106 bits.
const INV_TAU: DoubleDouble = DoubleDouble(0.159_154_943_091_895_35, -9.839_338_337_591_243e-18);

#[cfg(test)]
mod tests {
    use super::*;

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
