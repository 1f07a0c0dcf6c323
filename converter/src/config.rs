//! What a model says about itself, in either spelling, as one description.
//!
//! A key that is neither read, nor checked to have the value that changes nothing, nor on
//! the list of harmless ones, is refused: it could change the mathematics.

mod families;
mod gguf;
mod gguf_families;
mod hf;
mod keys;
mod rope;

use oarlock::Sampling;
use oarlock::internal::format::{Config, Role, Scale};

use crate::error::{Error, Result};
use crate::names::Names;
use crate::rope::Scaling;

pub use gguf::from_gguf;
pub use hf::from_hf;

/// Why an unknown key is refused.
const UNKNOWN: &str = "this converter does not know what it changes, so it cannot ignore it";

/// What DeepSeek has since its second version.
const LATENT: &str = "latent attention, which is not supported";

/// A model, but for its weights and its tokenizer.
#[derive(Debug)]
pub struct Description {
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
    /// How its norms are written down.
    pub gains: Gains,
    /// Of linear biases.
    pub slopes: Vec<f32>,
    /// Which biases there are.
    pub biases: Biases,
    /// What the source calls its tensors.
    pub names: &'static Names,
    /// Whether q and k rows pair (2i, 2i + 1) and not (i, i + rot_dim / 2).
    pub interleaved: bool,
    /// Tokens that end what the model generates.
    pub ends: Vec<u32>,
    /// The sampling that its authors recommend.
    pub sampling: Sampling,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// A table of rotary frequencies.
#[derive(Clone, Debug)]
pub struct Rotary {
    /// Their base.
    pub theta: f64,
    /// How they are altered.
    pub scaling: Scaling,
    /// What sine and cosine are multiplied by.
    pub attention_factor: f32,
}

/// How the gains of norms are written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gains {
    /// As they are.
    #[default]
    Plain,
    /// Less one.
    LessOne,
    /// Not at all: they are one.
    Ones,
}

/// Which biases a model has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Biases {
    /// Those that the config announces.
    Announced {
        /// Of q, k and v.
        qkv: bool,
        /// Of o.
        o: bool,
        /// Of gate, up and down.
        mlp: bool,
        /// Of the norms.
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

const TODO: &str = "the model cannot be right: get it again";

/// The checks that both spellings share; `thing` names the source.
fn check(thing: &str, config: &Config) -> Result<()> {
    if config.n_kv_heads != 0 && !config.n_heads.is_multiple_of(config.n_kv_heads) {
        let what = format!(
            "{} attention heads cannot share {} key and value heads",
            config.n_heads, config.n_kv_heads
        );
        return Err(Error::new(thing, what, TODO));
    }
    config.check().map_err(|e| Error::new(thing, e, TODO))
}

/// Whether frequencies can be made of these, before as many are.
fn check_rope(thing: &str, rope_theta: f64, rot_dim: usize) -> Result<()> {
    if rot_dim > Config::MAX_DIM {
        return Err(Error::new(thing, format!("a head_dim of at least {rot_dim}"), TODO));
    }
    if rope_theta.is_finite() && (1.0..1e30).contains(&rope_theta) {
        Ok(())
    } else {
        Err(Error::new(thing, format!("a rope theta of {rope_theta}"), TODO))
    }
}

/// A factor that the model has or has not.
fn factor(thing: impl std::fmt::Display, v: Option<f64>) -> Result<Scale> {
    match v.map(|v| v as f32) {
        None => Ok(Scale::default()),
        Some(v) if v.is_normal() => Ok(Scale(v)),
        Some(_) => Err(Error::new(thing, "it makes no factor that could be multiplied by", TODO)),
    }
}

/// 1 / sqrt(head_dim), by IEEE operations alone.
fn score_scale(head_dim: usize) -> f32 {
    (1.0 / (head_dim as f64).sqrt()) as f32
}

/// A field of the sampling defaults, which must lie in `range`.
fn in_range(thing: &str, key: &str, v: f64, range: std::ops::RangeInclusive<f64>) -> Result<f64> {
    if range.contains(&v) {
        return Ok(v);
    }
    let todo = format!("it must lie in {} to {}: correct the file", range.start(), range.end());
    Err(Error::new(thing, format!("{key} is {v}"), todo))
}
