//! What sets the families of Hugging Face apart from each other: options of one decoder.

use oarlock::format::{Config, Norm, Norms, QkNorm, Residual, Scale};
use serde_json::{Value, json};

use super::hf::FILE;
use super::keys::{AGAIN, Keys};
use super::{Biases, factor};
use crate::error::{Error, Result};

/// A family, by the name of its class.
pub(super) struct Family {
    pub arch: &'static str,
    pub model_type: &'static str,
    /// Whether the output matrix is the embedding where the config says nothing.
    pub tied: bool,
    /// Whether the config may have only the first elements of a head rotated.
    pub partial_rotary: bool,
    /// Whether elements (2i, 2i + 1) are rotated together, and not (i, i + half).
    pub interleaved: bool,
    /// Sets the family's options, and reads the keys that it does not share with others.
    pub traits: fn(&Keys<'_>, &mut Config, &mut Vec<String>) -> Result<Traits>,
}

/// What the config section of the file has no place for.
#[derive(Debug, Default)]
pub(super) struct Traits {
    pub biases: Biases,
    /// Layers without rotation; those beyond have it.
    pub no_rope: Vec<bool>,
}

const LLAMA: Family = Family {
    arch: "LlamaForCausalLM",
    model_type: "llama",
    tied: false,
    partial_rotary: false,
    interleaved: false,
    traits: llama,
};

/// The families that are converted.
pub(super) const FAMILIES: &[Family] = &[
    LLAMA,
    Family { arch: "MistralForCausalLM", model_type: "mistral", traits: mistral, ..LLAMA },
    Family { arch: "Qwen2ForCausalLM", model_type: "qwen2", traits: qwen2, ..LLAMA },
    Family { arch: "Qwen3ForCausalLM", model_type: "qwen3", traits: qwen3, ..LLAMA },
    Family {
        arch: "SmolLM3ForCausalLM",
        model_type: "smollm3",
        tied: true,
        traits: smollm3,
        ..LLAMA
    },
    Family { arch: "GraniteForCausalLM", model_type: "granite", traits: granite, ..LLAMA },
    Family { arch: "Olmo2ForCausalLM", model_type: "olmo2", traits: olmo2, ..LLAMA },
    Family {
        arch: "StableLmForCausalLM",
        model_type: "stablelm",
        partial_rotary: true,
        traits: stablelm,
        ..LLAMA
    },
    Family {
        arch: "CohereForCausalLM",
        model_type: "cohere",
        tied: true,
        interleaved: true,
        traits: cohere,
        ..LLAMA
    },
];

fn rms(keys: &Keys<'_>, config: &mut Config) -> Result<()> {
    config.norm_eps = keys.float("rms_norm_eps")?.unwrap_or(1e-6) as f32;
    Ok(())
}

fn layer_norm(keys: &Keys<'_>, config: &mut Config) -> Result<()> {
    config.norm = Norm::Layer;
    config.norm_eps = keys.float("layer_norm_eps")?.unwrap_or(1e-5) as f32;
    Ok(())
}

fn announced(keys: &Keys<'_>) -> Result<Biases> {
    let attention = keys.bool("attention_bias")?.unwrap_or(false);
    let mlp = keys.bool("mlp_bias")?.unwrap_or(false);
    Ok(Biases::Announced { qkv: attention, o: attention, mlp, norm: false })
}

fn scale(keys: &Keys<'_>, key: &str, f: impl Fn(f64) -> f64) -> Result<Scale> {
    factor(format_args!("{FILE}: {key}"), keys.float(key)?.map(f))
}

/// No layer has a window of its own: that windows are not used was checked of all families.
fn full_attention(keys: &Keys<'_>) -> Result<()> {
    keys.get("sliding_window");
    keys.get("max_window_layers");
    let Some(Value::Array(types)) = keys.get("layer_types") else { return Ok(()) };
    match types.iter().find(|kind| **kind != "full_attention") {
        None => Ok(()),
        Some(kind) => {
            let what = format!("layer_types has {kind}");
            Err(Error::new(FILE, what, "only full_attention is supported"))
        }
    }
}

fn llama(keys: &Keys<'_>, config: &mut Config, _: &mut Vec<String>) -> Result<Traits> {
    rms(keys, config)?;
    Ok(Traits { biases: announced(keys)?, ..Traits::default() })
}

/// arXiv 2310.06825. Where its window is shorter than its context, a ring of the window's size
/// shows every token what it saw in training.
fn mistral(keys: &Keys<'_>, config: &mut Config, warnings: &mut Vec<String>) -> Result<Traits> {
    rms(keys, config)?;
    if let Some(window) = keys.size("sliding_window")?.filter(|&n| n < config.context) {
        warnings.push(format!(
            "{FILE}: every layer sees the last {window} tokens, so that is the model's context"
        ));
        config.context = window;
    }
    Ok(Traits::default())
}

fn qwen2(keys: &Keys<'_>, config: &mut Config, _: &mut Vec<String>) -> Result<Traits> {
    rms(keys, config)?;
    full_attention(keys)?;
    let biases = Biases::Announced { qkv: true, o: false, mlp: false, norm: false };
    Ok(Traits { biases, ..Traits::default() })
}

fn qwen3(keys: &Keys<'_>, config: &mut Config, _: &mut Vec<String>) -> Result<Traits> {
    rms(keys, config)?;
    full_attention(keys)?;
    config.qk_norm = QkNorm::Head;
    Ok(Traits { biases: announced(keys)?, ..Traits::default() })
}

/// Some layers know positions from the causal mask alone (arXiv 2501.18795).
fn smollm3(keys: &Keys<'_>, config: &mut Config, _: &mut Vec<String>) -> Result<Traits> {
    rms(keys, config)?;
    full_attention(keys)?;
    let every = keys.size("no_rope_layer_interval")?.unwrap_or(4).max(1);
    let no_rope: Vec<bool> = match keys.get("no_rope_layers") {
        // 1 where there is rotation.
        Some(Value::Array(list)) => list.iter().map(|rotated| *rotated == 0).collect(),
        // Of more layers than there can be, the first are enough to refuse them.
        _ => (1..=config.n_layers.min(Config::MAX_DIM)).map(|n| n.is_multiple_of(every)).collect(),
    };
    if no_rope.len() != config.n_layers {
        let what = format!("no_rope_layers names {} of {} layers", no_rope.len(), config.n_layers);
        return Err(Error::new(FILE, what, AGAIN));
    }
    Ok(Traits { biases: announced(keys)?, no_rope })
}

/// arXiv 2408.13359: factors that let learning rates be the same at every size.
fn granite(keys: &Keys<'_>, config: &mut Config, _: &mut Vec<String>) -> Result<Traits> {
    rms(keys, config)?;
    config.embedding_scale = scale(keys, "embedding_multiplier", |v| v)?;
    config.residual_scale = scale(keys, "residual_multiplier", |v| v)?;
    // Of the number in single precision, which is what GGUF has.
    config.logit_scale = scale(keys, "logits_scaling", |v| 1.0 / f64::from(v as f32))?;
    config.score_scale = scale(keys, "attention_multiplier", |v| v)?.0;
    Ok(Traits { biases: announced(keys)?, ..Traits::default() })
}

/// arXiv 2501.00656: norms behind attention and feed-forward part, and over whole queries and
/// keys.
fn olmo2(keys: &Keys<'_>, config: &mut Config, _: &mut Vec<String>) -> Result<Traits> {
    rms(keys, config)?;
    config.norms = Norms::After;
    config.qk_norm = QkNorm::Whole;
    Ok(Traits { biases: announced(keys)?, ..Traits::default() })
}

fn stablelm(keys: &Keys<'_>, config: &mut Config, _: &mut Vec<String>) -> Result<Traits> {
    layer_norm(keys, config)?;
    for key in ["qk_layernorm", "use_parallel_residual"] {
        keys.must_be(key, &[json!(false)])?;
    }
    let qkv = keys.bool("use_qkv_bias")?.unwrap_or(false);
    let biases = Biases::Announced { qkv, o: false, mlp: false, norm: true };
    Ok(Traits { biases, ..Traits::default() })
}

fn cohere(keys: &Keys<'_>, config: &mut Config, _: &mut Vec<String>) -> Result<Traits> {
    layer_norm(keys, config)?;
    keys.must_be("use_qk_norm", &[json!(false)])?;
    config.residual = Residual::Parallel;
    config.logit_scale = scale(keys, "logit_scale", |v| v)?;
    Ok(Traits { biases: announced(keys)?, ..Traits::default() })
}
