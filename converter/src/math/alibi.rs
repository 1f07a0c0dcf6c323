//! Slopes of linear biases (arXiv 2108.12409): what a head takes off a score for each token of
//! distance.

/// Computes the slope of each head, `(heads)`: 2^(−max_bias · i / heads) for i = 1, 2, …
///
/// Where `heads` is no power of two, they are those of the next smaller one, and then every other
/// one of the next larger. `max_bias`, a whole number below 1000, is the exponent of the last
/// head. IEEE operations alone make them, so they are the same on every machine.
pub fn alibi_slopes(heads: usize, max_bias: f64) -> Vec<f32> {
    let whole = heads.next_power_of_two();
    if whole == heads {
        return powers(heads, max_bias);
    }
    let (some, more) = (powers(whole / 2, max_bias), powers(whole, max_bias));
    some.into_iter().chain(more.into_iter().step_by(2)).take(heads).collect()
}

/// 2^(−max_bias · i / n) for i = 1 … n, n a power of two: an n-th root is as many square roots.
fn powers(n: usize, max_bias: f64) -> Vec<f32> {
    let mut step = f64::from_bits((1023 - max_bias as u64) << 52);
    let mut power = 1;
    while power < n {
        (step, power) = (step.sqrt(), 2 * power);
    }
    let mut slope = 1.0;
    let next = |_| {
        slope *= step;
        slope as f32
    };
    (0..n).map(next).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_those_of_the_paper() {
        assert_eq!(
            alibi_slopes(8, 8.0),
            [0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125, 0.00390625]
        );
        let eight = alibi_slopes(8, 8.0);
        let twelve = alibi_slopes(12, 8.0);
        assert_eq!(twelve[..8], eight);
        let rest: Vec<f32> = [0.5_f64, 1.5, 2.5, 3.5].iter().map(|e| (-e).exp2() as f32).collect();
        assert_eq!(twelve[8..], rest);
        assert_eq!(alibi_slopes(1, 8.0), [1.0 / 256.0]);
    }
}
