//! Families with experts.

use std::collections::BTreeSet;

use oarlock::internal::format::{Clamped, Config, QkNorm, Routing};
use serde_json::json;

use super::keys::{AGAIN, FILE, Keys};
use super::shared::{all_or_none, announced, limit, one_window, rms, windows};
use crate::config::description::Biases;
use crate::config::traits::Traits;
use crate::error::{Error, Result};

/// Reads the keys that all of them share. The experts of a token are weighed by a softmax over all,
/// or over the chosen where they are `normalised`.
fn experts(keys: &Keys<'_>, config: &mut Config, ffn_dim: usize, normalised: bool) -> Result<()> {
    // The class of today has both words for one number.
    let words = ["num_local_experts", "num_experts"];
    config.n_experts = keys.need_one(&words)?;
    if keys.size(words[1])?.is_some_and(|n| n != config.n_experts) {
        return Err(Error::new(FILE, format!("{} and {} differ", words[0], words[1]), AGAIN));
    }
    config.n_experts_used = keys.need("num_experts_per_tok")?;
    config.expert_ffn_dim = ffn_dim;
    config.routing = if normalised { Routing::Chosen } else { Routing::All };
    Ok(())
}

/// arXiv 2401.04088.
pub(super) fn mixtral(keys: &Keys<'_>, config: &mut Config, _: &mut Vec<String>) -> Result<Traits> {
    rms(keys, config, 1e-5)?;
    let ffn_dim = config.ffn_dim;
    experts(keys, config, ffn_dim, true)?;
    let local = one_window(keys, config)?;
    Ok(Traits { local, sparse: everywhere(config), ..Traits::default() })
}

/// arXiv 2407.10671: an expert that every token goes through, beside the chosen ones.
pub(super) fn qwen2_moe(
    keys: &Keys<'_>,
    config: &mut Config,
    _: &mut Vec<String>,
) -> Result<Traits> {
    qwen_experts(keys, config)?;
    config.shared_ffn_dim = keys.need("shared_expert_intermediate_size")?;
    let qkv = keys.bool("qkv_bias")?.unwrap_or(true);
    keys.get("max_window_layers");
    if keys.bool("use_sliding_window")? == Some(true) && keys.get("layer_types").is_none() {
        let todo = "versions of transformers differ in which layers have the window: name them";
        return Err(Error::new(FILE, "use_sliding_window without layer_types", todo));
    }
    let local = windows(keys, config, |_| false)?;
    let biases = Biases::Announced { qkv, o: false, mlp: false, norm: false };
    Ok(Traits { biases, local, sparse: some_layers(keys, config)?, ..Traits::default() })
}

/// arXiv 2505.09388.
pub(super) fn qwen3_moe(
    keys: &Keys<'_>,
    config: &mut Config,
    _: &mut Vec<String>,
) -> Result<Traits> {
    qwen_experts(keys, config)?;
    config.qk_norm = QkNorm::Head;
    keys.get("max_window_layers");
    // Qwen3-Coder says that it has nothing of Qwen2-MoE, whose words these are.
    keys.must_be("use_qk_norm", &[json!(true)])?;
    keys.must_be("qkv_bias", &[json!(false)])?;
    keys.must_be("shared_expert_intermediate_size", &[json!(0)])?;
    let used = keys.bool("use_sliding_window")?.unwrap_or(false);
    let local = all_or_none(keys, config, used)?;
    let sparse = some_layers(keys, config)?;
    Ok(Traits { biases: announced(keys)?, local, sparse, ..Traits::default() })
}

/// arXiv 2409.02060.
pub(super) fn olmoe(keys: &Keys<'_>, config: &mut Config, _: &mut Vec<String>) -> Result<Traits> {
    rms(keys, config, 1e-5)?;
    let normalised = keys.bool("norm_topk_prob")?.unwrap_or(false);
    let ffn_dim = config.ffn_dim;
    experts(keys, config, ffn_dim, normalised)?;
    config.qk_norm = QkNorm::Whole;
    config.qkv_limit = limit(keys, "clip_qkv", None)?;
    Ok(Traits { biases: announced(keys)?, sparse: everywhere(config), ..Traits::default() })
}

/// arXiv 2508.10925: gates that are cut off, biases everywhere, a window in every other layer, and
/// heads that may attend to nothing.
pub(super) fn gpt_oss(keys: &Keys<'_>, config: &mut Config, _: &mut Vec<String>) -> Result<Traits> {
    rms(keys, config, 1e-5)?;
    let ffn_dim = config.ffn_dim;
    experts(keys, config, ffn_dim, true)?;
    if keys.size("experts_per_token")?.is_some_and(|n| n != config.n_experts_used) {
        let what = "num_experts_per_tok and experts_per_token differ";
        return Err(Error::new(FILE, what, AGAIN));
    }
    // Said again where frequencies are stretched.
    keys.get("initial_context_length");
    if keys.get("rope_parameters").or(keys.get("rope_scaling")).is_none() {
        let todo = "the class stretches frequencies by YaRN then: give it the published ones";
        return Err(Error::new(FILE, "rope_scaling is missing", todo));
    }
    let number = |key, default| keys.float(key).map(|v| v.unwrap_or(default) as f32);
    let (slope, limit) = (number("swiglu_alpha", 1.702)?, number("swiglu_limit", 7.0)?);
    config.clamped = Some(Clamped { slope, limit });
    config.sink_logits = true;
    let attention = keys.bool("attention_bias")?.unwrap_or(true);
    let biases = Biases::Announced { qkv: attention, o: attention, mlp: true, norm: false };
    let local = windows(keys, config, |layer| layer.is_multiple_of(2))?;
    Ok(Traits { biases, local, sparse: everywhere(config), ..Traits::default() })
}

fn qwen_experts(keys: &Keys<'_>, config: &mut Config) -> Result<()> {
    let normalised = keys.bool("norm_topk_prob")?.unwrap_or(false);
    rms(keys, config, 1e-6)?;
    experts(keys, config, keys.need("moe_intermediate_size")?, normalised)
}

fn everywhere(config: &Config) -> Vec<bool> {
    vec![true; config.n_layers.min(Config::MAX_DIM)]
}

/// Every `decoder_sparse_step`th layer has experts, but for those that the config names.
fn some_layers(keys: &Keys<'_>, config: &mut Config) -> Result<Vec<bool>> {
    let step = keys.size("decoder_sparse_step")?.unwrap_or(1);
    let dense: BTreeSet<usize> = match keys.get("mlp_only_layers") {
        None => BTreeSet::new(),
        Some(list) => serde_json::from_value(list.clone()).map_err(|_| {
            Error::new(FILE, format!("mlp_only_layers is {list}, not a list of layers"), AGAIN)
        })?,
    };
    let is_sparse = |i: usize| step > 0 && (i + 1).is_multiple_of(step) && !dense.contains(&i);
    let sparse: Vec<bool> = (0..config.n_layers.min(Config::MAX_DIM)).map(is_sparse).collect();
    if config.n_experts == 0 || !sparse.contains(&true) {
        let todo = "only models in which some layers have experts are supported";
        return Err(Error::new(FILE, "no layer has experts", todo));
    }
    Ok(sparse)
}
