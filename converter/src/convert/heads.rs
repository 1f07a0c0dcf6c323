//! Fewer key and value heads than the source has: each is the mean of several (arXiv
//! 2305.13245, section 2.1), of their rows and biases.
//!
//! The cache shrinks as the heads do. The paper then trains the model further, for a
//! twentieth of its first training; without that, answers are worse.

use oarlock::internal::format::QkNorm;

use crate::config::description::ModelDescription;
use crate::error::{Error, Result};

/// Makes `heads` key and value heads of those that the model has.
pub fn pool(model: &mut ModelDescription, heads: usize) -> Result<()> {
    let n = model.config.n_kv_heads;
    let refuse =
        |what: String, todo: &str| Err(Error::new(format!("--kv-heads {heads}"), what, todo));
    if heads == 0 || !n.is_multiple_of(heads) {
        let what = format!("the model's {n} key and value heads do not pool into {heads}");
        return refuse(what, "give a divisor of their number");
    }
    if heads == n {
        return Ok(());
    }
    if model.config.qk_norm == QkNorm::Whole {
        let what = format!("{} normalises the keys of all heads as one vector", model.arch);
        return refuse(what, "their mean has another length: leave the heads as they are");
    }
    if model.config.differential && !heads.is_multiple_of(2) {
        let what = format!("{} takes one half of its heads off the other", model.arch);
        return refuse(what, "give an even number");
    }
    model.config.n_kv_heads = heads;
    model.pooled_heads = n / heads;
    model.warnings.push(format!(
        "--kv-heads {heads}: each is the mean of {} heads, and quality drops without further training",
        model.pooled_heads
    ));
    Ok(())
}
