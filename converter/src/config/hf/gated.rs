//! Families with a gate: Llama and what came after it.

use oarlock::internal::format::{Config, Norm, Norms, QkNorm, Residual, Scale};
use serde_json::{Value, json};

use super::keys::{AGAIN, FILE, Keys};
use super::shared::{announced, layer_norm, limit, must_not, one_window, rms, scale, windows};
use crate::config::description::{Biases, Gains};
use crate::config::traits::Traits;
use crate::error::{Error, Result};

pub(super) fn llama(keys: &Keys<'_>, config: &mut Config, _: &mut Vec<String>) -> Result<Traits> {
    rms(keys, config, 1e-6)?;
    Ok(Traits { biases: announced(keys)?, ..Traits::default() })
}

/// arXiv 2310.06825.
pub(super) fn mistral(keys: &Keys<'_>, config: &mut Config, _: &mut Vec<String>) -> Result<Traits> {
    rms(keys, config, 1e-6)?;
    if !keys.has("sliding_window") {
        let todo = "transformers takes 4096 then: give it that value, or null for none";
        return Err(Error::new(FILE, "sliding_window is missing", todo));
    }
    Ok(Traits { local: one_window(keys, config)?, ..Traits::default() })
}

/// The later layers may have a window.
fn qwen_windows(keys: &Keys<'_>, config: &mut Config) -> Result<Vec<bool>> {
    let first = keys.size("max_window_layers")?.unwrap_or(28);
    let used = keys.bool("use_sliding_window")?.unwrap_or(false);
    windows(keys, config, |layer| used && layer >= first)
}

pub(super) fn qwen2(keys: &Keys<'_>, config: &mut Config, _: &mut Vec<String>) -> Result<Traits> {
    rms(keys, config, 1e-6)?;
    let biases = Biases::Announced { qkv: true, o: false, mlp: false, norm: false };
    Ok(Traits { biases, local: qwen_windows(keys, config)?, ..Traits::default() })
}

pub(super) fn qwen3(keys: &Keys<'_>, config: &mut Config, _: &mut Vec<String>) -> Result<Traits> {
    rms(keys, config, 1e-6)?;
    config.qk_norm = QkNorm::Head;
    let local = qwen_windows(keys, config)?;
    Ok(Traits { biases: announced(keys)?, local, ..Traits::default() })
}

/// arXiv 2403.08295: gains are stored less one, embeddings are scaled.
pub(super) fn gemma(keys: &Keys<'_>, config: &mut Config, _: &mut Vec<String>) -> Result<Traits> {
    rms(keys, config, 1e-6)?;
    config.embedding_scale = Scale((config.dim as f64).sqrt() as f32);
    Ok(Traits { biases: announced(keys)?, gains: Gains::LessOne, ..Traits::default() })
}

/// 1 / sqrt of what another model's heads would have as elements.
fn scalar_scale(keys: &Keys<'_>) -> Result<f32> {
    Ok((1.0 / keys.float("query_pre_attn_scalar")?.unwrap_or(256.0).sqrt()) as f32)
}

/// arXiv 2408.00118: norms on both sides, caps, and a window in every other layer.
pub(super) fn gemma2(
    keys: &Keys<'_>,
    config: &mut Config,
    warnings: &mut Vec<String>,
) -> Result<Traits> {
    let traits = gemma(keys, config, warnings)?;
    config.norms = Norms::Both;
    config.score_scale = scalar_scale(keys)?;
    config.score_cap = limit(keys, "attn_logit_softcapping", Some(50.0))?;
    config.logit_cap = limit(keys, "final_logit_softcapping", Some(30.0))?;
    Ok(Traits { local: windows(keys, config, |layer| layer % 2 == 0)?, ..traits })
}

/// arXiv 2503.19786: five layers in six have a window and rotary frequencies of their own.
pub(super) fn gemma3(
    keys: &Keys<'_>,
    config: &mut Config,
    warnings: &mut Vec<String>,
) -> Result<Traits> {
    let every = keys.size("sliding_window_pattern")?.unwrap_or(6).max(1);
    let old = keys.size("_sliding_window_pattern")?.unwrap_or(every).max(1);
    let traits = gemma(keys, config, warnings)?;
    config.norms = Norms::Both;
    config.qk_norm = QkNorm::Head;
    config.score_scale = scalar_scale(keys)?;
    config.score_cap = limit(keys, "attn_logit_softcapping", None)?;
    config.logit_cap = limit(keys, "final_logit_softcapping", None)?;
    let local = windows(keys, config, |layer| (layer + 1) % old != 0)?;
    // Without a layer with a window its frequencies are not asked for.
    config.local_rope = !local.is_empty();
    Ok(Traits { local, ..traits })
}

/// Some layers know positions from the causal mask alone (arXiv 2501.18795).
pub(super) fn smollm3(keys: &Keys<'_>, config: &mut Config, _: &mut Vec<String>) -> Result<Traits> {
    rms(keys, config, 1e-6)?;
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
    keys.get("max_window_layers");
    let used = keys.bool("use_sliding_window")?.unwrap_or(false);
    let local = windows(keys, config, |i| used && no_rope[i])?;
    Ok(Traits { biases: announced(keys)?, no_rope, local, ..Traits::default() })
}

/// arXiv 2408.13359: factors that let learning rates be the same at every size.
pub(super) fn granite(keys: &Keys<'_>, config: &mut Config, _: &mut Vec<String>) -> Result<Traits> {
    rms(keys, config, 1e-6)?;
    config.embedding_scale = scale(keys, "embedding_multiplier", |v| v)?;
    config.residual_scale = scale(keys, "residual_multiplier", |v| v)?;
    // Of the number in single precision, which is what GGUF has.
    config.logit_scale = scale(keys, "logits_scaling", |v| 1.0 / f64::from(v as f32))?;
    config.score_scale = scale(keys, "attention_multiplier", |v| v)?.0;
    Ok(Traits { biases: announced(keys)?, ..Traits::default() })
}

/// arXiv 2501.00656: norms behind attention and feed-forward part, and over whole queries and
/// keys.
pub(super) fn olmo2(keys: &Keys<'_>, config: &mut Config, _: &mut Vec<String>) -> Result<Traits> {
    rms(keys, config, 1e-5)?;
    config.norms = Norms::After;
    config.qk_norm = QkNorm::Whole;
    Ok(Traits { biases: announced(keys)?, ..Traits::default() })
}

pub(super) fn stablelm(
    keys: &Keys<'_>,
    config: &mut Config,
    _: &mut Vec<String>,
) -> Result<Traits> {
    layer_norm(keys, config, "layer_norm_eps")?;
    must_not(keys, &["qk_layernorm", "use_parallel_residual"])?;
    let qkv = keys.bool("use_qkv_bias")?.unwrap_or(false);
    let biases = Biases::Announced { qkv, o: false, mlp: false, norm: true };
    Ok(Traits { biases, ..Traits::default() })
}

pub(super) fn cohere(keys: &Keys<'_>, config: &mut Config, _: &mut Vec<String>) -> Result<Traits> {
    layer_norm(keys, config, "layer_norm_eps")?;
    must_not(keys, &["use_qk_norm"])?;
    config.residual = Residual::Parallel;
    config.logit_scale = match keys.get("logit_scale") {
        Some(_) => scale(keys, "logit_scale", |v| v)?,
        None => Scale(0.0625),
    };
    Ok(Traits { biases: announced(keys)?, ..Traits::default() })
}

/// Rotates no queries and keys in every fourth layer; all others have a window.
pub(super) fn cohere2(
    keys: &Keys<'_>,
    config: &mut Config,
    warnings: &mut Vec<String>,
) -> Result<Traits> {
    let traits = cohere(keys, config, warnings)?;
    // What published files say of it beside the class's own words.
    keys.must_be("order_of_interleaved_layers", &[json!("local_attn_first")])?;
    keys.must_be("position_embedding_type", &[json!("rope_gptj")])?;
    for key in ["use_embedding_sharing", "use_gated_activation", "use_parallel_block"] {
        keys.must_be(key, &[json!(true)])?;
    }
    let every = keys.size("sliding_window_pattern")?;
    let every = keys.size("_sliding_window_pattern")?.or(every).unwrap_or(4).max(1);
    let local = windows(keys, config, |layer| (layer + 1) % every != 0)?;
    let no_rope = (0..config.n_layers).map(|i| !local.get(i).copied().unwrap_or(false)).collect();
    Ok(Traits { local, no_rope, ..traits })
}

/// arXiv 2404.14219.
pub(super) fn phi3(keys: &Keys<'_>, config: &mut Config, _: &mut Vec<String>) -> Result<Traits> {
    rms(keys, config, 1e-5)?;
    must_not(keys, &["attention_bias", "mlp_bias", "lm_head_bias"])?;
    // Read with the rotary frequencies, where it means something.
    keys.get("original_max_position_embeddings");
    Ok(Traits { local: one_window(keys, config)?, ..Traits::default() })
}

/// arXiv 2402.00838: norms without gains.
pub(super) fn olmo(keys: &Keys<'_>, config: &mut Config, _: &mut Vec<String>) -> Result<Traits> {
    (config.norm, config.norm_eps) = (Norm::Layer, 1e-5);
    config.qkv_limit = limit(keys, "clip_qkv", None)?;
    Ok(Traits { biases: announced(keys)?, gains: Gains::Ones, ..Traits::default() })
}

/// arXiv 2406.12793.
pub(super) fn glm(keys: &Keys<'_>, config: &mut Config, _: &mut Vec<String>) -> Result<Traits> {
    rms(keys, config, 1.5625e-7)?;
    let qkv = keys.bool("attention_bias")?.unwrap_or(true);
    let biases = Biases::Announced { qkv, o: false, mlp: false, norm: false };
    Ok(Traits { biases, ..Traits::default() })
}

pub(super) fn glm4(
    keys: &Keys<'_>,
    config: &mut Config,
    warnings: &mut Vec<String>,
) -> Result<Traits> {
    config.norms = Norms::Both;
    glm(keys, config, warnings)
}

pub(super) fn helium(keys: &Keys<'_>, config: &mut Config, _: &mut Vec<String>) -> Result<Traits> {
    rms(keys, config, 1e-8)?;
    let qkv = keys.bool("attention_bias")?.unwrap_or(false);
    let mlp = keys.bool("mlp_bias")?.unwrap_or(false);
    let biases = Biases::Announced { qkv, o: false, mlp, norm: false };
    Ok(Traits { biases, ..Traits::default() })
}

/// arXiv 2410.05258.
pub(super) fn diffllama(
    keys: &Keys<'_>,
    config: &mut Config,
    _: &mut Vec<String>,
) -> Result<Traits> {
    rms(keys, config, 1e-5)?;
    config.differential = true;
    // What λ was drawn with before training.
    keys.get("lambda_std_dev");
    if !config.n_kv_heads.is_multiple_of(2) {
        let what = format!("num_key_value_heads is {}", config.n_kv_heads);
        return Err(Error::new(FILE, what, "differential attention takes them in pairs"));
    }
    let attention = keys.bool("attention_bias")?.unwrap_or(false);
    let biases = Biases::Announced { qkv: attention, o: attention, mlp: false, norm: false };
    Ok(Traits { biases, ..Traits::default() })
}
