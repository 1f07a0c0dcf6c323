//! How much each column of a matrix matters, told from the weights alone.
//!
//! Rounding a weight by e moves a product by e · x, so what a column may lose is weighed by
//! the mean square of its input. Tools that know it have run the model on some text
//! ("importance matrices"); here it is read off the tensors that make the input, taking
//! what enters a norm as equal in all channels and signs as independent:
//!
//! - behind a norm, x² is the square of its gain;
//! - a value has the energy of its row of `v`, and attention mixes values of equal energy;
//! - a gated unit has the product of the energies of its rows of `gate` and `up`.

use oarlock::format::{Config, Role};

use crate::plan::Planned;

/// Columns that would hardly matter still count this much of the average one: an estimate
/// may be wrong.
const LEAST: f64 = 1e-3;

/// The importance of each column of `tensor`, in a stack of that of one expert, 1 on average;
/// empty where nothing tells.
pub(crate) fn of_columns(
    tensor: &Planned<'_, '_>,
    expert: usize,
    planned: &[Planned<'_, '_>],
    config: &Config,
) -> Vec<f32> {
    let around = Around { planned, layer: tensor.spec.layer, expert };
    relative(&around.squares(tensor.spec.role, config).unwrap_or_default())
}

/// Divided by their mean; empty if that is no number to divide by.
fn relative(squares: &[f64]) -> Vec<f32> {
    let mean = squares.iter().sum::<f64>() / squares.len() as f64;
    if !mean.is_normal() {
        return Vec::new();
    }
    squares.iter().map(|v| (v / mean).max(LEAST) as f32).collect()
}

/// The tensors of a layer, and those of none.
struct Around<'p, 't, 'm> {
    planned: &'p [Planned<'t, 'm>],
    layer: Option<u32>,
    /// Which of a stack is meant.
    expert: usize,
}

impl<'p, 't, 'm> Around<'p, 't, 'm> {
    fn tensor(&self, role: Role) -> Option<&'p Planned<'t, 'm>> {
        self.planned.iter().find(|p| p.spec.role == role && p.spec.layer == self.layer)
    }

    /// What the mean square of each input of a matrix is proportional to.
    fn squares(&self, role: Role, config: &Config) -> Option<Vec<f64>> {
        match role {
            Role::Q | Role::K | Role::V => self.gain(Role::AttnNorm),
            Role::Gate | Role::Up => self.gain(Role::FfnNorm).or(self.gain(Role::AttnNorm)),
            Role::ExpertGate | Role::ExpertUp | Role::SharedGate | Role::SharedUp => {
                self.gain(Role::FfnNorm)
            }
            Role::Output | Role::Embedding => {
                Around { layer: None, ..*self }.gain(Role::OutputNorm)
            }
            // All that a norm leaves is alike.
            Role::O if config.differential => None,
            Role::O => {
                let values = self.energies(Role::V, Role::AttnNorm)?;
                let group = config.n_heads / config.n_kv_heads.max(1);
                let heads = values.chunks(config.head_dim.max(1));
                Some(heads.flat_map(|head| head.repeat(group)).collect())
            }
            Role::Down => self.inner([Role::Gate, Role::Up]),
            Role::ExpertDown => self.inner([Role::ExpertGate, Role::ExpertUp]),
            Role::SharedDown => self.inner([Role::SharedGate, Role::SharedUp]),
            _ => None,
        }
    }

    /// The mean square of what lies between the matrices of a feed-forward part.
    fn inner(&self, [gate, up]: [Role; 2]) -> Option<Vec<f64>> {
        let up = self.energies(up, Role::FfnNorm)?;
        let Some(gate) = self.energies(gate, Role::FfnNorm) else { return Some(up) };
        Some(gate.iter().zip(up).map(|(gate, up)| gate * up).collect())
    }

    /// The squares of a norm's gain.
    fn gain(&self, norm: Role) -> Option<Vec<f64>> {
        let norm = self.tensor(norm)?;
        Some(norm.floats(0).iter().map(|g| f64::from(*g).powi(2)).collect())
    }

    /// The mean square of each output of a matrix behind a norm.
    fn energies(&self, matrix: Role, norm: Role) -> Option<Vec<f64>> {
        let (matrix, gain) = (self.tensor(matrix)?, self.gain(norm)?);
        let first = if matrix.spec.role.is_expert() { self.expert * matrix.rows } else { 0 };
        let energy = |i| {
            matrix.floats(first + i).iter().zip(&gain).map(|(w, g)| f64::from(*w).powi(2) * g).sum()
        };
        Some((0..matrix.rows).map(energy).collect())
    }
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
