//! Options of each architecture of GGUF, as far as its keys leave them open.

use oarlock::internal::format::{
    Activation, Clamped, Config, Mlp, Norm, Norms, Positions, QkNorm, Residual,
};
use oarlock::internal::format::{Routing, Scale};

use super::keys::{
    EPS, EXPERT_FFN, EXPERTS, EXPERTS_USED, GgufKeys, LOGIT_CAP, PATTERN, SHARED_FFN, WINDOW,
};
use super::names::FALCON_TWO_GGUF;
use crate::config::checks::{factor, score_scale};
use crate::config::description::Gains;
use crate::config::traits::{Traits, alibi};
use crate::error::{Error, Result};

fn scale(keys: &GgufKeys<'_, '_>, key: &str, f: impl Fn(f64) -> f64) -> Result<Scale> {
    factor(keys.name(key), keys.float(key)?.map(f))
}

/// Reads the limit of scores (soft-cap), logits (soft-cap) or q, k and v (clip), if there is one; 0
/// counts as none.
fn limit(keys: &GgufKeys<'_, '_>, key: &str, default: Option<f32>) -> Result<Option<f32>> {
    match keys.float(key)?.map(|v| v as f32) {
        None => Ok(default),
        Some(0.0) => Ok(None),
        Some(v) if v.is_normal() && v > 0.0 => Ok(Some(v)),
        Some(v) => Err(Error::new(keys.name(key), format!("it is {v}"), "get the file again")),
    }
}

fn layer_norm(keys: &GgufKeys<'_, '_>, config: &mut Config) -> Result<()> {
    config.norm = Norm::Layer;
    config.norm_eps = keys.float(EPS)?.unwrap_or(1e-5) as f32;
    Ok(())
}

/// LayerNorm, and no gate.
fn plain(keys: &GgufKeys<'_, '_>, config: &mut Config, activation: Activation) -> Result<Traits> {
    layer_norm(keys, config)?;
    (config.mlp, config.activation) = (Mlp::Plain, activation);
    Ok(Traits::default())
}

/// Layers with a window: all but each `every`th, if the file does not say which; all for 0.
fn windows(keys: &GgufKeys<'_, '_>, config: &mut Config, every: usize) -> Result<Vec<bool>> {
    let Some(window) = keys.size(WINDOW)?.filter(|&n| n > 0) else { return Ok(Vec::new()) };
    let layers = config.n_layers.min(Config::MAX_DIM);
    let listed = keys.get(PATTERN).and_then(|pattern| pattern.as_array());
    let local: Vec<bool> = match listed {
        Some(list) => list.iter().map_while(|is_local| is_local.as_bool()).collect(),
        None => {
            let every = keys.size(PATTERN)?.unwrap_or(every);
            (1..=layers).map(|n| every == 0 || !n.is_multiple_of(every)).collect()
        }
    };
    if local.len() != layers {
        let what = format!("it names {} of {layers} layers", local.len());
        return Err(Error::new(keys.name(PATTERN), what, "get the file again"));
    }
    if !local.contains(&true) {
        return Ok(Vec::new());
    }
    config.window = window;
    Ok(local)
}

/// Experts in the layers that have a router.
fn experts(keys: &GgufKeys<'_, '_>, config: &mut Config, routing: Routing) -> Result<Traits> {
    config.n_experts = keys.need(EXPERTS)?;
    config.n_experts_used = keys.need(EXPERTS_USED)?;
    config.expert_ffn_dim = keys.size(EXPERT_FFN)?.unwrap_or(config.ffn_dim);
    config.routing = routing;
    let mut sparse = vec![false; config.n_layers.min(Config::MAX_DIM)];
    // As many names are looked at as there are tensors, whatever the number of layers says.
    for layer in keys.layers_with(".ffn_gate_inp.weight") {
        if let Some(is_sparse) = sparse.get_mut(layer) {
            *is_sparse = true;
        }
    }
    Ok(Traits { sparse, ..Traits::default() })
}

/// Mixtral too, whose number of experts tells it apart.
pub(super) fn llama(keys: &GgufKeys<'_, '_>, config: &mut Config) -> Result<Traits> {
    match keys.size(EXPERTS)? {
        None | Some(0) => Ok(Traits::default()),
        Some(_) => experts(keys, config, Routing::Chosen),
    }
}

/// Weights are not normalised, as in those that were published: GGUF does not say.
pub(super) fn qwen2moe(keys: &GgufKeys<'_, '_>, config: &mut Config) -> Result<Traits> {
    config.shared_ffn_dim = keys.need(SHARED_FFN)?;
    experts(keys, config, Routing::All)
}

/// Weights are normalised, as in those that were published: GGUF does not say.
pub(super) fn qwen3moe(keys: &GgufKeys<'_, '_>, config: &mut Config) -> Result<Traits> {
    config.qk_norm = QkNorm::Head;
    experts(keys, config, Routing::Chosen)
}

/// Weights are those of a softmax over all experts, as in the one that was published: GGUF does
/// not say.
pub(super) fn olmoe(keys: &GgufKeys<'_, '_>, config: &mut Config) -> Result<Traits> {
    config.qk_norm = QkNorm::Whole;
    experts(keys, config, Routing::All)
}

/// Gates are cut off as in those that were published: GGUF does not say.
pub(super) fn gpt_oss(keys: &GgufKeys<'_, '_>, config: &mut Config) -> Result<Traits> {
    config.clamped = Some(Clamped { slope: 1.702, limit: 7.0 });
    config.sink_logits = true;
    let local = windows(keys, config, 2)?;
    Ok(Traits { local, ..experts(keys, config, Routing::Chosen)? })
}

pub(super) fn qwen3(_: &GgufKeys<'_, '_>, config: &mut Config) -> Result<Traits> {
    config.qk_norm = QkNorm::Head;
    Ok(Traits::default())
}

/// The file does not say which layers are not rotated: all that were published are like this.
pub(super) fn smollm3(_: &GgufKeys<'_, '_>, config: &mut Config) -> Result<Traits> {
    let layers = config.n_layers.min(Config::MAX_DIM);
    let no_rope = (1..=layers).map(|n| n.is_multiple_of(4)).collect();
    Ok(Traits { no_rope, ..Traits::default() })
}

pub(super) fn granite(keys: &GgufKeys<'_, '_>, config: &mut Config) -> Result<Traits> {
    config.embedding_scale = scale(keys, "embedding_scale", |v| v)?;
    config.residual_scale = scale(keys, "residual_scale", |v| v)?;
    config.logit_scale = scale(keys, "logit_scale", |v| 1.0 / v)?;
    Ok(Traits::default())
}

pub(super) fn olmo(keys: &GgufKeys<'_, '_>, config: &mut Config) -> Result<Traits> {
    layer_norm(keys, config)?;
    config.qkv_limit = limit(keys, "attention.clamp_kqv", None)?;
    Ok(Traits { gains: Gains::Ones, ..Traits::default() })
}

pub(super) fn olmo2(_: &GgufKeys<'_, '_>, config: &mut Config) -> Result<Traits> {
    config.norms = Norms::After;
    config.qk_norm = QkNorm::Whole;
    Ok(Traits::default())
}

pub(super) fn stablelm(keys: &GgufKeys<'_, '_>, config: &mut Config) -> Result<Traits> {
    layer_norm(keys, config)?;
    Ok(Traits::default())
}

pub(super) fn command_r(keys: &GgufKeys<'_, '_>, config: &mut Config) -> Result<Traits> {
    layer_norm(keys, config)?;
    config.residual = Residual::Parallel;
    config.logit_scale = scale(keys, "logit_scale", |v| v)?;
    Ok(Traits::default())
}

/// Layers with a window are rotated, the others not.
pub(super) fn cohere2(keys: &GgufKeys<'_, '_>, config: &mut Config) -> Result<Traits> {
    let traits = command_r(keys, config)?;
    let local = windows(keys, config, 4)?;
    if local.is_empty() {
        let todo = "published models have one: get the file again";
        return Err(Error::new(keys.name(WINDOW), "no layer has a window", todo));
    }
    let no_rope = local.iter().map(|is_local| !is_local).collect();
    Ok(Traits { local, no_rope, ..traits })
}

/// Gains have been stored whole.
pub(super) fn gemma(_: &GgufKeys<'_, '_>, config: &mut Config) -> Result<Traits> {
    config.embedding_scale = Scale((config.dim as f64).sqrt() as f32);
    config.activation = Activation::GeluTanh;
    Ok(Traits::default())
}

/// Scores are scaled by the size of a head, but in the model of this many layers, where it is
/// what a head's share of the stream is. (`query_pre_attn_scalar`, which GGUF does not have.)
fn gemma_score_scale(config: &mut Config, layers: usize) {
    if config.n_layers == layers {
        let share = config.dim.checked_div(config.n_heads).unwrap_or(0);
        config.score_scale = score_scale(share);
    }
}

pub(super) fn gemma2(keys: &GgufKeys<'_, '_>, config: &mut Config) -> Result<Traits> {
    let traits = gemma(keys, config)?;
    config.norms = Norms::Both;
    gemma_score_scale(config, 46);
    config.score_cap = limit(keys, "attn_logit_softcapping", Some(50.0))?;
    config.logit_cap = limit(keys, LOGIT_CAP, Some(30.0))?;
    Ok(Traits { local: windows(keys, config, 2)?, ..traits })
}

pub(super) fn gemma3(keys: &GgufKeys<'_, '_>, config: &mut Config) -> Result<Traits> {
    let traits = gemma(keys, config)?;
    config.norms = Norms::Both;
    config.qk_norm = QkNorm::Head;
    gemma_score_scale(config, 62);
    config.logit_cap = limit(keys, LOGIT_CAP, None)?;
    let local = windows(keys, config, 6)?;
    config.local_rope = !local.is_empty();
    Ok(Traits { local, ..traits })
}

pub(super) fn phi2(keys: &GgufKeys<'_, '_>, config: &mut Config) -> Result<Traits> {
    config.residual = Residual::Parallel;
    config.output_bias = true;
    plain(keys, config, Activation::GeluTanh)
}

pub(super) fn phi3(keys: &GgufKeys<'_, '_>, config: &mut Config) -> Result<Traits> {
    Ok(Traits { local: windows(keys, config, 0)?, ..Traits::default() })
}

pub(super) fn gptneox(keys: &GgufKeys<'_, '_>, config: &mut Config) -> Result<Traits> {
    if keys.bool("use_parallel_residual")?.unwrap_or(true) {
        config.residual = Residual::ParallelTwoNorms;
    }
    plain(keys, config, Activation::GeluErf)
}

pub(super) fn gpt2(keys: &GgufKeys<'_, '_>, config: &mut Config) -> Result<Traits> {
    (config.positions, config.rot_dim) = (Positions::Learned, 0);
    plain(keys, config, Activation::GeluTanh)
}

pub(super) fn starcoder2(keys: &GgufKeys<'_, '_>, config: &mut Config) -> Result<Traits> {
    plain(keys, config, Activation::GeluTanh)
}

pub(super) fn falcon(keys: &GgufKeys<'_, '_>, config: &mut Config) -> Result<Traits> {
    if keys.get("tensor_data_layout").is_none_or(|v| v.as_str() != Some("jploski")) {
        let what = "queries, keys and values are not where llama.cpp has them";
        return Err(Error::new(keys.name("tensor_data_layout"), what, "only jploski is known"));
    }
    let traits = plain(keys, config, Activation::GeluErf)?;
    if keys.has_tensor("blk.0.attn_norm_2.weight") {
        config.residual = Residual::ParallelTwoNorms;
        return Ok(Traits { names: Some(&FALCON_TWO_GGUF), ..traits });
    }
    if config.n_kv_heads > 1 {
        let what = "groups of heads and one norm: Falcon 2, whose rotary base GGUF does not have";
        return Err(Error::new(keys.name("attention.head_count_kv"), what, "get safetensors"));
    }
    config.residual = Residual::Parallel;
    Ok(traits)
}

pub(super) fn mpt(keys: &GgufKeys<'_, '_>, config: &mut Config) -> Result<Traits> {
    const MAX_BIAS: &str = "attention.max_alibi_bias";
    let mut traits = plain(keys, config, Activation::GeluErf)?;
    config.qkv_limit = limit(keys, "attention.clamp_kqv", None)?;
    match keys.float(MAX_BIAS)? {
        Some(max) if max > 0.0 && max <= 64.0 && max.fract() == 0.0 => {
            alibi(config, &mut traits, max);
            Ok(traits)
        }
        max => {
            let what = format!("it is {}", max.unwrap_or_default());
            Err(Error::new(keys.name(MAX_BIAS), what, "whole numbers up to 64 are known"))
        }
    }
}

pub(super) fn bloom(keys: &GgufKeys<'_, '_>, config: &mut Config) -> Result<Traits> {
    let mut traits = plain(keys, config, Activation::GeluTanh)?;
    config.embedding_norm = true;
    alibi(config, &mut traits, 8.0);
    Ok(traits)
}

/// Gains have been stored whole.
pub(super) fn nemotron(keys: &GgufKeys<'_, '_>, config: &mut Config) -> Result<Traits> {
    plain(keys, config, Activation::ReluSquared)
}

pub(super) fn glm4(_: &GgufKeys<'_, '_>, config: &mut Config) -> Result<Traits> {
    config.norms = Norms::Both;
    Ok(Traits::default())
}
