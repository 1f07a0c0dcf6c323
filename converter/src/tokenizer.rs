//! A tokenizer's published form to the tables that the runtime searches.
//!
//! Two sources, [`from_json`] and [`from_gguf`], end in one description and one
//! writer. What the runtime does not do exactly is refused by name.

use std::fmt;

/// A tokenizer as the runtime reads it, and what else conversion needs of it.
#[derive(Debug)]
pub struct Compiled {
    /// The section of the model file.
    pub section: Vec<u8>,
    /// Ids that it can give: one more than the largest.
    pub vocab_size: usize,
    /// The names that chat templates know special tokens by (`bos_token`, …) and their text.
    pub specials: Vec<(String, String)>,
}

/// Why a tokenizer cannot be converted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenizerError {
    /// Not JSON, or not of the form that it should have: the place and what is wrong there.
    Malformed(String),
    /// Something that the runtime does not do: the part and its value.
    Unsupported {
        /// Such as `pre_tokenizer`.
        part: &'static str,
        /// What was found there.
        found: String,
    },
}

impl fmt::Display for TokenizerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => write!(f, "{what}"),
            Self::Unsupported { part, found } => write!(f, "unsupported {part}: {found}"),
        }
    }
}

impl std::error::Error for TokenizerError {}

/// Compiles `tokenizer.json`, with `tokenizer_config.json` for the names of special tokens.
///
/// `ends` are the ids that end what the model generates (`eos_token_id` of
/// `generation_config.json` or `config.json`); the `eos_token` of the tokenizer is always one.
pub fn from_json(
    tokenizer: &[u8],
    config: Option<&[u8]>,
    ends: &[u32],
) -> Result<Compiled, TokenizerError> {
    let _ = (tokenizer, config, ends);
    Err(TokenizerError::Malformed("not implemented".into()))
}

/// What GGUF metadata says about a tokenizer, under keys `tokenizer.ggml.…`.
#[derive(Clone, Debug, Default)]
pub struct GgufTokenizer<'a> {
    /// `model`
    pub model: &'a str,
    /// `pre`
    pub pre: Option<&'a str>,
    /// `tokens`
    pub tokens: Vec<&'a str>,
    /// `token_type`; empty if missing
    pub token_types: Vec<i32>,
    /// `merges`
    pub merges: Vec<&'a str>,
    /// `bos_token_id`
    pub bos: Option<u32>,
    /// `eos_token_id`
    pub eos: Option<u32>,
    /// `eot_token_id`
    pub eot: Option<u32>,
    /// `unknown_token_id`
    pub unknown: Option<u32>,
    /// `padding_token_id`
    pub padding: Option<u32>,
    /// `add_bos_token`
    pub add_bos: Option<bool>,
    /// `add_eos_token`
    pub add_eos: Option<bool>,
    /// `add_space_prefix`
    pub add_space_prefix: Option<bool>,
}

/// Compiles the tokenizer of a GGUF file.
pub fn from_gguf(source: &GgufTokenizer<'_>) -> Result<Compiled, TokenizerError> {
    let _ = source;
    Err(TokenizerError::Malformed("not implemented".into()))
}
