//! Rotary positions in `config.json`.

use serde_json::{Value, json};

use super::check_rope;
use super::hf::FILE;
use super::keys::{AGAIN, Keys};
use crate::error::{Error, Result};
use crate::rope::{Scaling, yarn};

/// What a config says of them.
#[derive(Debug)]
pub(super) struct Rope {
    pub theta: f64,
    /// Elements of a head that are rotated.
    pub rot_dim: usize,
    pub scaling: Scaling,
    /// What sine and cosine are multiplied by.
    pub attention_factor: f32,
    /// What the user should know.
    pub warning: Option<String>,
}

/// Reads them in the spelling of version 5 (`rope_parameters`) or 4.
pub(super) fn rope(
    keys: &Keys<'_>,
    head_dim: usize,
    context: usize,
    partial: bool,
) -> Result<Rope> {
    const DEFAULT_THETA: f64 = 10000.0;
    let outer = keys.float("rope_theta")?;
    let (name, inner) = match keys.get("rope_parameters") {
        Some(v) => ("rope_parameters", Some(v)),
        None => ("rope_scaling", keys.get("rope_scaling")),
    };
    // Version 5 files may carry the old key beside the new one.
    keys.get("rope_scaling");
    let empty = json!({});
    let inner = Keys::new(&format!("{FILE}: {name}"), inner.unwrap_or(&empty))?;
    let theta = inner.float("rope_theta")?.or(outer).unwrap_or(DEFAULT_THETA);
    let rot_dim = rot_dim([keys, &inner], head_dim, partial)?;
    check_rope(FILE, theta, rot_dim)?;
    let mut rope =
        Rope { theta, rot_dim, scaling: Scaling::None, attention_factor: 1.0, warning: None };
    scale(&inner, context, &mut rope)?;
    inner.refuse_the_rest(&[])?;
    Ok(rope)
}

/// Elements of a head that are rotated; the factor may stand in either place.
fn rot_dim(places: [&Keys<'_>; 2], head_dim: usize, partial: bool) -> Result<usize> {
    let mut rot_dim = head_dim;
    for keys in places {
        if !partial {
            keys.must_be("partial_rotary_factor", &[json!(1), json!(1.0)])?;
        } else if let Some(factor) = keys.float("partial_rotary_factor")? {
            rot_dim = (head_dim as f64 * factor) as usize;
        }
    }
    Ok(rot_dim)
}

fn scale(keys: &Keys<'_>, context: usize, rope: &mut Rope) -> Result<()> {
    let kind = keys.get("rope_type").or(keys.get("type"));
    keys.get("type");
    match kind.map_or(Some("default"), Value::as_str) {
        Some("default") => {}
        Some("linear") => {
            rope.scaling = Scaling::Divisors(vec![positive(keys, "factor")?; rope.rot_dim / 2]);
        }
        Some("dynamic") => {
            // Up to that context, and no further does the cache reach, it changes nothing.
            positive(keys, "factor")?;
            keys.float("original_max_position_embeddings")?;
            rope.warning = Some(format!(
                "rope type dynamic: positions are not stretched; past {context} tokens the oldest leave the cache"
            ));
        }
        Some("llama3") => rope.scaling = llama3(keys)?,
        Some("yarn") => read_yarn(keys, rope)?,
        _ => {
            let what = format!("rope type {} is not known", kind.unwrap_or(&Value::Null));
            let known = "known: default, linear, dynamic, llama3, yarn";
            return Err(Error::new(&keys.thing, what, known));
        }
    }
    Ok(())
}

fn positive(keys: &Keys<'_>, key: &str) -> Result<f64> {
    match keys.float(key)? {
        Some(v) if v > 0.0 => Ok(v),
        Some(v) => Err(Error::new(&keys.thing, format!("{key} is {v}"), AGAIN)),
        None => Err(Error::new(&keys.thing, format!("{key} is missing"), AGAIN)),
    }
}

fn llama3(keys: &Keys<'_>) -> Result<Scaling> {
    let low_freq_factor = positive(keys, "low_freq_factor")?;
    let high_freq_factor = positive(keys, "high_freq_factor")?;
    if high_freq_factor <= low_freq_factor {
        let what = "high_freq_factor is not above low_freq_factor";
        return Err(Error::new(&keys.thing, what, AGAIN));
    }
    Ok(Scaling::Llama3 {
        factor: positive(keys, "factor")?,
        low_freq_factor,
        high_freq_factor,
        original_context: positive(keys, "original_max_position_embeddings")?,
    })
}

fn read_yarn(keys: &Keys<'_>, rope: &mut Rope) -> Result<()> {
    let or = |key: &str, default| match keys.get(key) {
        Some(_) => positive(keys, key),
        None => Ok(default),
    };
    for key in ["mscale", "mscale_all_dim"] {
        keys.must_be(key, &[json!(0), json!(0.0)])?;
    }
    let truncate = keys.bool("truncate")?.unwrap_or(true);
    let factor = positive(keys, "factor")?;
    let turns = [or("beta_fast", 32.0)?, or("beta_slow", 1.0)?];
    let original = positive(keys, "original_max_position_embeddings")?;
    let (divisors, mscale) = yarn(rope.theta, rope.rot_dim, factor, turns, original, truncate)
        .ok_or_else(|| {
            Error::new(&keys.thing, "no frequencies can be made of its numbers", AGAIN)
        })?;
    rope.scaling = Scaling::Divisors(divisors);
    rope.attention_factor = or("attention_factor", mscale)? as f32;
    Ok(())
}
