//! What sets the architectures of GGUF apart from each other, as far as its keys leave it open.

use oarlock::internal::format::{
    Activation, Clamped, Config, Mlp, Norm, Norms, Positions, QkNorm, Residual,
};
use oarlock::internal::format::{Routing, Scale};

use super::factor;
use super::families::Traits;
use super::families::shared::linear_biases;
use super::gguf::Keys;
use crate::error::{Error, Result};
use crate::names::{
    FALCON_TWO_GGUF, GATE_UP_GGUF, GPT_OSS_GGUF, LLAMA_GGUF, Names, QKV_GATE_UP_GGUF, QKV_GGUF,
};

/// A family, by its name in GGUF.
pub(super) struct Family {
    pub arch: &'static str,
    /// Keys that it does not share with others.
    pub reads: &'static [&'static str],
    /// Whether elements (2i, 2i + 1) are rotated together: rows of q and k were reordered for
    /// it when the file was made, or the model is so by itself.
    pub interleaved: bool,
    /// What its tensors are called where q, k and v are apart, and where they are one.
    pub names: [&'static Names; 2],
    /// Whether YaRN's ramp begins and ends at whole numbers of frequencies.
    pub truncated: bool,
    /// What the file does not say of published models, and the user should know.
    pub warning: Option<&'static str>,
    /// Sets the family's options.
    pub traits: fn(&Keys<'_, '_>, &mut Config) -> Result<Traits>,
}

const LLAMA: Family = Family {
    arch: "llama",
    reads: &[],
    interleaved: true,
    names: [&LLAMA_GGUF, &QKV_GGUF],
    truncated: true,
    warning: None,
    traits: |_, _| Ok(Traits::default()),
};
/// Where nothing was reordered, halves of a head are rotated together.
const HALVES: Family = Family { interleaved: false, ..LLAMA };
const EPS: &str = "attention.layer_norm_epsilon";
const LOGIT_CAP: &str = "final_logit_softcapping";
const WINDOW: &str = "attention.sliding_window";
const PATTERN: &str = "attention.sliding_window_pattern";

const COUNT: &str = "expert_count";
const USED: &str = "expert_used_count";
const INNER: &str = "expert_feed_forward_length";
const SHARED: &str = "expert_shared_feed_forward_length";
const EXPERTS: &[&str] = &[COUNT, USED];
const QWEN_EXPERTS: &[&str] = &[COUNT, USED, INNER, SHARED];

/// The architectures that are converted.
pub(super) const FAMILIES: &[Family] = &[
    Family { reads: EXPERTS, traits: llama, ..LLAMA },
    Family { arch: "qwen2moe", reads: QWEN_EXPERTS, traits: qwen2moe, ..HALVES },
    Family { arch: "qwen3moe", reads: QWEN_EXPERTS, traits: qwen3moe, ..HALVES },
    Family { arch: "olmoe", reads: EXPERTS, traits: olmoe, ..HALVES },
    Family {
        arch: "gpt-oss",
        reads: &[COUNT, USED, INNER, WINDOW, PATTERN],
        names: [&GPT_OSS_GGUF, &GPT_OSS_GGUF],
        truncated: false,
        traits: gpt_oss,
        ..HALVES
    },
    Family { arch: "qwen2", ..HALVES },
    Family { arch: "qwen3", traits: qwen3, ..HALVES },
    Family { arch: "smollm3", traits: smollm3, ..LLAMA },
    Family {
        arch: "granite",
        reads: &["embedding_scale", "residual_scale", "logit_scale"],
        traits: granite,
        ..LLAMA
    },
    Family { arch: "olmo", reads: &[EPS, "attention.clamp_kqv"], traits: olmo, ..LLAMA },
    Family { arch: "olmo2", traits: olmo2, ..HALVES },
    Family { arch: "stablelm", reads: &[EPS], traits: stablelm, ..HALVES },
    Family { arch: "command-r", reads: &[EPS, "logit_scale"], traits: command_r, ..LLAMA },
    Family {
        arch: "cohere2",
        reads: &[EPS, "logit_scale", WINDOW, PATTERN],
        traits: cohere2,
        ..LLAMA
    },
    Family { arch: "gemma", traits: gemma, ..HALVES },
    Family {
        arch: "gemma2",
        reads: &["attn_logit_softcapping", LOGIT_CAP, WINDOW, PATTERN],
        traits: gemma2,
        ..HALVES
    },
    Family {
        arch: "gemma3",
        reads: &[LOGIT_CAP, WINDOW, PATTERN, "rope.freq_base_swa"],
        traits: gemma3,
        ..HALVES
    },
    Family { arch: "phi2", reads: &[EPS], traits: phi2, ..HALVES },
    Family {
        arch: "phi3",
        reads: &[WINDOW, "rope.scaling.attn_factor"],
        names: [&GATE_UP_GGUF, &QKV_GATE_UP_GGUF],
        traits: phi3,
        ..HALVES
    },
    Family { arch: "gptneox", reads: &[EPS, "use_parallel_residual"], traits: gptneox, ..HALVES },
    Family { arch: "gpt2", reads: &[EPS], traits: gpt2, ..HALVES },
    Family { arch: "starcoder", reads: &[EPS], traits: gpt2, ..HALVES },
    Family {
        arch: "starcoder2",
        reads: &[EPS],
        warning: Some("starcoder2: GGUF does not say whether layers have a window: they get none"),
        traits: starcoder2,
        ..HALVES
    },
    Family { arch: "falcon", reads: &[EPS, "tensor_data_layout"], traits: falcon, ..HALVES },
    Family {
        arch: "mpt",
        reads: &[EPS, "attention.max_alibi_bias", "attention.clamp_kqv"],
        traits: mpt,
        ..HALVES
    },
    Family { arch: "bloom", reads: &[EPS], traits: bloom, ..HALVES },
    Family { arch: "nemotron", reads: &[EPS], traits: nemotron, ..HALVES },
    Family { arch: "chatglm", names: [&GATE_UP_GGUF, &QKV_GATE_UP_GGUF], ..LLAMA },
    Family { arch: "glm4", names: [&GATE_UP_GGUF, &QKV_GATE_UP_GGUF], traits: glm4, ..LLAMA },
];

fn scale(keys: &Keys<'_, '_>, key: &str, f: impl Fn(f64) -> f64) -> Result<Scale> {
    factor(keys.name(key), keys.float(key)?.map(f))
}

/// What scores or logits stay within, if anything; 0 counts as nothing.
fn cap(keys: &Keys<'_, '_>, key: &str, default: Option<f32>) -> Result<Option<f32>> {
    match keys.float(key)?.map(|v| v as f32) {
        None => Ok(default),
        Some(0.0) => Ok(None),
        Some(v) if v.is_normal() && v > 0.0 => Ok(Some(v)),
        Some(v) => Err(Error::new(keys.name(key), format!("it is {v}"), "get the file again")),
    }
}

fn layer_norm(keys: &Keys<'_, '_>, config: &mut Config) -> Result<()> {
    config.norm = Norm::Layer;
    config.norm_eps = keys.float(EPS)?.unwrap_or(1e-5) as f32;
    Ok(())
}

/// LayerNorm, and no gate.
fn plain(keys: &Keys<'_, '_>, config: &mut Config, activation: Activation) -> Result<Traits> {
    layer_norm(keys, config)?;
    (config.mlp, config.activation) = (Mlp::Plain, activation);
    Ok(Traits::default())
}

/// Layers with a window: all but each `every`th, if the file does not say which; all for 0.
fn windows(keys: &Keys<'_, '_>, config: &mut Config, every: usize) -> Result<Vec<bool>> {
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
fn experts(keys: &Keys<'_, '_>, config: &mut Config, routing: Routing) -> Result<Traits> {
    config.n_experts = keys.need(COUNT)?;
    config.n_experts_used = keys.need(USED)?;
    config.expert_ffn_dim = keys.size(INNER)?.unwrap_or(config.ffn_dim);
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
fn llama(keys: &Keys<'_, '_>, config: &mut Config) -> Result<Traits> {
    match keys.size(COUNT)? {
        None | Some(0) => Ok(Traits::default()),
        Some(_) => experts(keys, config, Routing::Chosen),
    }
}

/// Weights are not normalised, as in those that were published: GGUF does not say.
fn qwen2moe(keys: &Keys<'_, '_>, config: &mut Config) -> Result<Traits> {
    config.shared_ffn_dim = keys.need(SHARED)?;
    experts(keys, config, Routing::All)
}

/// Weights are normalised, as in those that were published: GGUF does not say.
fn qwen3moe(keys: &Keys<'_, '_>, config: &mut Config) -> Result<Traits> {
    config.qk_norm = QkNorm::Head;
    experts(keys, config, Routing::Chosen)
}

/// As in the one that was published: GGUF does not say.
fn olmoe(keys: &Keys<'_, '_>, config: &mut Config) -> Result<Traits> {
    config.qk_norm = QkNorm::Whole;
    experts(keys, config, Routing::All)
}

/// Gates are cut off as in those that were published: GGUF does not say.
fn gpt_oss(keys: &Keys<'_, '_>, config: &mut Config) -> Result<Traits> {
    config.clamped = Some(Clamped { slope: 1.702, limit: 7.0 });
    config.sink_logits = true;
    let local = windows(keys, config, 2)?;
    Ok(Traits { local, ..experts(keys, config, Routing::Chosen)? })
}

fn qwen3(_: &Keys<'_, '_>, config: &mut Config) -> Result<Traits> {
    config.qk_norm = QkNorm::Head;
    Ok(Traits::default())
}

/// The file does not say which layers are not rotated: all that were published are like this.
fn smollm3(_: &Keys<'_, '_>, config: &mut Config) -> Result<Traits> {
    let layers = config.n_layers.min(Config::MAX_DIM);
    let no_rope = (1..=layers).map(|n| n.is_multiple_of(4)).collect();
    Ok(Traits { no_rope, ..Traits::default() })
}

fn granite(keys: &Keys<'_, '_>, config: &mut Config) -> Result<Traits> {
    config.embedding_scale = scale(keys, "embedding_scale", |v| v)?;
    config.residual_scale = scale(keys, "residual_scale", |v| v)?;
    config.logit_scale = scale(keys, "logit_scale", |v| 1.0 / v)?;
    Ok(Traits::default())
}

fn olmo(keys: &Keys<'_, '_>, config: &mut Config) -> Result<Traits> {
    layer_norm(keys, config)?;
    config.qkv_limit = cap(keys, "attention.clamp_kqv", None)?;
    Ok(Traits { gains: super::Gains::Ones, ..Traits::default() })
}

fn olmo2(_: &Keys<'_, '_>, config: &mut Config) -> Result<Traits> {
    config.norms = Norms::After;
    config.qk_norm = QkNorm::Whole;
    Ok(Traits::default())
}

fn stablelm(keys: &Keys<'_, '_>, config: &mut Config) -> Result<Traits> {
    layer_norm(keys, config)?;
    Ok(Traits::default())
}

fn command_r(keys: &Keys<'_, '_>, config: &mut Config) -> Result<Traits> {
    layer_norm(keys, config)?;
    config.residual = Residual::Parallel;
    config.logit_scale = scale(keys, "logit_scale", |v| v)?;
    Ok(Traits::default())
}

/// Layers with a window are rotated, the others not.
fn cohere2(keys: &Keys<'_, '_>, config: &mut Config) -> Result<Traits> {
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
fn gemma(_: &Keys<'_, '_>, config: &mut Config) -> Result<Traits> {
    config.embedding_scale = Scale((config.dim as f64).sqrt() as f32);
    config.activation = Activation::GeluTanh;
    Ok(Traits::default())
}

/// Scores are scaled by the size of a head, but in the model of this many layers, where it is
/// what a head's share of the stream is. (`query_pre_attn_scalar`, which GGUF does not have.)
fn gemma_score_scale(config: &mut Config, layers: usize) {
    if config.n_layers == layers {
        let share = config.dim.checked_div(config.n_heads).unwrap_or(0);
        config.score_scale = super::score_scale(share);
    }
}

fn gemma2(keys: &Keys<'_, '_>, config: &mut Config) -> Result<Traits> {
    let traits = gemma(keys, config)?;
    config.norms = Norms::Both;
    gemma_score_scale(config, 46);
    config.score_cap = cap(keys, "attn_logit_softcapping", Some(50.0))?;
    config.logit_cap = cap(keys, LOGIT_CAP, Some(30.0))?;
    Ok(Traits { local: windows(keys, config, 2)?, ..traits })
}

fn gemma3(keys: &Keys<'_, '_>, config: &mut Config) -> Result<Traits> {
    let traits = gemma(keys, config)?;
    config.norms = Norms::Both;
    config.qk_norm = QkNorm::Head;
    gemma_score_scale(config, 62);
    config.logit_cap = cap(keys, LOGIT_CAP, None)?;
    let local = windows(keys, config, 6)?;
    config.local_rope = !local.is_empty();
    Ok(Traits { local, ..traits })
}

fn phi2(keys: &Keys<'_, '_>, config: &mut Config) -> Result<Traits> {
    config.residual = Residual::Parallel;
    config.output_bias = true;
    plain(keys, config, Activation::GeluTanh)
}

fn phi3(keys: &Keys<'_, '_>, config: &mut Config) -> Result<Traits> {
    Ok(Traits { local: windows(keys, config, 0)?, ..Traits::default() })
}

fn gptneox(keys: &Keys<'_, '_>, config: &mut Config) -> Result<Traits> {
    if keys.bool("use_parallel_residual")?.unwrap_or(true) {
        config.residual = Residual::ParallelTwoNorms;
    }
    plain(keys, config, Activation::GeluErf)
}

fn gpt2(keys: &Keys<'_, '_>, config: &mut Config) -> Result<Traits> {
    (config.positions, config.rot_dim) = (Positions::Learned, 0);
    plain(keys, config, Activation::GeluTanh)
}

fn starcoder2(keys: &Keys<'_, '_>, config: &mut Config) -> Result<Traits> {
    plain(keys, config, Activation::GeluTanh)
}

fn falcon(keys: &Keys<'_, '_>, config: &mut Config) -> Result<Traits> {
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

fn mpt(keys: &Keys<'_, '_>, config: &mut Config) -> Result<Traits> {
    const MOST: &str = "attention.max_alibi_bias";
    let mut traits = plain(keys, config, Activation::GeluErf)?;
    config.qkv_limit = cap(keys, "attention.clamp_kqv", None)?;
    match keys.float(MOST)? {
        Some(most) if most > 0.0 && most <= 64.0 && most.fract() == 0.0 => {
            linear_biases(config, &mut traits, most);
            Ok(traits)
        }
        most => {
            let what = format!("it is {}", most.unwrap_or_default());
            Err(Error::new(keys.name(MOST), what, "whole numbers up to 64 are known"))
        }
    }
}

fn bloom(keys: &Keys<'_, '_>, config: &mut Config) -> Result<Traits> {
    let mut traits = plain(keys, config, Activation::GeluTanh)?;
    config.embedding_norm = true;
    linear_biases(config, &mut traits, 8.0);
    Ok(traits)
}

/// Gains have been stored whole.
fn nemotron(keys: &Keys<'_, '_>, config: &mut Config) -> Result<Traits> {
    plain(keys, config, Activation::ReluSquared)
}

fn glm4(_: &Keys<'_, '_>, config: &mut Config) -> Result<Traits> {
    config.norms = Norms::Both;
    Ok(Traits::default())
}
