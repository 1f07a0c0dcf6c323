//! Why a session did not do what it was asked.

use core::fmt;

/// Why tokens were not fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FeedError {
    /// The vocabulary has no such token.
    UnknownToken {
        /// Its id.
        id: u32,
        /// Its index among the tokens to be fed.
        index: usize,
    },
}

impl fmt::Display for FeedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::UnknownToken { id, index } = self;
        write!(f, "token {id} (at index {index}) is not in the vocabulary")
    }
}

impl core::error::Error for FeedError {}

/// Why tokens were not taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TruncateError {
    /// The stream is shorter than that.
    NotReached,
    /// What the next token would have to see has been overwritten.
    Forgotten,
}

impl fmt::Display for TruncateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReached => write!(f, "the stream is shorter than that"),
            Self::Forgotten => write!(f, "that lies further back than the cache reaches"),
        }
    }
}

impl core::error::Error for TruncateError {}
