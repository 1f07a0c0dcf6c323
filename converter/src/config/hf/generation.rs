//! `generation_config.json`: the tokens that end an answer, and how the next one is drawn.

use oarlock::Sampling;
use serde_json::Value;

use super::keys::{AGAIN, Keys};
use crate::config::checks::in_range;
use crate::error::{Error, Result};

const GENERATION: &str = "generation_config.json";

/// The ids that end generation, and the sampling defaults.
pub(super) fn generate(
    config: &Keys<'_>,
    generation: Option<&Value>,
    warnings: &mut Vec<String>,
) -> Result<(Vec<u32>, Sampling)> {
    let Some(generation) = generation else {
        return Ok((ids(config)?.unwrap_or_default(), Sampling::default()));
    };
    let keys = Keys::new(GENERATION, generation)?;
    let ends = ids(&keys)?.or(ids(config)?);
    let field = |key: &str, range, default| {
        // Some programs say so that there is none.
        if keys.get(key).is_some_and(|v| *v == "NaN" || *v == -1.0) {
            return Ok(default);
        }
        let value = keys.float(key)?;
        value.map_or(Ok(default), |v| in_range(GENERATION, key, v, range))
    };
    let d = Sampling::default();
    let mut sampling = Sampling {
        temp: field("temperature", 0.0..=1e6, d.temp)?,
        top_k: field("top_k", 0.0..=f64::from(u32::MAX), f64::from(d.top_k))? as u32,
        top_p: field("top_p", 0.0..=1.0, d.top_p)?,
        min_p: field("min_p", 0.0..=1.0, d.min_p)?,
        repeat_penalty: field("repetition_penalty", 1e-6..=1e6, d.repeat_penalty)?,
    };
    // Files written by transformers hold what differs from its defaults, so an explicit
    // false is the authors' word, while a missing key says nothing.
    if keys.bool("do_sample")? == Some(false) {
        sampling.temp = 0.0;
        warnings.push(format!("{GENERATION}: do_sample is false, so the default is --temp 0"));
    }
    Ok((ends.unwrap_or_default(), sampling))
}

/// `eos_token_id`: one, several or none.
fn ids(keys: &Keys<'_>) -> Result<Option<Vec<u32>>> {
    let id = |v: &Value| v.as_u64().and_then(|id| u32::try_from(id).ok());
    let ids = match keys.get("eos_token_id") {
        None => return Ok(None),
        Some(none) if *none == -1 => return Ok(None),
        Some(Value::Array(list)) => list.iter().map(id).collect(),
        Some(one) => id(one).map(|id| vec![id]),
    };
    let what = "eos_token_id is neither an id nor a list of ids";
    ids.map(Some).ok_or_else(|| Error::new(&keys.thing, what, AGAIN))
}
