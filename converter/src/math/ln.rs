//! Logarithms by IEEE operations alone.

/// The natural logarithm of a positive number, else NaN, by IEEE operations alone: the host's
/// differs between systems.
pub fn ln(v: f64) -> f64 {
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
}
