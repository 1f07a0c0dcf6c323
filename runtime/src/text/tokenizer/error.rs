//! Errors of the tokenizer.

use core::fmt;

/// The reason why a text could not be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum EncodeError {
    /// A word, or the text rewritten, does not fit: see
    /// [`Tokenizer::scratch_len`](super::Tokenizer::scratch_len).
    ScratchTooSmall,
}

/// The error of a tokenizer section that this version does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BadTables;

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ScratchTooSmall => f.write_str("the text is too long for the scratch"),
        }
    }
}

impl core::error::Error for EncodeError {}

impl fmt::Display for BadTables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the tokenizer is not one that this version reads")
    }
}

impl core::error::Error for BadTables {}
