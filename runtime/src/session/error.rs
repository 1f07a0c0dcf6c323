//! Errors of a session.

use core::fmt;

use crate::format::kv::KvType;

/// The reason why tokens were not fed.
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
    /// The stream would go beyond the positions that the model has learned.
    NoPositions {
        /// Tokens that a stream can have.
        most: u64,
    },
}

impl fmt::Display for FeedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownToken { id, index } => {
                write!(f, "token {id} (at index {index}) is not in the vocabulary")
            }
            Self::NoPositions { most } => {
                write!(f, "the model has learned positions for {most} tokens, and no more")
            }
        }
    }
}

impl core::error::Error for FeedError {}

/// The reason why tokens were not taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TruncateError {
    /// The stream is shorter than that.
    NotReached,
    /// Keys that the next token would have to see have been overwritten.
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

/// The reason why a state was not taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RestoreError<E> {
    /// The source of its bytes failed.
    Source(E),
    /// The saved session has this context.
    Context(u64),
    /// The saved session has this type of cache.
    Kv(KvType),
    /// The saved session's storage reaches further beyond its context, or less far.
    Slack {
        /// Tokens of its chunk.
        chunk: u64,
        /// Tokens that it could draft.
        draft: u64,
    },
    /// The saved session's first token has this position.
    BasePosition(u64),
    /// The bytes contradict themselves: no session has handed them out.
    Damaged,
}

impl<E: fmt::Display> fmt::Display for RestoreError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(error) => error.fmt(f),
            Self::Context(context) => write!(f, "it has a context of {context} tokens"),
            Self::Kv(kv) => write!(f, "its cache is of type {}", kv.name()),
            Self::Slack { chunk, draft } => {
                write!(f, "it has a chunk of {chunk} tokens and up to {draft} drafts")
            }
            Self::BasePosition(position) => write!(f, "it begins at position {position}"),
            Self::Damaged => write!(f, "it is damaged"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for RestoreError<E> {}
