//! Rotary positions in `config.json`.

use serde_json::{Value, json};

use super::family::Family;
use super::keys::{FILE, Keys, PARTIAL_ROTARY_FACTOR, ROPE_THETA};
use super::rope_scaling::{Rope, scale};
use crate::config::checks::check_rope;
use crate::config::description::Rotary;
use crate::error::{Error, Result};

/// Rotary positions as a config describes them.
#[derive(Debug)]
pub(super) struct Ropes {
    /// Elements of a head that are rotated.
    pub rot_dim: usize,
    /// Tables of all layers, or of those without a window; of those with one; of long contexts.
    pub tables: Vec<Rotary>,
    /// Whether layers with a window have one of their own.
    pub local: bool,
    /// The most context that has the first; 0 where all have.
    pub long_context: usize,
    /// Lines that the user should read.
    pub warnings: Vec<String>,
}

/// Reads them in the spelling of version 5 (`rope_parameters`) or 4.
pub(super) fn ropes(
    keys: &Keys<'_>,
    head_dim: usize,
    context: usize,
    family: &Family,
) -> Result<Ropes> {
    if !family.rotated || family.rotary_dim.is_some() {
        // Such a class reads no other key, so that others are unknown.
        return Ok(Ropes::new(Rope::plain(family.theta, rotary_dim(keys, family)?)));
    }
    let theta = keys.float(family.base)?;
    agree(keys, family.base, ROPE_THETA, theta.unwrap_or(family.theta))?;
    let (name, inner) = parameters(keys)?;
    let empty = json!({});
    let reader = RopeReader { keys, family, head_dim, context };
    let name = format!("{FILE}: {name}");
    let Some(local_theta) = family.local_theta else {
        let rope = reader.rope(&name, inner.unwrap_or(&empty), theta)?;
        return Ok(Ropes::new(rope));
    };
    let outer = keys.float("rope_local_base_freq")?.unwrap_or(local_theta);
    let (whole, local) = by_kind(&name, inner)?;
    let whole = reader.rope(&name, whole.unwrap_or(&empty), theta)?;
    let local = reader.rope(&name, local.unwrap_or(&empty), Some(outer))?;
    let mut ropes = Ropes::new(whole);
    ropes.local = true;
    ropes.warnings.extend(local.warnings);
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

/// Elements of a head that are rotated, of a family that says no more.
fn rotary_dim(keys: &Keys<'_>, family: &Family) -> Result<usize> {
    const KEY: &str = "rotary_dim";
    match family.rotary_dim {
        None => Ok(0),
        Some(n) if !keys.has(KEY) => Ok(n),
        // Null would mean all, by a table of frequencies that is as long as the hidden vector.
        Some(_) => keys.need(KEY),
    }
}

/// Refuses another key for a number that the family calls `own`, unless it says the same: the
/// class reads its own alone, and has written both.
fn agree(keys: &Keys<'_>, own: &str, other: &str, number: f64) -> Result<()> {
    if own == other || keys.float(other)?.is_none_or(|v| v == number) {
        return Ok(());
    }
    let what = format!("{other} is not {own}, which is {number}");
    Err(Error::new(FILE, what, format!("the class reads {own} alone: leave {other} out")))
}

/// The object of all layers, or of those without a window, and of those with one.
///
/// `rope_parameters` has one for each kind; `rope_scaling`, which is older, is that of layers
/// without a window.
fn by_kind<'v>(
    name: &str,
    inner: Option<&'v Value>,
) -> Result<(Option<&'v Value>, Option<&'v Value>)> {
    let Some(value) = inner else { return Ok((None, None)) };
    if name.ends_with(OLD) {
        return Ok((inner, None));
    }
    let kinds = Keys::new(name, value)?;
    let both = (kinds.get("full_attention"), kinds.get("sliding_attention"));
    kinds.refuse_the_rest(&[])?;
    Ok(both)
}

const OLD: &str = "rope_scaling";

/// Their object and the key that it has.
fn parameters<'v>(keys: &Keys<'v>) -> Result<(&'static str, Option<&'v Value>)> {
    let (new, old) = (keys.get("rope_parameters"), keys.get(OLD));
    match (new, old) {
        // Of files that carry both, transformers takes the old one.
        (Some(new), Some(old)) if new != old => {
            let what = "rope_parameters and rope_scaling differ";
            Err(Error::new(FILE, what, "leave the one that is meant"))
        }
        (Some(_), _) => Ok(("rope_parameters", new)),
        (None, _) => Ok((OLD, old)),
    }
}

impl Ropes {
    fn new(rope: Rope) -> Self {
        let Rope { theta, rot_dim, scaling, attention_factor, long, warnings } = rope;
        let table = |scaling| Rotary { theta, scaling, attention_factor };
        let long_context = long.as_ref().map_or(0, |(context, _)| *context);
        let long = long.map(|(_, scaling)| table(scaling));
        Self {
            rot_dim,
            tables: [table(scaling)].into_iter().chain(long).collect(),
            local: false,
            long_context,
            warnings,
        }
    }
}

/// Reads objects of rotary positions, with what all of a config share.
struct RopeReader<'r, 'v> {
    keys: &'r Keys<'v>,
    family: &'r Family,
    head_dim: usize,
    context: usize,
}

impl RopeReader<'_, '_> {
    fn rope(&self, name: &str, value: &Value, theta: Option<f64>) -> Result<Rope> {
        let inner = Keys::new(name, value)?;
        let theta = inner.float(ROPE_THETA)?.or(theta).unwrap_or(self.family.theta);
        let rot_dim = self.rot_dim(&inner)?;
        check_rope(FILE, theta, rot_dim)?;
        let mut rope = Rope::plain(theta, rot_dim);
        scale(&inner, self.keys, self.context, &mut rope)?;
        inner.refuse_the_rest(&[])?;
        Ok(rope)
    }

    /// Elements of a head that are rotated; the factor may stand in either place.
    fn rot_dim(&self, inner: &Keys<'_>) -> Result<usize> {
        let Some(part) = self.family.partial_rotary else {
            let all = [json!(1), json!(1.0)];
            inner.must_be(PARTIAL_ROTARY_FACTOR, &all)?;
            for key in [PARTIAL_ROTARY_FACTOR, "rotary_pct"] {
                self.keys.must_be(key, &all)?;
            }
            return Ok(self.head_dim);
        };
        let own = self.family.part;
        let outer = self.keys.float(own)?.unwrap_or(part);
        agree(self.keys, own, PARTIAL_ROTARY_FACTOR, outer)?;
        let part = inner.float(PARTIAL_ROTARY_FACTOR)?.unwrap_or(outer);
        Ok((self.head_dim as f64 * part) as usize)
    }
}
