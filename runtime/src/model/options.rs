//! Options of a session.

use core::fmt;

use super::open::Model;
use crate::cache::{Ring, Rings};
use crate::format::Positions;
use crate::format::kv::KvType;
use crate::kernels::MAX_HEAD_DIM;

/// The shape of a session, which with the model decides how many bytes it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Options {
    /// Tokens of context: those that the newest one sees, itself and the sinks included; at least
    /// 2.
    pub context: usize,
    /// Attention sinks: first tokens of the stream that stay visible; at most half the context.
    pub sinks: usize,
    /// The type of cached keys and values.
    pub kv: KvType,
    /// Tokens that go through the layers together in prefill; at least 1. It changes speed and
    /// memory, and no bit of a logit.
    pub chunk: usize,
    /// Tokens that [`Session::feed_speculative`](crate::Session::feed_speculative) may draft.
    pub draft: usize,
    /// Tokens whose logits are computed together by
    /// [`Session::feed_each`](crate::Session::feed_each); at least 1.
    pub logit_rows: usize,
    /// Position of the first token.
    pub base_position: u64,
}

impl Options {
    /// The largest context that [`Options::for_model`] takes: its cache is no larger than the
    /// weights of a small model.
    pub const DEFAULT_CONTEXT: usize = 4096;
    /// Sinks that keep a stream stable without costing window (arXiv 2309.17453, section 3).
    pub const DEFAULT_SINKS: usize = 4;
    /// Tokens of a chunk: enough for weights to be read once for many, few enough for their
    /// activations to stay in a core's cache.
    pub const DEFAULT_CHUNK: usize = 64;
    /// Tokens that a chat drafts at a time: with the one before them they fill a tile of the
    /// matrix kernels.
    pub const CHAT_DRAFT: usize = 3;

    /// Options that suit a model: its own context up to [`Self::DEFAULT_CONTEXT`], and a cache
    /// whose error disappears beside that of its matrices.
    pub fn for_model(model: &Model<'_>) -> Self {
        let context = model.config().context.clamp(2, Self::DEFAULT_CONTEXT);
        Self {
            context,
            sinks: Self::DEFAULT_SINKS.min(context / 2),
            kv: if model.is_f32() { KvType::F32 } else { KvType::F16 },
            chunk: Self::DEFAULT_CHUNK,
            draft: 0,
            logit_rows: 1,
            base_position: 0,
        }
    }

    /// Tokens that go through the layers together at most: a chunk, or one token and the
    /// drafts behind it. `None` if that overflows.
    pub(crate) fn max_batch(&self) -> Option<usize> {
        Some(self.chunk.max(self.draft.checked_add(1)?))
    }

    /// Slots of storage beyond the visible window, so that a chunk can be written before it
    /// is attended and taken back after that, drafts behind it or not. `None` if that
    /// overflows.
    pub(crate) fn slack(&self) -> Option<usize> {
        self.chunk.saturating_sub(1).checked_add(self.draft)
    }

    /// Rows of logits that are computed together at most. `None` if that overflows.
    pub(crate) fn max_logit_rows(&self) -> Option<usize> {
        let drafted = if self.draft == 0 { 0 } else { self.draft.checked_add(1)? };
        Some(self.logit_rows.max(drafted))
    }

    /// The rings of layers that see all of the context, and of those that see `window` tokens; 0 if
    /// there are none.
    ///
    /// # Errors
    /// [`OptionsError::TooLarge`]
    pub(crate) fn rings(&self, window: usize) -> Result<Rings, OptionsError> {
        let rings = |slack| {
            let whole = Ring::new(self.context, self.sinks, slack)?;
            let local = match window {
                0 => whole,
                _ => Ring::local(self.context, self.sinks, slack, window)?,
            };
            Some(Rings { whole, local })
        };
        self.slack().and_then(rings).ok_or(OptionsError::TooLarge)
    }

    /// Checks the options of a session with `model`.
    ///
    /// # Errors
    /// The first option that cannot be.
    pub(crate) fn check(&self, model: &Model<'_>) -> Result<(), OptionsError> {
        if model.config().head_dim > MAX_HEAD_DIM {
            return Err(OptionsError::HeadTooLong { most: MAX_HEAD_DIM });
        }
        if self.context < 2 {
            return Err(OptionsError::ContextTooShort);
        }
        if self.sinks > self.context / 2 {
            return Err(OptionsError::TooManySinks { most: self.context / 2 });
        }
        let most = model.config().context;
        let end = self.base_position.saturating_add(self.context as u64);
        if model.config().positions == Positions::Learned && end > most as u64 {
            return Err(OptionsError::NoPositions { most });
        }
        if self.chunk == 0 {
            return Err(OptionsError::NoChunk);
        }
        if self.logit_rows == 0 {
            return Err(OptionsError::NoLogitRows);
        }
        Ok(())
    }
}

/// The reason why there can be no session with these options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum OptionsError {
    /// The context holds fewer than two tokens.
    ContextTooShort,
    /// The sinks take more than half of the context.
    TooManySinks {
        /// The most that this context allows.
        most: usize,
    },
    /// The model has no positions for that many tokens.
    NoPositions {
        /// Number of positions that it has.
        most: usize,
    },
    /// The chunk is 0.
    NoChunk,
    /// `logit_rows` is 0.
    NoLogitRows,
    /// The model's heads have more elements than the kernels take.
    HeadTooLong {
        /// The most they take.
        most: usize,
    },
    /// More bytes than this machine can address.
    TooLarge,
    /// The scratch slice is shorter than [`Session::bytes_needed`](crate::Session::bytes_needed).
    ScratchTooShort {
        /// Bytes that the session needs.
        needed: usize,
        /// Bytes that there are.
        given: usize,
    },
}

impl fmt::Display for OptionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ContextTooShort => write!(f, "a context holds at least 2 tokens"),
            Self::TooManySinks { most } => {
                write!(f, "sinks take at most half of the context, here {most}")
            }
            Self::NoPositions { most } => {
                write!(f, "the model has learned {most} positions, and cannot go beyond")
            }
            Self::NoChunk => write!(f, "a chunk has at least 1 token"),
            Self::NoLogitRows => write!(f, "at least 1 row of logits is computed at a time"),
            Self::HeadTooLong { most } => {
                write!(f, "the model's heads have more than {most} elements")
            }
            Self::TooLarge => write!(f, "needs more memory than this machine can address"),
            Self::ScratchTooShort { needed, given } => {
                write!(f, "needs {needed} bytes of scratch, was given {given}")
            }
        }
    }
}

impl core::error::Error for OptionsError {}
