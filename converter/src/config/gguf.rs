//! The metadata of a GGUF file.

mod architecture;
mod keys;
pub mod names;
mod rope;
mod table;
mod traits;

use oarlock::Sampling;
use oarlock::internal::format::Config;

use super::checks::{LATENT, check, in_range, score_scale};
use super::description::{Biases, ModelDescription};
use crate::error::{Error, Result};
use crate::source::gguf::{Gguf, GgufMetadata};
use crate::source::tensor::Raw;
use keys::{AGAIN, GgufKeys};
use names::LLAMA_GGUF;
use rope::ropes;
use table::ARCHITECTURES;

/// Architectures that are known not to be one of these decoders, and what they have beyond it.
const NOT_YET: &[(&str, &str)] = &[("deepseek2", LATENT), ("deepseek32", LATENT)];

/// Reads the metadata, and from the tensors what it leaves open.
pub fn from_gguf(file: &Gguf<'_>) -> Result<ModelDescription> {
    let arch = file.metadata.get("general.architecture").and_then(|v| v.as_str());
    let known: Vec<_> = ARCHITECTURES.iter().map(|architecture| architecture.arch).collect();
    let known = format!("known in GGUF: {}", known.join(", "));
    let arch = arch.ok_or_else(|| {
        Error::new("general.architecture", "the GGUF file does not say", known.clone())
    })?;
    let architecture =
        ARCHITECTURES.iter().find(|architecture| architecture.arch == arch).ok_or_else(|| {
            let why = NOT_YET.iter().find(|(other, _)| *other == arch);
            let why = why.map_or("is not known".into(), |(_, why)| format!("has {why}"));
            Error::new("general.architecture", format!("architecture {arch} {why}"), known)
        })?;
    let keys = GgufKeys::new(arch, file);
    keys.refuse_unknown(architecture.reads)?;
    let mut config = config(&keys, file)?;
    let traits = (architecture.traits)(&keys, &mut config)?;
    let ropes = ropes(&keys, file, architecture, &mut config)?;
    check("GGUF metadata", &config)?;
    let [apart, fused] = architecture.names;
    let names = if keys.has_tensor("blk.0.attn_qkv.weight") { fused } else { apart };
    Ok(ModelDescription {
        config,
        pooled_heads: 1,
        arch: arch.into(),
        ropes,
        no_rope: traits.no_rope,
        local: traits.local,
        sparse: traits.sparse,
        gains: traits.gains,
        slopes: traits.slopes,
        biases: Biases::Found,
        names: traits.names.unwrap_or(names),
        interleaved: architecture.interleaved,
        // The tokenizer's own end tokens are all that GGUF has.
        ends: Vec::new(),
        sampling: sampling(&file.metadata)?,
        warnings: architecture.warning.map(Into::into).into_iter().collect(),
    })
}

fn config(keys: &GgufKeys<'_, '_>, file: &Gguf<'_>) -> Result<Config> {
    let name =
        LLAMA_GGUF.tensor(oarlock::internal::format::Role::Embedding, None).unwrap_or_default();
    let embedding = file.tensors.get(&name).and_then(Raw::matrix_shape);
    let (vocab_size, _) =
        embedding.ok_or_else(|| Error::new(&name, "the tensor is missing", AGAIN))?;
    let dim = keys.need("embedding_length")?;
    let n_heads = keys.need("attention.head_count")?;
    let head_dim = match keys.size("attention.key_length")? {
        Some(n) => n,
        None => dim.checked_div(n_heads).unwrap_or(0),
    };
    if keys.size("attention.value_length")?.is_some_and(|n| n != head_dim) {
        let thing = keys.name("attention.value_length");
        return Err(Error::new(thing, "it differs from key_length", "not supported yet"));
    }
    let scale = keys.float("attention.scale")?.filter(|&s| s != 0.0);
    Ok(Config {
        vocab_size,
        dim,
        n_layers: keys.need("block_count")?,
        n_heads,
        n_kv_heads: keys.size("attention.head_count_kv")?.unwrap_or(n_heads),
        head_dim,
        ffn_dim: keys.need("feed_forward_length")?,
        context: keys.need("context_length")?,
        rot_dim: keys.size("rope.dimension_count")?.unwrap_or(head_dim),
        norm_eps: keys.float("attention.layer_norm_rms_epsilon")?.unwrap_or(1e-5) as f32,
        score_scale: scale.map_or_else(|| score_scale(head_dim), |s| s as f32),
        tied: !file.tensors.contains_key("output.weight"),
        ..Config::default()
    })
}

/// `general.sampling.…`, which few files have.
fn sampling(metadata: &GgufMetadata<'_>) -> Result<Sampling> {
    let field = |key: &str, range, default| {
        let key = format!("general.sampling.{key}");
        match metadata.get(&key).and_then(|v| v.as_f64()) {
            Some(v) => in_range("GGUF metadata", &key, v, range),
            None => Ok(default),
        }
    };
    let d = Sampling::default();
    Ok(Sampling {
        temp: field("temp", 0.0..=1e6, d.temp)?,
        top_k: field("top_k", 0.0..=f64::from(u32::MAX), f64::from(d.top_k))? as u32,
        top_p: field("top_p", 0.0..=1.0, d.top_p)?,
        min_p: field("min_p", 0.0..=1.0, d.min_p)?,
        repeat_penalty: field("penalty_repeat", 1e-6..=1e6, d.repeat_penalty)?,
    })
}
