//! The metadata of a GGUF file.

use oarlock::Sampling;
use oarlock::internal::format::Config;

use super::gguf_families::{FAMILIES, Family};
use super::{Biases, Description, LATENT, Rotary, UNKNOWN};
use super::{check, check_rope, in_range, score_scale};
use crate::error::{Error, Result};
use crate::gguf::{Gguf, Metadata, Value};
use crate::names::{LLAMA_GGUF, ROPE_FREQS, ROPE_LONG, ROPE_SHORT};
use crate::rope::{Scaling, yarn};
use crate::source::{Dtype, Raw, decode};

const AGAIN: &str = "get the file again";
/// Keys of the architecture that are read below or change nothing.
const READ: &[&str] = &[
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.layer_norm_rms_epsilon",
    "attention.scale",
    "attention.value_length",
    "block_count",
    "context_length",
    "embedding_length",
    "feed_forward_length",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.scaling.factor",
    "rope.scaling.finetuned",
    "rope.scaling.original_context_length",
    "rope.scaling.type",
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow",
    "vocab_size",
];

/// Architectures that are known not to be one of these decoders, and what they have beyond it.
const NOT_YET: &[(&str, &str)] = &[("deepseek2", LATENT), ("deepseek32", LATENT)];

/// Keys that must have the value that changes nothing.
const NEUTRAL: &[(&str, Neutral)] = &[
    ("attention.causal", Neutral::Bool(true)),
    ("expert_count", Neutral::Number(0.0)),
    ("expert_used_count", Neutral::Number(0.0)),
    ("rope.scaling.attn_factor", Neutral::Number(1.0)),
    ("rope.scaling.yarn_attn_factor", Neutral::Number(1.0)),
    ("rope.scaling.yarn_ext_factor", Neutral::Number(1.0)),
    ("rope.scale_linear", Neutral::Number(1.0)),
    ("tensor_data_layout", Neutral::Str("")),
    ("use_parallel_residual", Neutral::Bool(false)),
];

enum Neutral {
    Bool(bool),
    Number(f64),
    Str(&'static str),
}

/// Reads the metadata, and from the tensors what it leaves open.
pub fn from_gguf(file: &Gguf<'_>) -> Result<Description> {
    let arch = file.metadata.get("general.architecture").and_then(|v| v.as_str());
    let known: Vec<_> = FAMILIES.iter().map(|family| family.arch).collect();
    let known = format!("known in GGUF: {}", known.join(", "));
    let arch = arch.ok_or_else(|| {
        Error::new("general.architecture", "the GGUF file does not say", known.clone())
    })?;
    let family = FAMILIES.iter().find(|family| family.arch == arch).ok_or_else(|| {
        let why = NOT_YET.iter().find(|(other, _)| *other == arch);
        let why = why.map_or("is not known".into(), |(_, why)| format!("has {why}"));
        Error::new("general.architecture", format!("architecture {arch} {why}"), known)
    })?;
    let keys = Keys { arch, file };
    keys.refuse_unknown(family)?;
    let mut config = config(&keys, file)?;
    let traits = (family.traits)(&keys, &mut config)?;
    let ropes = ropes(&keys, file, family, &mut config)?;
    check("GGUF metadata", &config)?;
    let [apart, fused] = family.names;
    let names = if keys.has_tensor("blk.0.attn_qkv.weight") { fused } else { apart };
    Ok(Description {
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
        interleaved: family.interleaved,
        // The tokenizer's own end tokens are all that GGUF has.
        ends: Vec::new(),
        sampling: sampling(&file.metadata)?,
        warnings: family.warning.map(Into::into).into_iter().collect(),
    })
}

/// The tables of rotary frequencies, in the order of [`Description::ropes`].
fn ropes(
    keys: &Keys<'_, '_>,
    file: &Gguf<'_>,
    family: &Family,
    config: &mut Config,
) -> Result<Vec<Rotary>> {
    let rot_dim = config.rot_dim;
    let base = |key| -> Result<f64> {
        let theta = keys.float(key)?.unwrap_or(10000.0);
        check_rope("GGUF metadata", theta, rot_dim)?;
        Ok(theta)
    };
    let theta = base("rope.freq_base")?;
    if keys.has_tensor(ROPE_SHORT) {
        return longrope(keys, file, theta, config);
    }
    let (scaling, attention_factor) = scaling(keys, file, theta, rot_dim, family.truncated)?;
    let mut ropes = vec![Rotary { theta, scaling, attention_factor }];
    if config.local_rope {
        let theta = base("rope.freq_base_swa")?;
        ropes.push(Rotary { theta, scaling: Scaling::None, attention_factor: 1.0 });
    }
    Ok(ropes)
}

/// Phi-3's: what frequencies are divided by in contexts up to the original one, and beyond.
fn longrope(
    keys: &Keys<'_, '_>,
    file: &Gguf<'_>,
    theta: f64,
    config: &mut Config,
) -> Result<Vec<Rotary>> {
    const FACTOR: &str = "rope.scaling.attn_factor";
    config.long_context = keys.need("rope.scaling.original_context_length")?;
    let factor = keys.float(FACTOR)?.unwrap_or(1.0) as f32;
    if !factor.is_normal() || factor <= 0.0 {
        return Err(Error::new(keys.name(FACTOR), format!("it is {factor}"), AGAIN));
    }
    let table = |name| {
        let scaling = divisors(file, name, config.rot_dim)?;
        Ok(Rotary { theta, scaling, attention_factor: factor })
    };
    [ROPE_SHORT, ROPE_LONG].map(table).into_iter().collect()
}

fn config(keys: &Keys<'_, '_>, file: &Gguf<'_>) -> Result<Config> {
    let name = LLAMA_GGUF.of(oarlock::internal::format::Role::Embedding, None).unwrap_or_default();
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

/// How rotary frequencies are altered, and what sine and cosine are multiplied by.
fn scaling(
    keys: &Keys<'_, '_>,
    file: &Gguf<'_>,
    theta: f64,
    rot_dim: usize,
    truncated: bool,
) -> Result<(Scaling, f32)> {
    let number = |key: &str| {
        let name = keys.name(&format!("rope.scaling.{key}"));
        let v = keys.float(&format!("rope.scaling.{key}"))?;
        v.filter(|&v| v > 0.0).ok_or_else(|| Error::new(name, "not a positive number", AGAIN))
    };
    let kind = keys.get("rope.scaling.type");
    match kind.as_ref().map_or(Some("none"), |kind| kind.as_str()) {
        Some("none") if keys.float("rope.scaling.factor")?.is_none_or(|v| v == 1.0) => {
            Ok((divisors(file, ROPE_FREQS, rot_dim)?, 1.0))
        }
        Some("linear" | "yarn") if file.tensors.contains_key(ROPE_FREQS) => {
            Err(Error::new(ROPE_FREQS, "it is there beside rope.scaling.type", "get one of them"))
        }
        Some("linear") => Ok((Scaling::Divisors(vec![number("factor")?; rot_dim / 2]), 1.0)),
        Some("yarn") => {
            let (factor, original) = (number("factor")?, number("original_context_length")?);
            let turns = |key, default| Ok(keys.float(key)?.unwrap_or(default));
            let fast = turns("rope.scaling.yarn_beta_fast", 32.0)?;
            let slow = turns("rope.scaling.yarn_beta_slow", 1.0)?;
            let made = yarn(theta, rot_dim, factor, [fast, slow], original, truncated);
            let what = "no frequencies can be made of its numbers";
            let (divisors, mscale) =
                made.ok_or_else(|| Error::new(keys.name("rope.scaling"), what, AGAIN))?;
            Ok((Scaling::Divisors(divisors), mscale as f32))
        }
        _ => {
            let what = "it is not known, or none beside a factor";
            let todo = "known: none, linear, yarn";
            Err(Error::new(keys.name("rope.scaling.type"), what, todo))
        }
    }
}

/// What each rotary frequency is divided by, by the tensor of this name: Llama 3's scaling and
/// Phi-3's, as GGUF has them.
fn divisors(file: &Gguf<'_>, name: &str, rot_dim: usize) -> Result<Scaling> {
    let Some(raw) = file.tensors.get(name) else { return Ok(Scaling::None) };
    if raw.dtype != Dtype::F32 || raw.shape != [rot_dim / 2] {
        let what = format!("{:?} of shape {:?}", raw.dtype, raw.shape);
        return Err(Error::new(name, what, format!("it should be F32 of {}", rot_dim / 2)));
    }
    let mut values = vec![0.0; rot_dim / 2];
    decode(raw.dtype, raw.data, &mut values);
    if values.iter().any(|v| !v.is_finite() || *v <= 0.0) {
        return Err(Error::new(name, "a value is not a positive number", AGAIN));
    }
    Ok(Scaling::Divisors(values.into_iter().map(f64::from).collect()))
}

/// `general.sampling.…`, which few files have.
fn sampling(metadata: &Metadata<'_>) -> Result<Sampling> {
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

/// The keys of the architecture.
pub(super) struct Keys<'a, 'm> {
    arch: &'a str,
    file: &'a Gguf<'m>,
}

impl<'m> Keys<'_, 'm> {
    pub(super) fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.arch)
    }

    pub(super) fn has_tensor(&self, name: &str) -> bool {
        self.file.tensors.contains_key(name)
    }

    /// The layers that have a tensor of this name.
    pub(super) fn layers_with(&self, name: &str) -> impl Iterator<Item = usize> {
        self.file
            .tensors
            .keys()
            .filter_map(move |tensor| tensor.strip_prefix("blk.")?.strip_suffix(name)?.parse().ok())
    }

    pub(super) fn get(&self, key: &str) -> Option<Value<'m>> {
        self.file.metadata.get(&self.name(key))
    }

    pub(super) fn size(&self, key: &str) -> Result<Option<usize>> {
        let Some(v) = self.get(key) else { return Ok(None) };
        let size = v.as_u64().and_then(|n| usize::try_from(n).ok());
        let wrong = || Error::new(self.name(key), "it is not one whole number", AGAIN);
        size.map(Some).ok_or_else(wrong)
    }

    pub(super) fn need(&self, key: &str) -> Result<usize> {
        let missing = || Error::new(self.name(key), "the key is missing", AGAIN);
        self.size(key)?.ok_or_else(missing)
    }

    pub(super) fn float(&self, key: &str) -> Result<Option<f64>> {
        let Some(v) = self.get(key) else { return Ok(None) };
        let wrong = || Error::new(self.name(key), "it is not a number", AGAIN);
        v.as_f64().map(Some).ok_or_else(wrong)
    }

    pub(super) fn bool(&self, key: &str) -> Result<Option<bool>> {
        let Some(v) = self.get(key) else { return Ok(None) };
        let wrong = || Error::new(self.name(key), "it is neither true nor false", AGAIN);
        v.as_bool().map(Some).ok_or_else(wrong)
    }

    /// Refuses keys of the architecture that could change the mathematics.
    fn refuse_unknown(&self, family: &Family) -> Result<()> {
        let prefix = self.name("");
        for (name, value) in self.file.metadata.iter() {
            let Some(key) = name.strip_prefix(&prefix) else { continue };
            if READ.contains(&key) || family.reads.contains(&key) {
                continue;
            }
            let neutral = NEUTRAL.iter().find(|(k, _)| *k == key);
            let (_, neutral) = neutral.ok_or_else(|| Error::new(name, "unknown key", UNKNOWN))?;
            let is_neutral = match *neutral {
                Neutral::Bool(b) => value.as_bool() == Some(b),
                Neutral::Number(n) => value.as_f64() == Some(n),
                Neutral::Str(s) => value.as_str() == Some(s),
            };
            if !is_neutral {
                let value = value.as_str().map_or(format!("{value:?}"), |s| format!("{s:?}"));
                return Err(Error::new(name, format!("it is {value}"), "not supported yet"));
            }
        }
        Ok(())
    }
}
