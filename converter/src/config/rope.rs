//! Rotary positions in `config.json`.

use serde_json::{Value, json};

use super::families::Family;
use super::hf::FILE;
use super::keys::{AGAIN, Keys};
use super::{Rotary, check_rope};
use crate::error::{Error, Result};
use crate::rope::{Scaling, ln, yarn};

/// What a config says of them.
#[derive(Debug)]
pub(super) struct Ropes {
    /// Elements of a head that are rotated.
    pub rot_dim: usize,
    /// That of all layers, or of those without a window; that of those with one; that of long
    /// contexts.
    pub tables: Vec<Rotary>,
    /// Whether layers with a window have one of their own.
    pub local: bool,
    /// The most context that has the first; 0 where all have.
    pub long_context: usize,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// One of them while it is read.
struct Rope {
    theta: f64,
    rot_dim: usize,
    scaling: Scaling,
    attention_factor: f32,
    /// The most context that is scaled so, and how more is.
    long: Option<(usize, Scaling)>,
    warning: Option<String>,
}

/// Reads them in the spelling of version 5 (`rope_parameters`) or 4.
pub(super) fn ropes(
    keys: &Keys<'_>,
    head_dim: usize,
    context: usize,
    family: &Family,
) -> Result<Ropes> {
    let theta = match keys.float("rope_theta")? {
        None => keys.float("rotary_emb_base")?,
        theta => theta,
    };
    let (name, inner) = parameters(keys)?;
    let empty = json!({});
    let reader = Reader { keys, family, head_dim, context };
    let of = |part: &str| inner.and_then(|v| v.get(part));
    let name = format!("{FILE}: {name}");
    let Some(local_theta) = family.local_theta else {
        let rope = reader.rope(&name, inner.unwrap_or(&empty), theta)?;
        return Ok(Ropes::new(rope));
    };
    let outer = keys.float("rope_local_base_freq")?.unwrap_or(local_theta);
    let whole = of("full_attention").or(inner.filter(|_| of("sliding_attention").is_none()));
    let whole = reader.rope(&name, whole.unwrap_or(&empty), theta)?;
    let local = of("sliding_attention").unwrap_or(&empty);
    let local = reader.rope(&name, local, Some(outer))?;
    let mut ropes = Ropes::new(whole);
    ropes.local = true;
    ropes.tables.insert(
        1,
        Rotary {
            theta: local.theta,
            scaling: local.scaling,
            attention_factor: local.attention_factor,
        },
    );
    Ok(ropes)
}

/// Their object and the key that it has.
fn parameters<'v>(keys: &Keys<'v>) -> Result<(&'static str, Option<&'v Value>)> {
    let (new, old) = (keys.get("rope_parameters"), keys.get("rope_scaling"));
    match (new, old) {
        // Of files that carry both, transformers takes the old one.
        (Some(new), Some(old)) if new != old => {
            let what = "rope_parameters and rope_scaling differ";
            Err(Error::new(FILE, what, "leave the one that is meant"))
        }
        (Some(_), _) => Ok(("rope_parameters", new)),
        (None, _) => Ok(("rope_scaling", old)),
    }
}

impl Ropes {
    fn new(rope: Rope) -> Self {
        let Rope { theta, rot_dim, scaling, attention_factor, long, warning } = rope;
        let table = |scaling| Rotary { theta, scaling, attention_factor };
        let long_context = long.as_ref().map_or(0, |(context, _)| *context);
        let long = long.map(|(_, scaling)| table(scaling));
        Self {
            rot_dim,
            tables: [table(scaling)].into_iter().chain(long).collect(),
            local: false,
            long_context,
            warnings: warning.into_iter().collect(),
        }
    }
}

/// What all tables of a config share.
struct Reader<'r, 'v> {
    keys: &'r Keys<'v>,
    family: &'r Family,
    head_dim: usize,
    context: usize,
}

impl Reader<'_, '_> {
    fn rope(&self, name: &str, value: &Value, theta: Option<f64>) -> Result<Rope> {
        let inner = Keys::new(name, value)?;
        let theta = inner.float("rope_theta")?.or(theta).unwrap_or(self.family.theta);
        let rot_dim = self.rot_dim([self.keys, &inner])?;
        check_rope(FILE, theta, rot_dim)?;
        let (scaling, attention_factor) = (Scaling::None, 1.0);
        let mut rope =
            Rope { theta, rot_dim, scaling, attention_factor, long: None, warning: None };
        scale(&inner, self, &mut rope)?;
        inner.refuse_the_rest(&[])?;
        Ok(rope)
    }

    /// Elements of a head that are rotated; the factor may stand in either place.
    fn rot_dim(&self, places: [&Keys<'_>; 2]) -> Result<usize> {
        let mut rot_dim = self.head_dim;
        if !self.family.rotated {
            return Ok(0);
        }
        if let Some(n) = self.keys.size("rotary_dim")? {
            return Ok(n);
        }
        if let Some(part) = self.family.partial_rotary {
            rot_dim = (self.head_dim as f64 * part) as usize;
        }
        for keys in places {
            for key in ["partial_rotary_factor", "rotary_pct"] {
                if self.family.partial_rotary.is_none() {
                    keys.must_be(key, &[json!(1), json!(1.0)])?;
                } else if let Some(factor) = keys.float(key)? {
                    rot_dim = (self.head_dim as f64 * factor) as usize;
                }
            }
        }
        Ok(rot_dim)
    }
}

fn scale(keys: &Keys<'_>, reader: &Reader<'_, '_>, rope: &mut Rope) -> Result<()> {
    let context = reader.context;
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
        Some("longrope" | "su") => longrope(keys, reader, rope)?,
        _ => {
            let what = format!("rope type {} is not known", kind.unwrap_or(&Value::Null));
            let known = "known: default, linear, dynamic, llama3, yarn, longrope";
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

/// arXiv 2402.13753: what frequencies are divided by is listed, for contexts that the model
/// was first trained for, and for longer ones.
fn longrope(keys: &Keys<'_>, reader: &Reader<'_, '_>, rope: &mut Rope) -> Result<()> {
    const ORIGINAL: &str = "original_max_position_embeddings";
    let original = match keys.size(ORIGINAL)? {
        Some(n) => n,
        None => reader.keys.need(ORIGINAL)?,
    };
    let list = |key| {
        let list = keys.get(key).and_then(Value::as_array);
        let list = list.map(|list| list.iter().map(Value::as_f64).collect::<Option<Vec<_>>>());
        let sound = |list: &Vec<f64>| {
            list.len() == rope.rot_dim / 2 && list.iter().all(|v| v.is_normal() && *v > 0.0)
        };
        let what = format!("{key} is no list of {} positive numbers", rope.rot_dim / 2);
        list.flatten().filter(sound).ok_or_else(|| Error::new(&keys.thing, what, AGAIN))
    };
    let (short, long) = (list("short_factor")?, list("long_factor")?);
    let stretch = match keys.get("factor") {
        Some(_) => positive(keys, "factor")?,
        None => reader.context as f64 / original as f64,
    };
    let grown = (1.0 + ln(stretch) / ln(original as f64)).sqrt();
    let factor = match keys.get("attention_factor") {
        Some(_) => positive(keys, "attention_factor")?,
        None if stretch <= 1.0 => 1.0,
        None => grown,
    };
    if !factor.is_normal() {
        return Err(Error::new(&keys.thing, "no factor can be made of its numbers", AGAIN));
    }
    rope.scaling = Scaling::Divisors(short);
    rope.attention_factor = factor as f32;
    rope.long = Some((original, Scaling::Divisors(long)));
    Ok(())
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
