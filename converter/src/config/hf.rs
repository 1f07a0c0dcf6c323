//! `config.json` and `generation_config.json` of Hugging Face transformers 4 and 5.

use oarlock::Sampling;
use oarlock::format::Config;
use serde_json::{Value, json};

use super::keys::{AGAIN, Keys};
use super::{Biases, Description, check, in_range, score_scale};
use crate::error::{Error, Result};
use crate::names::LLAMA_HF;
use crate::rope::Scaling;

const FILE: &str = "config.json";
const GENERATION: &str = "generation_config.json";

/// The architectures that are converted.
const KNOWN: &[&str] = &["LlamaForCausalLM"];

/// Keys that change nothing in the mathematics of a forward pass.
const HARMLESS: &[&str] = &[
    "_attn_implementation_autoset",
    "_name_or_path",
    "architectures",
    "attention_dropout",
    "bad_words_ids",
    "begin_suppress_tokens",
    "bos_token_id",
    "chunk_size_feed_forward",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "dtype",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "id2label",
    "initializer_range",
    "is_decoder",
    "is_llama_config",
    "label2id",
    "length_penalty",
    "max_length",
    "max_new_tokens",
    "min_length",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "pad_token_id",
    "prefix",
    // Splits products for training on several devices; the sum is the same.
    "pretraining_tp",
    "problem_type",
    "remove_invalid_values",
    "repetition_penalty",
    "return_dict",
    "return_dict_in_generate",
    "sep_token_id",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers.js_config",
    "transformers_version",
    "typical_p",
    "unsloth_fixed",
    "unsloth_version",
    "use_bfloat16",
    "use_cache",
];

/// Reads the two files.
pub fn from_hf(config: &Value, generation: Option<&Value>) -> Result<Description> {
    let keys = Keys::new(FILE, config)?;
    let arch = architecture(&keys)?;
    let hidden = keys.need("hidden_size")?;
    let n_heads = keys.need("num_attention_heads")?;
    let head_dim = match keys.size("head_dim")? {
        Some(n) => n,
        None if n_heads > 0 && hidden.is_multiple_of(n_heads) => hidden / n_heads,
        None => {
            let what = format!("hidden_size {hidden} does not divide by {n_heads} heads");
            return Err(Error::new(FILE, what, AGAIN));
        }
    };
    let (rope_theta, rope_scaling) = rope(&keys)?;
    let model = Config {
        vocab_size: keys.need("vocab_size")?,
        dim: hidden,
        n_layers: keys.need("num_hidden_layers")?,
        n_heads,
        n_kv_heads: keys.size("num_key_value_heads")?.unwrap_or(n_heads),
        head_dim,
        ffn_dim: keys.need("intermediate_size")?,
        context: keys.size("max_position_embeddings")?.unwrap_or(2048),
        rot_dim: head_dim,
        norm_eps: keys.float("rms_norm_eps")?.unwrap_or(1e-6) as f32,
        score_scale: score_scale(head_dim),
        tied: keys.bool("tie_word_embeddings")?.unwrap_or(false),
        ..Config::default()
    };
    let biases = Biases::Announced {
        attention: keys.bool("attention_bias")?.unwrap_or(false),
        mlp: keys.bool("mlp_bias")?.unwrap_or(false),
    };
    neutral(&keys)?;
    let mut warnings = Vec::new();
    let (ends, sampling) = generate(&keys, generation, &mut warnings)?;
    keys.refuse_the_rest(HARMLESS)?;
    check(FILE, &model, rope_theta)?;
    Ok(Description {
        config: model,
        arch,
        rope_theta,
        rope_scaling,
        biases,
        names: &LLAMA_HF,
        interleaved: false,
        ends,
        sampling,
        warnings,
    })
}

fn architecture(keys: &Keys<'_>) -> Result<String> {
    let found = match keys.get("architectures") {
        Some(Value::Array(list)) if list.len() == 1 => list[0].as_str(),
        _ => None,
    };
    let known = format!("known: {}", KNOWN.join(", "));
    let found = found.ok_or_else(|| {
        Error::new(FILE, "architectures does not name exactly one", known.clone())
    })?;
    if !KNOWN.contains(&found) {
        return Err(Error::new(FILE, format!("architecture {found} is not known"), known));
    }
    keys.must_be("model_type", &[json!("llama")])?;
    Ok(found.into())
}

/// Keys that exist in the family's config class and must have the value that changes nothing.
fn neutral(keys: &Keys<'_>) -> Result<()> {
    if keys.get("quantization_config").is_some() {
        let todo = "get the model in f32, f16 or bf16";
        return Err(Error::new(FILE, "quantization_config: quantized safetensors", todo));
    }
    keys.must_be("hidden_act", &[json!("silu"), json!("swish")])?;
    for key in ["add_cross_attention", "is_encoder_decoder", "rope_interleaved"] {
        keys.must_be(key, &[json!(false)])?;
    }
    for key in ["tie_encoder_decoder", "use_sliding_window", "cross_attention_hidden_size"] {
        keys.must_be(key, &[json!(false)])?;
    }
    keys.must_be("partial_rotary_factor", &[json!(1), json!(1.0)])?;
    keys.must_be("pruned_heads", &[json!({})])
}

/// Theta and scaling, in the spelling of version 5 (`rope_parameters`) or 4.
fn rope(keys: &Keys<'_>) -> Result<(f64, Scaling)> {
    const DEFAULT_THETA: f64 = 10000.0;
    let outer = keys.float("rope_theta")?;
    let (name, inner) = match keys.get("rope_parameters") {
        Some(v) => ("rope_parameters", Some(v)),
        None => ("rope_scaling", keys.get("rope_scaling")),
    };
    // Version 5 files may carry the old key beside the new one.
    keys.get("rope_scaling");
    let Some(inner) = inner else { return Ok((outer.unwrap_or(DEFAULT_THETA), Scaling::None)) };
    let thing = format!("{FILE}: {name}");
    let inner = Keys::new(&thing, inner)?;
    let theta = inner.float("rope_theta")?.or(outer).unwrap_or(DEFAULT_THETA);
    let kind = inner.get("rope_type").or(inner.get("type"));
    inner.get("type");
    inner.must_be("partial_rotary_factor", &[json!(1), json!(1.0)])?;
    let scaling = match kind.map_or(Some("default"), Value::as_str) {
        Some("default") => Scaling::None,
        Some("llama3") => llama3(&inner)?,
        _ => {
            let what = format!("rope type {} is not known", kind.unwrap_or(&Value::Null));
            return Err(Error::new(thing, what, "known: default, llama3"));
        }
    };
    inner.refuse_the_rest(&[])?;
    Ok((theta, scaling))
}

fn llama3(keys: &Keys<'_>) -> Result<Scaling> {
    let need = |key: &str| match keys.float(key)? {
        Some(v) if v > 0.0 => Ok(v),
        Some(v) => Err(Error::new(&keys.thing, format!("{key} is {v}"), AGAIN)),
        None => Err(Error::new(&keys.thing, format!("{key} is missing"), AGAIN)),
    };
    let low_freq_factor = need("low_freq_factor")?;
    let high_freq_factor = need("high_freq_factor")?;
    if high_freq_factor <= low_freq_factor {
        let what = "high_freq_factor is not above low_freq_factor";
        return Err(Error::new(&keys.thing, what, AGAIN));
    }
    Ok(Scaling::Llama3 {
        factor: need("factor")?,
        low_freq_factor,
        high_freq_factor,
        original_context: need("original_max_position_embeddings")?,
    })
}

/// The ids that end generation, and the sampling defaults.
fn generate(
    config: &Keys<'_>,
    generation: Option<&Value>,
    warnings: &mut Vec<String>,
) -> Result<(Vec<u32>, Sampling)> {
    let Some(generation) = generation else {
        return Ok((ids(config)?.unwrap_or_default(), Sampling::default()));
    };
    let keys = Keys::new(GENERATION, generation)?;
    let ends = ids(&keys)?.or(ids(config)?);
    let field = |key: &str, range, default| match keys.float(key)? {
        Some(v) => in_range(GENERATION, key, v, range),
        None => Ok(default),
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
        Some(Value::Array(list)) => list.iter().map(id).collect(),
        Some(one) => id(one).map(|id| vec![id]),
    };
    let what = "eos_token_id is neither an id nor a list of ids";
    ids.map(Some).ok_or_else(|| Error::new(&keys.thing, what, AGAIN))
}
