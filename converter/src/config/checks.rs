//! Checks and conversions that both spellings of a config share.

use oarlock::internal::format::{Config, Scale};

use crate::error::{Error, Result};

/// Why an unknown key is refused.
pub(super) const UNKNOWN_KEY: &str =
    "this converter does not know what it changes, so it cannot ignore it";

/// A feature that DeepSeek has since its second version.
pub(super) const LATENT: &str = "latent attention, which is not supported";

const TODO: &str = "the model cannot be right: get it again";

/// The checks that both spellings share; `thing` names the source.
pub(super) fn check(thing: &str, config: &Config) -> Result<()> {
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
pub(super) fn check_rope(thing: &str, rope_theta: f64, rot_dim: usize) -> Result<()> {
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
pub(super) fn factor(thing: impl std::fmt::Display, v: Option<f64>) -> Result<Scale> {
    match v.map(|v| v as f32) {
        None => Ok(Scale::default()),
        Some(v) if v.is_normal() => Ok(Scale(v)),
        Some(_) => Err(Error::new(thing, "it makes no factor that could be multiplied by", TODO)),
    }
}

/// 1 / sqrt(head_dim), by IEEE operations alone.
pub(super) fn score_scale(head_dim: usize) -> f32 {
    (1.0 / (head_dim as f64).sqrt()) as f32
}

/// A field of the sampling defaults, which must lie in `range`.
pub(super) fn in_range(
    thing: &str,
    key: &str,
    v: f64,
    range: std::ops::RangeInclusive<f64>,
) -> Result<f64> {
    if range.contains(&v) {
        return Ok(v);
    }
    let todo = format!("it must lie in {} to {}: correct the file", range.start(), range.end());
    Err(Error::new(thing, format!("{key} is {v}"), todo))
}
