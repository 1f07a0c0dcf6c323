//! `config.json` and `generation_config.json` of Hugging Face transformers 4 and 5.

mod family;
mod gated;
mod generation;
mod keys;
pub mod names;
mod plain;
pub mod quantization;
mod rope;
mod rope_scaling;
mod shared;
mod sparse;
mod table;
pub mod wrapped;

use oarlock::internal::format::{Activation, Config};
use serde_json::{Value, json};

use super::checks::{LATENT, check, score_scale};
use super::description::ModelDescription;
use crate::error::{Error, Result};
use family::Family;
use generation::generate;
use keys::{AGAIN, FILE, HARMLESS, Keys};
use rope::{Ropes, ropes};
use table::FAMILIES;

/// Reads the two files.
pub fn from_hf(config: &Value, generation: Option<&Value>) -> Result<ModelDescription> {
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
    Ok(ModelDescription {
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

/// Reads the dimensions, which all families have in common but for the names of their keys.
fn dimensions(keys: &Keys<'_>, family: &Family) -> Result<(Ropes, Config)> {
    let names = family.keys;
    let hidden = keys.need_one(names.hidden)?;
    let n_heads = keys.need_one(names.heads)?;
    let head_dim = match keys.size("head_dim")? {
        Some(n) => n,
        None if family.head_dim.is_some() => family.head_dim.unwrap_or_default(),
        None if n_heads > 0 && hidden.is_multiple_of(n_heads) => hidden / n_heads,
        None => {
            let what = format!("hidden_size {hidden} does not divide by {n_heads} heads");
            return Err(Error::new(FILE, what, AGAIN));
        }
    };
    let context = keys.one(names.context)?.unwrap_or(2048);
    let ropes = ropes(keys, head_dim, context, family)?;
    let ffn_dim = match keys.one(names.ffn_hidden)? {
        Some(n) => n,
        None if names.four_times => 4 * hidden.min(Config::MAX_DIM),
        None => keys.need_one(names.ffn_hidden)?,
    };
    let config = Config {
        vocab_size: keys.need("vocab_size")?,
        dim: hidden,
        n_layers: keys.need_one(names.layers)?,
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
    for key in family.keys.activation {
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
    let method =
        keys.get("quantization_config").map(|v| v.get("quant_method").and_then(Value::as_str));
    // Other methods have tensors of any family (see [`quantization`]); this one has names of its own.
    let own = method.is_some_and(|method| method == Some("mxfp4") || family.quantization.is_some());
    if own && method.flatten() != family.quantization {
        let todo = "get the model in f32, f16 or bf16";
        return Err(Error::new(FILE, "quantization_config: quantized safetensors", todo));
    }
    keys.get("quantization");
    for key in ["add_cross_attention", "is_encoder_decoder", "rope_interleaved"] {
        keys.must_be(key, &[json!(false)])?;
    }
    keys.must_be("use_bidirectional_attention", &[json!(false)])?;
    for key in ["tie_encoder_decoder", "cross_attention_hidden_size"] {
        keys.must_be(key, &[json!(false)])?;
    }
    keys.must_be("pruned_heads", &[json!({})])
}
