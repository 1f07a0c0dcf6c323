//! How much each column of a matrix matters, where the weights themselves tell.
//!
//! Rounding a weight by e moves a product by e · x, so what a column may lose is weighed by the mean
//! square of its input. One kind of matrix has its inputs' told by another: what `o` reads are means
//! of values, and how large a channel of values is follows from its row of `v` and its bias, taking
//! what enters `v` as independent numbers of size 1. (No other such estimate held on all models: docs/decisions.md.)

use oarlock::format::{Config, Role};

use crate::plan::Planned;

/// Columns that would hardly matter still count this much of the average one: an estimate
/// may be wrong.
const LEAST: f64 = 1e-3;

/// The importance of each column of `tensor`, 1 on average; empty where nothing tells.
pub(crate) fn of_columns(
    tensor: &Planned<'_, '_>,
    planned: &[Planned<'_, '_>],
    config: &Config,
) -> Vec<f32> {
    // Differential attention normalises what it reads of the values: all channels are alike.
    if tensor.spec.role != Role::O || config.differential {
        return Vec::new();
    }
    let of_layer =
        |role| planned.iter().find(|p| p.spec.role == role && p.spec.layer == tensor.spec.layer);
    let Some(v) = of_layer(Role::V) else { return Vec::new() };
    let bias = of_layer(Role::VBias).map(|bias| bias.floats(0)).unwrap_or_default();
    let energy = |row: usize| {
        let bias = bias.get(row).copied().unwrap_or(0.0);
        v.floats(row).iter().chain([&bias]).map(|w| f64::from(*w).powi(2)).sum::<f64>()
    };
    let values: Vec<f64> = (0..v.rows).map(energy).collect();
    // Each head of values is read by as many query heads as share it.
    let group = config.n_heads / config.n_kv_heads.max(1);
    let heads = values.chunks(config.head_dim.max(1));
    relative(&heads.flat_map(|head| head.repeat(group)).collect::<Vec<_>>())
}

/// Divided by their mean; empty if that is no number to divide by.
fn relative(squares: &[f64]) -> Vec<f32> {
    let mean = squares.iter().sum::<f64>() / squares.len() as f64;
    if !mean.is_normal() {
        return Vec::new();
    }
    squares.iter().map(|v| (v / mean).max(LEAST) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn importance_is_relative_and_never_nothing() {
        assert_eq!(relative(&[1.0, 3.0]), [0.5, 1.5]);
        assert_eq!(relative(&[0.0, 4.0]), [1e-3, 2.0]);
        for nothing in [&[][..], &[0.0, 0.0], &[f64::NAN, 1.0], &[f64::INFINITY, 1.0]] {
            assert!(relative(nothing).is_empty());
        }
    }
}
