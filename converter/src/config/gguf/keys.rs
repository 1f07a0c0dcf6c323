//! Keys of an architecture in the metadata of a GGUF file.

use crate::config::checks::UNKNOWN_KEY;
use crate::error::{Error, Result};
use crate::source::gguf::{Gguf, GgufValue};

/// Advice about a value that cannot be.
pub(super) const AGAIN: &str = "get the file again";

pub(super) const EPS: &str = "attention.layer_norm_epsilon";
pub(super) const LOGIT_CAP: &str = "final_logit_softcapping";
pub(super) const WINDOW: &str = "attention.sliding_window";
pub(super) const PATTERN: &str = "attention.sliding_window_pattern";

pub(super) const EXPERTS: &str = "expert_count";
pub(super) const EXPERTS_USED: &str = "expert_used_count";
pub(super) const EXPERT_FFN: &str = "expert_feed_forward_length";
pub(super) const SHARED_FFN: &str = "expert_shared_feed_forward_length";

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

/// The keys of the architecture.
pub(super) struct GgufKeys<'a, 'm> {
    arch: &'a str,
    file: &'a Gguf<'m>,
}

impl<'a, 'm> GgufKeys<'a, 'm> {
    pub fn new(arch: &'a str, file: &'a Gguf<'m>) -> Self {
        Self { arch, file }
    }

    pub fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.arch)
    }

    pub fn has_tensor(&self, name: &str) -> bool {
        self.file.tensors.contains_key(name)
    }

    /// The layers that have a tensor of this name.
    pub fn layers_with(&self, name: &str) -> impl Iterator<Item = usize> {
        self.file
            .tensors
            .keys()
            .filter_map(move |tensor| tensor.strip_prefix("blk.")?.strip_suffix(name)?.parse().ok())
    }

    pub fn get(&self, key: &str) -> Option<GgufValue<'m>> {
        self.file.metadata.get(&self.name(key))
    }

    pub fn size(&self, key: &str) -> Result<Option<usize>> {
        let Some(v) = self.get(key) else { return Ok(None) };
        let size = v.as_u64().and_then(|n| usize::try_from(n).ok());
        let wrong = || Error::new(self.name(key), "it is not one whole number", AGAIN);
        size.map(Some).ok_or_else(wrong)
    }

    pub fn need(&self, key: &str) -> Result<usize> {
        let missing = || Error::new(self.name(key), "the key is missing", AGAIN);
        self.size(key)?.ok_or_else(missing)
    }

    pub fn float(&self, key: &str) -> Result<Option<f64>> {
        let Some(v) = self.get(key) else { return Ok(None) };
        let wrong = || Error::new(self.name(key), "it is not a number", AGAIN);
        v.as_f64().map(Some).ok_or_else(wrong)
    }

    pub fn bool(&self, key: &str) -> Result<Option<bool>> {
        let Some(v) = self.get(key) else { return Ok(None) };
        let wrong = || Error::new(self.name(key), "it is neither true nor false", AGAIN);
        v.as_bool().map(Some).ok_or_else(wrong)
    }

    /// Refuses keys of the architecture that could change the mathematics.
    pub fn refuse_unknown(&self, own: &[&str]) -> Result<()> {
        let prefix = self.name("");
        for (name, value) in self.file.metadata.iter() {
            let Some(key) = name.strip_prefix(&prefix) else { continue };
            if READ.contains(&key) || own.contains(&key) {
                continue;
            }
            let neutral = NEUTRAL.iter().find(|(k, _)| *k == key);
            let (_, neutral) =
                neutral.ok_or_else(|| Error::new(name, "unknown key", UNKNOWN_KEY))?;
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
