//! A tokenizer's published form to the tables that the runtime searches.
//!
//! Two sources, [`from_json`] and [`from_gguf`], end in one description and one
//! writer. What the runtime does not do exactly is refused by name.

mod alphabet;
mod charsmap;
mod description;
mod gguf;
mod json;
mod normalizer;
mod post_processor;
mod pre_tokenizer;
mod spaces;
mod unigram;
mod write;

pub use gguf::{GgufTokenizer, from_gguf};
pub use json::from_json;

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

impl TokenizerError {
    fn unsupported(part: &'static str, found: impl fmt::Display) -> Self {
        Self::Unsupported { part, found: found.to_string() }
    }
}

fn malformed(what: impl Into<String>) -> TokenizerError {
    TokenizerError::Malformed(what.into())
}
