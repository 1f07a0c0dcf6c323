//! The loop: feed tokens, get logits, choose the next token.

use core::fmt;

use crate::machine::Machine;
use crate::model::Model;
use crate::options::{Options, OptionsError};

/// A stream of tokens through a model, with its cache: all of it in the caller's slice.
///
/// Nothing is allocated and nothing grows, however long the stream. Past
/// [`Options::context`] the newest tokens and the sinks stay visible and the stream goes on.
pub struct Session<'a> {
    model: Model<'a>,
    options: Options,
}

impl<'a> Session<'a> {
    /// Bytes of scratch that a session needs, exactly, at any alignment and with any
    /// number of sinks that [`Session::reset`] may set later.
    pub fn bytes_needed(model: &Model<'_>, options: &Options) -> Result<usize, OptionsError> {
        let _ = (model, options);
        unimplemented!()
    }

    /// A session in `scratch`, which may hold anything: it is not zeroed, and cells of the
    /// cache that no token reaches are never touched.
    pub fn new(
        model: Model<'a>,
        options: Options,
        scratch: &'a mut [u8],
    ) -> Result<Self, OptionsError> {
        let _ = (model, options, scratch);
        unimplemented!()
    }

    /// Appends `tokens` to the stream, [`Options::chunk`] at a time. On an error nothing
    /// was fed.
    pub fn feed(&mut self, machine: &Machine<'_>, tokens: &[u32]) -> Result<(), FeedError> {
        let _ = (machine, tokens);
        unimplemented!()
    }

    /// As [`Session::feed`], and hands `each` the index in `tokens` and the logits
    /// `(vocab_size)` of every token, computed [`Options::logit_rows`] at a time.
    pub fn feed_each(
        &mut self,
        machine: &Machine<'_>,
        tokens: &[u32],
        each: &mut dyn FnMut(usize, &[f32]),
    ) -> Result<(), FeedError> {
        let _ = (machine, tokens, each);
        unimplemented!()
    }

    /// Logits of the last token fed: `(vocab_size)`. Empty if none was fed since the
    /// session began, was reset or was truncated.
    pub fn logits(&mut self, machine: &Machine<'_>) -> &[f32] {
        let _ = machine;
        unimplemented!()
    }

    /// Tokens in the stream, those out of sight included.
    pub fn len(&self) -> u64 {
        unimplemented!()
    }

    /// Whether the stream has no token.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes back the tokens from index `len` on, as if they had never been fed: exact for
    /// the last `max(chunk, draft + 1) − 1` tokens fed, and for more while none of what the
    /// next token must see has been overwritten.
    pub fn truncate(&mut self, len: u64) -> Result<(), TruncateError> {
        let _ = len;
        unimplemented!()
    }

    /// Starts an empty stream, with this many sinks: at most half the context.
    pub fn reset(&mut self, sinks: usize) -> Result<(), OptionsError> {
        let _ = sinks;
        unimplemented!()
    }

    /// The tokens that the next token will be chosen from: sinks, then the visible window.
    pub fn visible(&self) -> impl Iterator<Item = u32> {
        core::iter::empty()
    }

    /// What the session was asked to be; `sinks` as last reset.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The model that the session runs.
    pub fn model(&self) -> &Model<'a> {
        &self.model
    }
}

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
