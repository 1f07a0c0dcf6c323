//! Options of a family that the config section of the file has no place for.

use oarlock::internal::format::{Config, Positions};

use super::description::{Biases, Gains};
use super::names::Names;
use crate::math::alibi::alibi_slopes;

/// Options of a family that the config section of the file has no place for.
#[derive(Debug, Default)]
pub(super) struct Traits {
    pub biases: Biases,
    /// Layers without rotation; those beyond have it.
    pub no_rope: Vec<bool>,
    /// Layers with a window; those beyond have none.
    pub local: Vec<bool>,
    /// Layers with experts; those beyond have none.
    pub sparse: Vec<bool>,
    pub gains: Gains,
    /// ALiBi slopes `(n_heads)`; empty where positions are not linear biases.
    pub slopes: Vec<f32>,
    /// Names of tensors, if not as in all of the family.
    pub names: Option<&'static Names>,
}

/// Distance instead of rotation (arXiv 2108.12409).
pub(super) fn alibi(config: &mut Config, traits: &mut Traits, max_bias: f64) {
    (config.positions, config.rot_dim) = (Positions::Alibi, 0);
    traits.slopes = alibi_slopes(config.n_heads.min(Config::MAX_DIM), max_bias);
}
