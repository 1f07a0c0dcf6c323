//! λ of differential attention (arXiv 2410.05258, section 2.1): a number of the layer, by which
//! the second half of the heads is taken off the first.

use oarlock::internal::math::exp;

/// Gives λ as training begins, of layer `layer` from 0 on: deeper layers have more to take off.
pub fn initial(layer: usize) -> f32 {
    0.8 - 0.6 * exp(-0.3 * layer as f32)
}

/// exp(q1 · k1) − exp(q2 · k2) + the initial λ, of vectors `(head_dim)` each.
pub fn lambda([q1, k1, q2, k2]: [&[f32]; 4], layer: usize) -> f32 {
    let power = |q: &[f32], k: &[f32]| {
        exp(q.iter().zip(k).map(|(q, k)| f64::from(*q) * f64::from(*k)).sum::<f64>() as f32)
    };
    power(q1, k1) - power(q2, k2) + initial(layer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lambda_is_that_of_the_paper() {
        assert!((initial(0) - 0.2).abs() < 1e-7 && (initial(1) - 0.355_509_07).abs() < 1e-6);
        let (half, zero) = ([0.5, -1.0], [0.0; 2]);
        let expected = f32::exp(1.25) - 1.0 + initial(3);
        assert!((lambda([&half, &half, &half, &zero], 3) - expected).abs() < 1e-6);
    }
}
