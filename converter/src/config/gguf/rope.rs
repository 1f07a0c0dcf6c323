//! Rotary positions in the metadata and the tensors of a GGUF file.

use oarlock::internal::format::Config;

use super::architecture::Architecture;
use super::keys::{AGAIN, GgufKeys};
use super::names::{ROPE_FREQS, ROPE_LONG, ROPE_SHORT};
use crate::config::checks::check_rope;
use crate::config::description::Rotary;
use crate::error::{Error, Result};
use crate::math::rope::Scaling;
use crate::math::yarn::yarn;
use crate::source::decode::decode;
use crate::source::dtype::Dtype;
use crate::source::gguf::Gguf;

/// The tables of rotary frequencies, in the order of [`ModelDescription::ropes`].
pub(super) fn ropes(
    keys: &GgufKeys<'_, '_>,
    file: &Gguf<'_>,
    architecture: &Architecture,
    config: &mut Config,
) -> Result<Vec<Rotary>> {
    let rot_dim = config.rot_dim;
    let base = |key| -> Result<f64> {
        let theta = keys.float(key)?.unwrap_or(10000.0);
        check_rope("GGUF metadata", theta, rot_dim)?;
        Ok(theta)
    };
    let theta = base("rope.freq_base")?;
    if keys.has_tensor(ROPE_SHORT) {
        return longrope(keys, file, theta, config);
    }
    let (scaling, attention_factor) = scaling(keys, file, theta, rot_dim, architecture.truncated)?;
    let mut ropes = vec![Rotary { theta, scaling, attention_factor }];
    if config.local_rope {
        let theta = base("rope.freq_base_swa")?;
        ropes.push(Rotary { theta, scaling: Scaling::None, attention_factor: 1.0 });
    }
    Ok(ropes)
}

/// Phi-3's: what frequencies are divided by in contexts up to the original one, and beyond.
fn longrope(
    keys: &GgufKeys<'_, '_>,
    file: &Gguf<'_>,
    theta: f64,
    config: &mut Config,
) -> Result<Vec<Rotary>> {
    const FACTOR: &str = "rope.scaling.attn_factor";
    config.long_context = keys.need("rope.scaling.original_context_length")?;
    let factor = keys.float(FACTOR)?.unwrap_or(1.0) as f32;
    if !factor.is_normal() || factor <= 0.0 {
        return Err(Error::new(keys.name(FACTOR), format!("it is {factor}"), AGAIN));
    }
    let table = |name| {
        let scaling = divisors(file, name, config.rot_dim)?;
        Ok(Rotary { theta, scaling, attention_factor: factor })
    };
    [ROPE_SHORT, ROPE_LONG].map(table).into_iter().collect()
}

/// Reads how rotary frequencies are altered, and the factor of sine and cosine.
fn scaling(
    keys: &GgufKeys<'_, '_>,
    file: &Gguf<'_>,
    theta: f64,
    rot_dim: usize,
    truncated: bool,
) -> Result<(Scaling, f32)> {
    let number = |key: &str| {
        let name = keys.name(&format!("rope.scaling.{key}"));
        let v = keys.float(&format!("rope.scaling.{key}"))?;
        v.filter(|&v| v > 0.0).ok_or_else(|| Error::new(name, "not a positive number", AGAIN))
    };
    let kind = keys.get("rope.scaling.type");
    match kind.as_ref().map_or(Some("none"), |kind| kind.as_str()) {
        Some("none") if keys.float("rope.scaling.factor")?.is_none_or(|v| v == 1.0) => {
            Ok((divisors(file, ROPE_FREQS, rot_dim)?, 1.0))
        }
        Some("linear" | "yarn") if file.tensors.contains_key(ROPE_FREQS) => {
            Err(Error::new(ROPE_FREQS, "it is there beside rope.scaling.type", "get one of them"))
        }
        Some("linear") => Ok((Scaling::Divisors(vec![number("factor")?; rot_dim / 2]), 1.0)),
        Some("yarn") => {
            let (factor, original) = (number("factor")?, number("original_context_length")?);
            let turns = |key, default| Ok(keys.float(key)?.unwrap_or(default));
            let fast = turns("rope.scaling.yarn_beta_fast", 32.0)?;
            let slow = turns("rope.scaling.yarn_beta_slow", 1.0)?;
            let made = yarn(theta, rot_dim, factor, [fast, slow], original, truncated);
            let what = "no frequencies can be made of its numbers";
            let (divisors, mscale) =
                made.ok_or_else(|| Error::new(keys.name("rope.scaling"), what, AGAIN))?;
            Ok((Scaling::Divisors(divisors), mscale as f32))
        }
        _ => {
            let what = "it is not known, or none beside a factor";
            let todo = "known: none, linear, yarn";
            Err(Error::new(keys.name("rope.scaling.type"), what, todo))
        }
    }
}

/// Reads the divisor of each rotary frequency, `(rot_dim / 2)`, from the tensor of this name: Llama
/// 3's scaling and Phi-3's, as GGUF has them.
fn divisors(file: &Gguf<'_>, name: &str, rot_dim: usize) -> Result<Scaling> {
    let Some(raw) = file.tensors.get(name) else { return Ok(Scaling::None) };
    if raw.dtype != Dtype::F32 || raw.shape != [rot_dim / 2] {
        let what = format!("{:?} of shape {:?}", raw.dtype, raw.shape);
        return Err(Error::new(name, what, format!("it should be F32 of {}", rot_dim / 2)));
    }
    let mut values = vec![0.0; rot_dim / 2];
    decode(raw.dtype, raw.data, &mut values);
    if values.iter().any(|v| !v.is_finite() || *v <= 0.0) {
        return Err(Error::new(name, "a value is not a positive number", AGAIN));
    }
    Ok(Scaling::Divisors(values.into_iter().map(f64::from).collect()))
}
