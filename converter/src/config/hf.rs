//! `config.json` and `generation_config.json` of Hugging Face transformers 4 and 5.

use oarlock::Sampling;
use oarlock::internal::format::{Activation, Config};
use serde_json::{Value, json};

use super::families::{FAMILIES, Family};
use super::keys::{AGAIN, Keys};
use super::rope::{Ropes, ropes};
use super::{Description, LATENT, check, in_range, score_scale};
use crate::error::{Error, Result};

pub(super) const FILE: &str = "config.json";
const GENERATION: &str = "generation_config.json";

/// Keys that change nothing in the mathematics of a forward pass.
pub(super) const HARMLESS: &[&str] = &[
    "_attn_implementation_autoset",
    "_name_or_path",
    "architectures",
    "activation_dropout",
    "attention_dropout",
    "auto_map",
    "bad_words_ids",
    "begin_suppress_tokens",
    "attn_pdrop",
    "bos_token_id",
    "cache_implementation",
    "chunk_size_feed_forward",
    "classifier_dropout",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "dtype",
    "dropout",
    "early_stopping",
    "emb_pdrop",
    "embd_pdrop",
    "embedding_dropout",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "gradient_checkpointing",
    "hidden_dropout",
    "id2label",
    "init_std",
    "initializer_range",
    "is_decoder",
    "is_llama_config",
    "label2id",
    "layerdrop",
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
    "output_router_logits",
    "output_scores",
    "pad_token_id",
    "prefix",
    // Splits products for training on several devices; the sum is the same.
    "pretraining_tp",
    "problem_type",
    "remove_invalid_values",
    "repetition_penalty",
    "resid_pdrop",
    "residual_dropout",
    "return_dict",
    "return_dict_in_generate",
    // Of training.
    "router_aux_loss_coef",
    "router_jitter_noise",
    "sep_token_id",
    // Of classifiers.
    "summary_activation",
    "summary_first_dropout",
    "summary_proj_to_labels",
    "summary_type",
    "summary_use_proj",
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
    "unk_token_id",
    "unsloth_fixed",
    "unsloth_version",
    "use_bfloat16",
    "use_cache",
];

/// Reads the two files.
pub fn from_hf(config: &Value, generation: Option<&Value>) -> Result<Description> {
    let keys = Keys::new(FILE, config)?;
    let family = family(&keys)?;
    let (mut ropes, mut model) = dimensions(&keys, family)?;
    let mut warnings = ropes.warnings;
    let traits = (family.traits)(&keys, &mut model, &mut warnings)?;
    neutral(&keys, family)?;
    if ropes.local && !model.local_rope {
        ropes.tables.remove(1);
    }
    let (ends, sampling) = generate(&keys, generation, &mut warnings)?;
    keys.refuse_the_rest(HARMLESS)?;
    check(FILE, &model)?;
    Ok(Description {
        config: model,
        pooled_heads: 1,
        arch: family.arch.into(),
        ropes: ropes.tables,
        no_rope: traits.no_rope,
        local: traits.local,
        sparse: traits.sparse,
        gains: traits.gains,
        slopes: traits.slopes,
        biases: traits.biases,
        names: traits.names.unwrap_or(family.names),
        interleaved: family.interleaved,
        ends,
        sampling,
        warnings,
    })
}

/// What all families have in the same words.
fn dimensions(keys: &Keys<'_>, family: &Family) -> Result<(Ropes, Config)> {
    let words = family.words;
    let hidden = keys.need_one(words.hidden)?;
    let n_heads = keys.need_one(words.heads)?;
    let head_dim = match keys.size("head_dim")? {
        Some(n) => n,
        None if family.head_dim.is_some() => family.head_dim.unwrap_or_default(),
        None if n_heads > 0 && hidden.is_multiple_of(n_heads) => hidden / n_heads,
        None => {
            let what = format!("hidden_size {hidden} does not divide by {n_heads} heads");
            return Err(Error::new(FILE, what, AGAIN));
        }
    };
    let context = keys.one(words.context)?.unwrap_or(2048);
    let ropes = ropes(keys, head_dim, context, family)?;
    let ffn_dim = match keys.one(words.inner)? {
        Some(n) => n,
        None if words.four_times => 4 * hidden.min(Config::MAX_DIM),
        None => keys.need_one(words.inner)?,
    };
    let config = Config {
        vocab_size: keys.need("vocab_size")?,
        dim: hidden,
        n_layers: keys.need_one(words.layers)?,
        n_heads,
        n_kv_heads: kv_heads(keys, family)?.unwrap_or(n_heads),
        head_dim,
        ffn_dim,
        context,
        rot_dim: ropes.rot_dim,
        local_rope: ropes.local,
        long_context: ropes.long_context,
        activation: activation(keys, family)?,
        score_scale: score_scale(head_dim),
        tied: keys.bool("tie_word_embeddings")?.unwrap_or(family.tied),
        ..Config::default()
    };
    Ok((ropes, config))
}

/// Key and value heads, where it is not as many as of queries, which a null says.
fn kv_heads(keys: &Keys<'_>, family: &Family) -> Result<Option<usize>> {
    const KEY: &str = "num_key_value_heads";
    if keys.has(KEY) { keys.size(KEY) } else { Ok(family.kv_heads) }
}

/// The non-linearity by the name that `transformers` gives it.
fn activation(keys: &Keys<'_>, family: &Family) -> Result<Activation> {
    let mut found = Vec::new();
    for key in family.words.activation {
        found.extend(keys.get(key).map(|name| (key, name, family.activation_of(name))));
    }
    match found.first() {
        None => Ok(family.activation),
        Some((_, _, Some(activation))) => Ok(*activation),
        Some((key, name, None)) => {
            let known = "known: silu, gelu, gelu_new, gelu_pytorch_tanh, gelu_fast, relu, relu2";
            Err(Error::new(FILE, format!("{key} is {name}"), known))
        }
    }
}

/// Families that are known not to be one of these decoders, and what they have beyond it.
const NOT_YET: &[(&str, &str)] =
    &[("DeepseekV2ForCausalLM", LATENT), ("DeepseekV3ForCausalLM", LATENT)];

fn family(keys: &Keys<'_>) -> Result<&'static Family> {
    let found = match keys.get("architectures") {
        Some(Value::Array(list)) if list.len() == 1 => list[0].as_str(),
        _ => None,
    };
    let known: Vec<_> = FAMILIES.iter().map(|family| family.arch).collect();
    let known = format!("known: {}", known.join(", "));
    let found = found.ok_or_else(|| {
        Error::new(FILE, "architectures does not name exactly one", known.clone())
    })?;
    // As the files of its authors spell it.
    let found = if found == "MPTForCausalLM" { "MptForCausalLM" } else { found };
    let family = FAMILIES.iter().find(|family| family.arch == found);
    let family = family.ok_or_else(|| {
        let why = NOT_YET.iter().find(|(arch, _)| *arch == found);
        let why = why.map_or("is not known".into(), |(_, why)| format!("has {why}"));
        Error::new(FILE, format!("architecture {found} {why}"), known)
    })?;
    keys.must_be("model_type", &[json!(family.model_type)])?;
    Ok(family)
}

/// Keys that exist in the family's config class and must have the value that changes nothing.
fn neutral(keys: &Keys<'_>, family: &Family) -> Result<()> {
    let method = |v: &'_ Value| v.get("quant_method").and_then(Value::as_str).map(str::to_owned);
    let quantized = keys.get("quantization_config").map(method);
    if quantized.is_some_and(|method| method.is_none() || method.as_deref() != family.quantization)
    {
        let todo = "get the model in f32, f16 or bf16";
        return Err(Error::new(FILE, "quantization_config: quantized safetensors", todo));
    }
    for key in ["add_cross_attention", "is_encoder_decoder", "rope_interleaved"] {
        keys.must_be(key, &[json!(false)])?;
    }
    keys.must_be("use_bidirectional_attention", &[json!(false)])?;
    for key in ["tie_encoder_decoder", "cross_attention_hidden_size"] {
        keys.must_be(key, &[json!(false)])?;
    }
    keys.must_be("pruned_heads", &[json!({})])
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
