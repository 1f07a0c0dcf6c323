//! Reasons why a tokenizer cannot be converted.

use std::fmt;

/// Why a tokenizer cannot be converted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenizerError {
    /// Text that is no JSON, or not of the form that it should have: the place and what is wrong.
    Malformed(String),
    /// Something that the runtime does not do: the part and its value.
    Unsupported {
        /// The part, such as `pre_tokenizer`.
        part: &'static str,
        /// The value found there.
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
    pub(super) fn unsupported(part: &'static str, found: impl fmt::Display) -> Self {
        Self::Unsupported { part, found: found.to_string() }
    }
}

pub(super) fn malformed(what: impl Into<String>) -> TokenizerError {
    TokenizerError::Malformed(what.into())
}
