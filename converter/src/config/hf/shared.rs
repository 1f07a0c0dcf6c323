//! Keys that several families read in the same words.

use oarlock::internal::format::{Config, Mlp, Norm, Scale};
use serde_json::{Value, json};

use super::keys::{AGAIN, FILE, Keys};
use crate::config::checks::factor;
use crate::config::description::Biases;
use crate::config::traits::Traits;
use crate::error::{Error, Result};

/// RMSNorm, whose epsilon is `eps` where the config says nothing.
pub(super) fn rms(keys: &Keys<'_>, config: &mut Config, eps: f64) -> Result<()> {
    config.norm_eps = keys.float("rms_norm_eps")?.unwrap_or(eps) as f32;
    Ok(())
}

/// LayerNorm, whose epsilon has this key.
pub(super) fn layer_norm(keys: &Keys<'_>, config: &mut Config, eps: &str) -> Result<()> {
    config.norm = Norm::Layer;
    config.norm_eps = keys.float(eps)?.unwrap_or(1e-5) as f32;
    Ok(())
}

/// Biases of everything.
pub(super) const ALL: Biases = Biases::Announced { qkv: true, o: true, mlp: true, norm: true };

/// Options that the older families share: LayerNorm, and no gate.
pub(super) fn plain(keys: &Keys<'_>, config: &mut Config, eps: &str) -> Result<Traits> {
    layer_norm(keys, config, eps)?;
    config.mlp = Mlp::Plain;
    Ok(Traits { biases: ALL, ..Traits::default() })
}

/// Keys that must be false, and are where they are not there.
pub(super) fn must_not(keys: &Keys<'_>, names: &[&str]) -> Result<()> {
    names.iter().try_for_each(|key| keys.must_be(key, &[json!(false)]))
}

pub(super) fn announced(keys: &Keys<'_>) -> Result<Biases> {
    let attention = keys.bool("attention_bias")?.unwrap_or(false);
    let mlp = keys.bool("mlp_bias")?.unwrap_or(false);
    Ok(Biases::Announced { qkv: attention, o: attention, mlp, norm: false })
}

pub(super) fn scale(keys: &Keys<'_>, key: &str, f: impl Fn(f64) -> f64) -> Result<Scale> {
    factor(format_args!("{FILE}: {key}"), keys.float(key)?.map(f))
}

/// Reads which layers have the window that the config gives; where it does not list their kinds,
/// those for which `is_local` is true of their number, from 0 on.
pub(super) fn windows(
    keys: &Keys<'_>,
    config: &mut Config,
    is_local: impl Fn(usize) -> bool,
) -> Result<Vec<bool>> {
    let window = keys.size("sliding_window")?;
    let local: Vec<bool> = match keys.get("layer_types") {
        Some(Value::Array(types)) => types.iter().map(is_sliding).collect::<Result<_>>()?,
        _ => (0..config.n_layers.min(Config::MAX_DIM)).map(is_local).collect(),
    };
    if local.len() != config.n_layers {
        let what = format!("layer_types names {} of {} layers", local.len(), config.n_layers);
        return Err(Error::new(FILE, what, AGAIN));
    }
    if !local.contains(&true) {
        return Ok(Vec::new());
    }
    let missing = || Error::new(FILE, "sliding_window is missing or 0", AGAIN);
    config.window = window.filter(|&n| n > 0).ok_or_else(missing)?;
    Ok(local)
}

/// A window in all layers or in none: what the classes read is whether there is a window. Kinds
/// of layers, which they do not read, must not say otherwise.
pub(super) fn one_window(keys: &Keys<'_>, config: &mut Config) -> Result<Vec<bool>> {
    all_or_none(keys, config, keys.get("sliding_window").is_some())
}

/// The same, where something else says whether there is a window.
pub(super) fn all_or_none(
    keys: &Keys<'_>,
    config: &mut Config,
    has_window: bool,
) -> Result<Vec<bool>> {
    let local = windows(keys, config, |_| has_window)?;
    if local.contains(&false) || has_window == local.is_empty() {
        let what = "layer_types says another thing than sliding_window, by which all layers go";
        return Err(Error::new(FILE, what, "correct it, or leave it out"));
    }
    Ok(local)
}

fn is_sliding(kind: &Value) -> Result<bool> {
    match kind.as_str() {
        Some("full_attention") => Ok(false),
        Some("sliding_attention") => Ok(true),
        _ => {
            let known = "known: full_attention, sliding_attention";
            Err(Error::new(FILE, format!("layer_types has {kind}"), known))
        }
    }
}

/// Reads the limit of scores or logits (soft-cap), or of q, k and v (clip); `default` where the key
/// is not there at all.
pub(super) fn limit(keys: &Keys<'_>, key: &str, default: Option<f32>) -> Result<Option<f32>> {
    if !keys.has(key) {
        return Ok(default);
    }
    match keys.float(key)?.map(|v| v as f32) {
        Some(v) if !(v.is_normal() && v > 0.0) => {
            Err(Error::new(FILE, format!("{key} is {v}"), AGAIN))
        }
        cap => Ok(cap),
    }
}
