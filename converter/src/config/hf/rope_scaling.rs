//! Alterations of rotary frequencies in `config.json`: linear, Llama 3's, YaRN, LongRoPE.

use serde_json::Value;

use super::keys::{AGAIN, Keys};
use crate::error::{Error, Result};
use crate::math::ln::ln;
use crate::math::rope::Scaling;
use crate::math::yarn::yarn;

/// Rotary positions of some layers while they are read.
pub(super) struct Rope {
    /// The base of the frequencies.
    pub theta: f64,
    /// Elements of a head that are rotated.
    pub rot_dim: usize,
    pub scaling: Scaling,
    /// The factor of sine and cosine.
    pub attention_factor: f32,
    /// The most context that is scaled so, and how more is.
    pub long: Option<(usize, Scaling)>,
    /// Lines that the user should read.
    pub warnings: Vec<String>,
}

impl Rope {
    /// Frequencies as they are made of their base.
    pub fn plain(theta: f64, rot_dim: usize) -> Self {
        let (scaling, attention_factor) = (Scaling::None, 1.0);
        Self { theta, rot_dim, scaling, attention_factor, long: None, warnings: Vec::new() }
    }
}

/// Reads into `rope` how its frequencies are altered. `keys` are those of its own object, `outer`
/// those of the config, `context` the tokens that the model was trained for.
pub(super) fn scale(
    keys: &Keys<'_>,
    outer: &Keys<'_>,
    context: usize,
    rope: &mut Rope,
) -> Result<()> {
    let kind = keys.get("rope_type").or(keys.get("type"));
    keys.get("type");
    // Sections of frequencies that go by other positions in pictures: in texts all are the same.
    keys.get("mrope_section");
    keys.get("mrope_interleaved");
    keys.get("finetuned");
    match kind.map_or(Some("default"), Value::as_str) {
        Some("default" | "mrope") => {}
        Some("linear") => {
            rope.scaling = Scaling::Divisors(vec![positive(keys, "factor")?; rope.rot_dim / 2]);
        }
        Some("dynamic") => {
            // Up to that context, and no further does the cache reach, it changes nothing.
            positive(keys, "factor")?;
            keys.float(ORIGINAL)?;
            rope.warnings.push(format!(
                "rope type dynamic: positions are not stretched; past {context} tokens the oldest leave the cache"
            ));
        }
        Some("llama3") => rope.scaling = llama3(keys, outer, context)?,
        Some("yarn") => read_yarn(keys, outer, context, rope)?,
        Some("longrope" | "su") => longrope(keys, outer, context, rope)?,
        _ => {
            let what = format!("rope type {} is not known", kind.unwrap_or(&Value::Null));
            let known = "known: default, linear, dynamic, llama3, yarn, longrope";
            return Err(Error::new(&keys.thing, what, known));
        }
    }
    warn_of_ignored(keys, rope);
    Ok(())
}

/// Names what transformers ignores as well, so that nobody believes it is followed.
fn warn_of_ignored(keys: &Keys<'_>, rope: &mut Rope) {
    let ignored = keys.take_unread(IGNORED);
    if ignored.is_empty() {
        return;
    }
    let choice = match ignored.contains(&ATTN_FACTOR) {
        true => {
            " (others multiply sine and cosine by attn_factor: give attention_factor the product for that)"
        }
        false => "",
    };
    let (thing, ignored) = (&keys.thing, ignored.join(", "));
    rope.warnings.push(format!(
        "{thing}: {ignored} ignored with this rope type, as in transformers{choice}"
    ));
}

const ATTN_FACTOR: &str = "attn_factor";

/// Keys that some rope type reads, in transformers or elsewhere: with another they say nothing.
const IGNORED: &[&str] = &[
    "alpha",
    "attention_factor",
    ATTN_FACTOR,
    "beta_fast",
    "beta_slow",
    "extrapolation_factor",
    "factor",
    "high_freq_factor",
    "long_factor",
    "long_mscale",
    "low_freq_factor",
    "mscale",
    "mscale_all_dim",
    ORIGINAL,
    "short_factor",
    "short_mscale",
    "truncate",
];

const ORIGINAL: &str = "original_max_position_embeddings";

/// The context before it was stretched: as in transformers the config's own word counts before that
/// of the rope's, and the context of the model is what counts without.
fn original(keys: &Keys<'_>, outer: &Keys<'_>, context: usize) -> Result<f64> {
    let inner = keys.get(ORIGINAL).map(|_| positive(keys, ORIGINAL)).transpose()?;
    let outer = outer.get(ORIGINAL).map(|_| positive(outer, ORIGINAL)).transpose()?;
    Ok(outer.or(inner).unwrap_or(context as f64))
}

fn positive(keys: &Keys<'_>, key: &str) -> Result<f64> {
    match keys.float(key)? {
        Some(v) if v > 0.0 => Ok(v),
        Some(v) => Err(Error::new(&keys.thing, format!("{key} is {v}"), AGAIN)),
        None => Err(Error::new(&keys.thing, format!("{key} is missing"), AGAIN)),
    }
}

fn llama3(keys: &Keys<'_>, outer: &Keys<'_>, context: usize) -> Result<Scaling> {
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
        original_context: original(keys, outer, context)?,
    })
}

/// arXiv 2402.13753: what frequencies are divided by is listed, for contexts that the model
/// was first trained for, and for longer ones.
fn longrope(keys: &Keys<'_>, outer: &Keys<'_>, context: usize, rope: &mut Rope) -> Result<()> {
    let original = original(keys, outer, context)?;
    if original.fract() != 0.0 {
        let what = format!("{ORIGINAL} is {original}, not a whole number");
        return Err(Error::new(&keys.thing, what, AGAIN));
    }
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
        None => context as f64 / original,
    };
    let grown = (1.0 + ln(stretch) / ln(original)).sqrt();
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
    rope.long = Some((original as usize, Scaling::Divisors(long)));
    Ok(())
}

/// arXiv 2309.00071.
fn read_yarn(keys: &Keys<'_>, outer: &Keys<'_>, context: usize, rope: &mut Rope) -> Result<()> {
    // Zero counts as none, as in transformers.
    let or = |key: &str, default| match keys.float(key)?.filter(|&v| v != 0.0) {
        Some(_) => positive(keys, key),
        None => Ok(default),
    };
    let truncate = keys.bool("truncate")?.unwrap_or(true);
    let original = original(keys, outer, context)?;
    // There, but null, it is what the context grew by.
    let is_null = keys.has("factor") && keys.get("factor").is_none();
    let factor = if is_null { context as f64 / original } else { positive(keys, "factor")? };
    let turns = [or("beta_fast", 32.0)?, or("beta_slow", 1.0)?];
    let unsound = || Error::new(&keys.thing, "no frequencies can be made of its numbers", AGAIN);
    let (divisors, own) =
        yarn(rope.theta, rope.rot_dim, factor, turns, original, truncate).ok_or_else(unsound)?;
    let [scale, all] = [or("mscale", 0.0)?, or("mscale_all_dim", 0.0)?];
    let grown = |by: f64| if factor <= 1.0 { 1.0 } else { 0.1 * by * ln(factor) + 1.0 };
    let mscale = if scale > 0.0 && all > 0.0 { grown(scale) / grown(all) } else { own };
    rope.scaling = Scaling::Divisors(divisors);
    rope.attention_factor = match keys.get("attention_factor") {
        Some(_) => positive(keys, "attention_factor")?,
        None => mscale,
    } as f32;
    Ok(())
}
