//! YaRN (arXiv 2309.00071): rotary frequencies for contexts longer than those of training.

use super::ln::ln;

/// Computes what YaRN divides each of `rot_dim / 2` frequencies by, and the factor of sine and
/// cosine.
///
/// Frequencies that turn more often than `rotations[0]` in the `original` context stay, those that
/// turn less often than `rotations[1]` are divided by `factor`, with a ramp between. With `truncate`
/// its ends are whole numbers of frequencies. `None` if the numbers make none.
pub fn yarn(
    theta: f64,
    rot_dim: usize,
    factor: f64,
    rotations: [f64; 2],
    original: f64,
    truncate: bool,
) -> Option<(Vec<f64>, f64)> {
    let frequency = |rotations: f64| {
        rot_dim as f64 * ln(original / (rotations * std::f64::consts::TAU)) / (2.0 * ln(theta))
    };
    let [mut low, mut high] = rotations.map(frequency);
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
