//! Layers whose keys an int8 cache would ruin, told from the biases of queries and keys.
//!
//! 32 elements of a cached key share a scale, and those of a query likewise. Where a bias makes one
//! of them a hundred times as large as the rest (Qwen2.5 has key biases of 211), the step that the
//! scale gives is added to a score by every element, times the other side's bias. Judged is the
//! standard deviation of a score's rounding error if queries and keys were nothing but their biases,
//! at unknown positions. What the model computes on top of them is not known without running it.

use oarlock::internal::format::layout::BLOCK_COLS;
use oarlock::internal::format::{Config, QkNorm, Role};

use super::plan::Planned;

/// The most that such an error may be: a score off by an eighth changes a probability by an eighth.
/// (docs/internals/decisions.md has what came of it on a real model.)
const MAX_ERROR: f64 = 0.125;

/// Variance of a uniform rounding error, in squares of its step.
const VARIANCE: f64 = 1.0 / 12.0;

/// Tells for each layer whether its keys have outliers.
pub(crate) fn key_outliers(planned: &[Planned<'_, '_>], config: &Config) -> Vec<bool> {
    (0..config.n_layers as u32)
        .map(|layer| score_error(planned, config, layer) > MAX_ERROR)
        .collect()
}

/// The error of the scores of a layer in its worst head; 0 where there are no biases, or a norm
/// behind them takes their size away.
fn score_error(planned: &[Planned<'_, '_>], config: &Config, layer: u32) -> f64 {
    let bias = |role| {
        let tensor = planned.iter().find(|p| p.spec.role == role && p.spec.layer == Some(layer));
        tensor.map(|tensor| tensor.floats(0))
    };
    let (Some(q), Some(k)) = (bias(Role::QBias), bias(Role::KBias)) else { return 0.0 };
    if config.qk_norm != QkNorm::None {
        return 0.0;
    }
    let group = config.n_heads / config.n_kv_heads.max(1);
    let head = |of: &[f32], n| sizes(&of[n * config.head_dim..][..config.head_dim], config.rot_dim);
    let errors = (0..config.n_heads).map(|n| {
        let (q, k) = (head(&q, n), head(&k, n / group.max(1)));
        f64::from(config.score_scale) * (error(&q, &k) + error(&k, &q)).sqrt()
    });
    errors.fold(0.0, f64::max)
}

/// Gives the largest size of each element of a head's bias at any position: where two are rotated
/// together, each gets as large as both are.
fn sizes(bias: &[f32], rot_dim: usize) -> Vec<f64> {
    let half = rot_dim / 2;
    let size = |(i, v): (usize, &f32)| match i {
        i if i < half => f64::from(*v).hypot(f64::from(bias[i + half])),
        i if i < 2 * half => f64::from(*v).hypot(f64::from(bias[i - half])),
        _ => f64::from(*v).abs(),
    };
    bias.iter().enumerate().map(size).collect()
}

/// The variance that rounding `rounded` to 8 bits brings into its product with `other`.
fn error(rounded: &[f64], other: &[f64]) -> f64 {
    let blocks = rounded.chunks(BLOCK_COLS).zip(other.chunks(BLOCK_COLS));
    let of_block = |(rounded, other): (&[f64], &[f64])| {
        let step = rounded.iter().copied().fold(0.0, f64::max) / 127.0;
        other.iter().map(|v| v * v).sum::<f64>() * step * step * VARIANCE
    };
    blocks.map(of_block).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_pairs_are_as_large_as_both() {
        assert_eq!(sizes(&[3.0, 1.0, -4.0, 0.0, -7.0], 4), [5.0, 1.0, 5.0, 1.0, 7.0]);
        assert_eq!(sizes(&[3.0, -1.0], 0), [3.0, 1.0]);
    }

    #[test]
    fn an_outlier_costs_what_shares_its_scale() {
        let (mut k, q) = (vec![1.0; 64], vec![1.0; 64]);
        let even = error(&k, &q);
        k[0] = 100.0;
        let with = error(&k, &q);
        // One of the two blocks has steps a hundred times as large.
        assert!((with / even - 5000.5).abs() < 1e-6, "{with} {even}");
    }
}
