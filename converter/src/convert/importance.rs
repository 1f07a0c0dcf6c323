//! Importance of the columns of a matrix, where the weights themselves tell it.
//!
//! Rounding a weight by e moves a product by e · x, so what a column may lose is weighed by the mean
//! square of its input. The weights tell something of it on the way that values take, not on that of
//! queries, keys and gates (docs/internals/decisions.md has the figures):
//!
//! - what `o` reads are means of values, and how large a channel of values is follows from its row of
//!   `v` and its bias, taking what enters `v` as independent numbers of size 1;
//! - a column of `v`, `up` and `down` that is small meets large inputs: training leaves it so, and a
//!   factor that somebody has folded into the matrix before always does.

use oarlock::internal::format::{Config, Role};

use super::plan::Planned;

/// Columns that would hardly matter still count this much of the average one: an estimate
/// may be wrong.
const MIN_IMPORTANCE: f64 = 1e-3;

/// The importance of each column of `tensor`, in a stack of that of one expert, 1 on average; empty
/// where nothing tells.
pub(crate) fn column_importance(
    tensor: &Planned<'_, '_>,
    expert: usize,
    planned: &[Planned<'_, '_>],
    config: &Config,
) -> Vec<f32> {
    let rows = expert * tensor.rows..(expert + 1) * tensor.rows;
    let own = || squares(rows.map(|row| tensor.floats(row)), tensor.cols);
    match tensor.spec.role {
        // Differential attention normalises what it reads of the values: all channels are alike.
        Role::O if config.differential => Vec::new(),
        Role::O => relative(&values(tensor, planned, config)),
        // By the norm of a column, inverse; of `v` by the root of that: more is worse on some models.
        Role::V => relative(&inverse(&own(), |square| square.sqrt().sqrt())),
        Role::Up | Role::Down | Role::ExpertUp | Role::ExpertDown => {
            relative(&inverse(&own(), f64::sqrt))
        }
        Role::SharedUp | Role::SharedDown => relative(&inverse(&own(), f64::sqrt)),
        _ => Vec::new(),
    }
}

/// Estimates the mean square of each input of `o`, up to a factor.
fn values(o: &Planned<'_, '_>, planned: &[Planned<'_, '_>], config: &Config) -> Vec<f64> {
    let of_layer =
        |role| planned.iter().find(|p| p.spec.role == role && p.spec.layer == o.spec.layer);
    let Some(v) = of_layer(Role::V) else { return Vec::new() };
    let bias = of_layer(Role::VBias).map(|bias| bias.floats(0)).unwrap_or_default();
    let energy = |row: usize| {
        let bias = bias.get(row).copied().unwrap_or(0.0);
        v.floats(row).iter().chain([&bias]).map(|w| f64::from(*w).powi(2)).sum::<f64>()
    };
    let values: Vec<f64> = (0..v.rows).map(energy).collect();
    // Each head of values is read by as many query heads as share it.
    let group = config.n_heads / config.n_kv_heads.max(1);
    values.chunks(config.head_dim.max(1)).flat_map(|head| head.repeat(group)).collect()
}

/// The sum of squares of each column.
fn squares(rows: impl Iterator<Item = Vec<f32>>, cols: usize) -> Vec<f64> {
    rows.fold(vec![0.0; cols], |mut sums, row| {
        sums.iter_mut().zip(row).for_each(|(sum, w)| *sum += f64::from(w).powi(2));
        sums
    })
}

/// One divided by the root of each square; of 0 and what is no number 0, which counts as least. (Roots
/// are the same on every machine, powers are not.)
fn inverse(squares: &[f64], root: impl Fn(f64) -> f64) -> Vec<f64> {
    squares.iter().map(|&v| if v.is_normal() { 1.0 / root(v) } else { 0.0 }).collect()
}

/// Divided by their mean; empty if that is no number to divide by.
fn relative(squares: &[f64]) -> Vec<f32> {
    let mean = squares.iter().sum::<f64>() / squares.len() as f64;
    if !mean.is_normal() {
        return Vec::new();
    }
    squares.iter().map(|v| (v / mean).max(MIN_IMPORTANCE) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_columns_count_for_more() {
        let rows = [vec![2.0, 1.0, 0.0], vec![2.0, 0.0, 0.0]];
        let own = squares(rows.into_iter(), 3);
        assert_eq!(own, [8.0, 1.0, 0.0]);
        assert_eq!(inverse(&[16.0, 1.0, 0.0], f64::sqrt), [0.25, 1.0, 0.0]);
        assert_eq!(inverse(&[16.0, 1.0, f64::NAN], |v| v.sqrt().sqrt()), [0.5, 1.0, 0.0]);
    }

    #[test]
    fn importance_is_relative_and_never_nothing() {
        assert_eq!(relative(&[1.0, 3.0]), [0.5, 1.5]);
        assert_eq!(relative(&[0.0, 4.0]), [1e-3, 2.0]);
        for nothing in [&[][..], &[0.0, 0.0], &[f64::NAN, 1.0], &[f64::INFINITY, 1.0]] {
            assert!(relative(nothing).is_empty());
        }
    }
}
