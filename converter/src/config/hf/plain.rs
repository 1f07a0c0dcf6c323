//! Families without a gate: GPT-2 and what came after it.

use oarlock::internal::format::{Config, Positions, Residual};
use serde_json::json;

use super::keys::{FILE, HARMLESS, Keys};
use super::names::FALCON_TWO_HF;
use super::shared::{limit, must_not, one_window, plain};
use crate::config::description::{Biases, Gains};
use crate::config::traits::{Traits, alibi};
use crate::error::{Error, Result};

/// arXiv 2309.05463.
pub(super) fn phi(keys: &Keys<'_>, config: &mut Config, _: &mut Vec<String>) -> Result<Traits> {
    must_not(keys, &["qk_layernorm"])?;
    config.residual = Residual::Parallel;
    config.output_bias = true;
    plain(keys, config, "layer_norm_eps")
}

/// arXiv 2204.06745.
pub(super) fn neox(keys: &Keys<'_>, config: &mut Config, _: &mut Vec<String>) -> Result<Traits> {
    if keys.bool("use_parallel_residual")?.unwrap_or(true) {
        config.residual = Residual::ParallelTwoNorms;
    }
    let attention = keys.bool("attention_bias")?.unwrap_or(true);
    let biases = Biases::Announced { qkv: attention, o: attention, mlp: true, norm: true };
    Ok(Traits { biases, ..plain(keys, config, "layer_norm_eps")? })
}

pub(super) fn gpt2(keys: &Keys<'_>, config: &mut Config, _: &mut Vec<String>) -> Result<Traits> {
    config.positions = Positions::Learned;
    keys.must_be("scale_attn_weights", &[json!(true)])?;
    must_not(keys, &["scale_attn_by_inverse_layer_idx"])?;
    // In which precision, which here is always single.
    keys.get("reorder_and_upcast_attn");
    // Of the first files: what a classifier would have, and nothing reads.
    keys.get("n_special");
    keys.get("predict_special_tokens");
    plain(keys, config, "layer_norm_epsilon")
}

/// arXiv 2305.06161: one key and value head for all.
pub(super) fn bigcode(
    keys: &Keys<'_>,
    config: &mut Config,
    warnings: &mut Vec<String>,
) -> Result<Traits> {
    if keys.bool("multi_query")?.unwrap_or(true) {
        config.n_kv_heads = 1;
    }
    for key in ["attention_softmax_in_fp32", "scale_attention_softmax_in_fp32"] {
        keys.get(key);
    }
    gpt2(keys, config, warnings)
}

pub(super) fn gptj(keys: &Keys<'_>, config: &mut Config, _: &mut Vec<String>) -> Result<Traits> {
    config.residual = Residual::Parallel;
    config.output_bias = true;
    keys.must_be("scale_attn_weights", &[json!(true)])?;
    keys.must_be("rotary", &[json!(true)])?;
    let biases = Biases::Announced { qkv: false, o: false, mlp: true, norm: true };
    Ok(Traits { biases, ..plain(keys, config, "layer_norm_epsilon")? })
}

/// arXiv 2402.19173.
pub(super) fn starcoder2(
    keys: &Keys<'_>,
    config: &mut Config,
    _: &mut Vec<String>,
) -> Result<Traits> {
    let all = keys.bool("use_bias")?.unwrap_or(true);
    let biases = Biases::Announced { qkv: all, o: all, mlp: all, norm: true };
    keys.must_be("norm_type", &[json!("layer_norm")])?;
    keys.must_be("mlp_type", &[json!("default")])?;
    // What the class does not read, though files have it.
    for key in ["rms_norm_eps", "layer_norm_epsilon", "activation_function", "scale_attn_weights"] {
        keys.get(key);
    }
    let local = one_window(keys, config)?;
    Ok(Traits { biases, local, ..plain(keys, config, "norm_epsilon")? })
}

/// arXiv 2205.01068.
pub(super) fn opt(keys: &Keys<'_>, config: &mut Config, _: &mut Vec<String>) -> Result<Traits> {
    config.positions = Positions::Learned;
    for key in ["do_layer_norm_before", "enable_bias", "layer_norm_elementwise_affine"] {
        keys.must_be(key, &[json!(true)])?;
    }
    must_not(keys, &["_remove_final_layer_norm"])?;
    keys.must_be("word_embed_proj_dim", &[json!(config.dim)])?;
    plain(keys, config, "layer_norm_eps")
}

/// arXiv 2311.16867: one head of keys and values, or groups, or one for each.
pub(super) fn falcon(keys: &Keys<'_>, config: &mut Config, _: &mut Vec<String>) -> Result<Traits> {
    let grouped = keys.bool("new_decoder_architecture")?.unwrap_or(false);
    let multi_query = keys.bool("multi_query")?.unwrap_or(true);
    let parallel = keys.bool("parallel_attn")?.unwrap_or(true);
    let n_kv_heads = keys.size("num_kv_heads")?.or(keys.size("n_head_kv")?);
    let norms = keys.size("num_ln_in_parallel_attn")?.unwrap_or(if grouped { 2 } else { 1 });
    must_not(keys, &["apply_residual_connection_post_layernorm"])?;
    config.n_kv_heads = match (grouped, multi_query) {
        (true, _) => n_kv_heads.unwrap_or(config.n_heads),
        (false, true) => 1,
        (false, false) => config.n_heads,
    };
    let all = keys.bool("bias")?.unwrap_or(false);
    let biases = Biases::Announced { qkv: all, o: all, mlp: all, norm: true };
    let mut traits = Traits { biases, ..plain(keys, config, "layer_norm_epsilon")? };
    config.residual = match (grouped, parallel, norms) {
        (true, true, 2) => {
            traits.names = Some(&FALCON_TWO_HF);
            Residual::ParallelTwoNorms
        }
        (_, true, 1) => Residual::Parallel,
        (false, false, _) => Residual::Sequential,
        _ => {
            let what =
                "new_decoder_architecture without parallel_attn, or with another number of norms";
            return Err(Error::new(FILE, what, "no published model is like this"));
        }
    };
    if keys.bool("alibi")?.unwrap_or(false) {
        alibi(config, &mut traits, 8.0);
        // Falcon scales them as it does scores.
        traits.slopes.iter_mut().for_each(|slope| *slope *= config.score_scale);
    }
    Ok(traits)
}

pub(super) fn mpt(keys: &Keys<'_>, config: &mut Config, _: &mut Vec<String>) -> Result<Traits> {
    keys.must_be("no_bias", &[json!(true)])?;
    keys.must_be("embedding_fraction", &[json!(1.0), json!(1)])?;
    keys.must_be("norm_type", &[json!("low_precision_layernorm")])?;
    keys.must_be("logit_scale", &[json!(null)])?;
    // What `transformers` never reads, and how weights are made before training.
    for key in ["learned_pos_emb", "init_device", "init_config", "verbose", "use_pad_tok_in_ffn"] {
        keys.get(key);
    }
    keys.must_be("expansion_ratio", &[json!(4)])?;
    let mut traits = plain(keys, config, "layer_norm_epsilon")?;
    traits.biases = Biases::default();
    let empty = json!({});
    let name = format!("{FILE}: attn_config");
    let attention = Keys::new(&name, keys.get("attn_config").unwrap_or(&empty))?;
    attention.must_be("attn_type", &[json!("multihead_attention")])?;
    attention.must_be("alibi", &[json!(true)])?;
    let never = ["prefix_lm", "qk_ln", "attn_uses_sequence_id", "is_encoder_decoder"];
    must_not(&attention, &never)?;
    config.qkv_limit = limit(&attention, "clip_qkv", None)?;
    if let Some(scale) = attention.float("softmax_scale")? {
        config.score_scale = scale as f32;
    }
    let max_bias = attention.size("alibi_bias_max")?.unwrap_or(8);
    if max_bias > 64 {
        return Err(Error::new(
            &name,
            format!("alibi_bias_max is {max_bias}"),
            "at most 64 is known",
        ));
    }
    alibi(config, &mut traits, max_bias as f64);
    // By which kernels; and that it is a config itself, which nobody asks.
    for key in ["attn_impl", "model_type"] {
        attention.get(key);
    }
    attention.refuse_the_rest(HARMLESS)?;
    Ok(traits)
}

/// arXiv 2211.05100.
pub(super) fn bloom(keys: &Keys<'_>, config: &mut Config, _: &mut Vec<String>) -> Result<Traits> {
    must_not(keys, &["apply_residual_connection_post_layernorm"])?;
    // In which precision and by which kernels.
    for key in ["slow_but_exact", "attention_softmax_in_fp32", "masked_softmax_fusion"] {
        keys.get(key);
    }
    // Of the program that trained it; the class reads none of them.
    for key in ["bias_dropout_fusion", "offset_alibi", "skip_bias_add", "skip_bias_add_qkv"] {
        keys.get(key);
    }
    config.embedding_norm = true;
    let mut traits = plain(keys, config, "layer_norm_epsilon")?;
    alibi(config, &mut traits, 8.0);
    Ok(traits)
}

/// arXiv 2402.16819: gains less one, squared ReLU.
pub(super) fn nemotron(
    keys: &Keys<'_>,
    config: &mut Config,
    _: &mut Vec<String>,
) -> Result<Traits> {
    let attention = keys.bool("attention_bias")?.unwrap_or(false);
    let mlp = keys.bool("mlp_bias")?.unwrap_or(false);
    let biases = Biases::Announced { qkv: attention, o: attention, mlp, norm: true };
    Ok(Traits { biases, gains: Gains::LessOne, ..plain(keys, config, "norm_eps")? })
}
