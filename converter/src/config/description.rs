//! Descriptions of models, in terms of the runtime, whatever the source.

use oarlock::Sampling;
use oarlock::internal::format::{Config, Role};

use super::names::Names;
use crate::math::rope::Scaling;

/// A model, but for its weights and its tokenizer.
#[derive(Debug)]
pub struct ModelDescription {
    /// Dimensions and options.
    pub config: Config,
    /// Key and value heads of the source that one of the file's is the mean of; 1 most often.
    pub pooled_heads: usize,
    /// The architecture's name in the source.
    pub arch: String,
    /// Rotary frequencies, as many tables as [`Config::rope_tables`] says.
    pub ropes: Vec<Rotary>,
    /// Layers whose queries and keys are not rotated; those beyond are.
    pub no_rope: Vec<bool>,
    /// Layers with a window; those beyond have none.
    pub local: Vec<bool>,
    /// Layers with experts; those beyond have none.
    pub sparse: Vec<bool>,
    /// The form in which the gains of its norms are written down.
    pub gains: Gains,
    /// ALiBi slopes `(n_heads)`; empty where positions are not linear biases.
    pub slopes: Vec<f32>,
    /// The biases that it has.
    pub biases: Biases,
    /// The source's names of its tensors.
    pub names: &'static Names,
    /// Whether q and k rows pair (2i, 2i + 1) and not (i, i + rot_dim / 2).
    pub interleaved: bool,
    /// Tokens that end what the model generates.
    pub ends: Vec<u32>,
    /// The sampling that its authors recommend.
    pub sampling: Sampling,
    /// Lines that the user should read.
    pub warnings: Vec<String>,
}

/// A table of rotary frequencies.
#[derive(Clone, Debug)]
pub struct Rotary {
    /// Their base.
    pub theta: f64,
    /// The way in which they are altered.
    pub scaling: Scaling,
    /// The factor of sine and cosine.
    pub attention_factor: f32,
}

/// Forms in which the gains of norms are written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gains {
    /// Stored as they are.
    #[default]
    Plain,
    /// Stored less one.
    LessOne,
    /// Left out: they are one.
    Ones,
}

/// Biases that a model has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Biases {
    /// Those that the config announces.
    Announced {
        /// Those of q, k and v.
        qkv: bool,
        /// The one of o.
        o: bool,
        /// Those of gate, up and down.
        mlp: bool,
        /// Those of the norms.
        norm: bool,
    },
    /// Those that are found among the tensors.
    Found,
}

impl Default for Biases {
    fn default() -> Self {
        Self::Announced { qkv: false, o: false, mlp: false, norm: false }
    }
}

impl Biases {
    /// Whether there should be this one, where there may be any; `found` says if there is.
    pub fn include(self, role: Role, found: bool) -> bool {
        let Self::Announced { qkv, o, mlp, norm } = self else { return found };
        match role {
            Role::QBias | Role::KBias | Role::VBias => qkv,
            Role::OBias => o,
            Role::OutputBias => true,
            Role::GateBias | Role::UpBias | Role::DownBias => mlp,
            Role::RouterBias => mlp,
            Role::ExpertGateBias | Role::ExpertUpBias | Role::ExpertDownBias => mlp,
            _ => norm,
        }
    }
}
