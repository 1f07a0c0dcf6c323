//! The loop under every answer: a stream of tokens is fed, and what follows is chosen.

use crate::kernels::Machine;
use crate::model::OptionsError;
use crate::session::{FeedError, Sampler, Session, TruncateError};

/// Chunks that are fed between two looks at whether to stop.
const CHUNKS_AT_ONCE: usize = 4;

/// The end of a stream of tokens, in the caller's memory: all of it, where memory can grow.
pub trait TokenStore {
    /// Index in the stream of the first token that is kept.
    fn first(&self) -> u64;

    /// Tokens that are kept, up to the end of the stream.
    fn ids(&self) -> &[u32];

    /// The same tokens, to be rewritten.
    fn ids_mut(&mut self) -> &mut [u32];

    /// Appends a token; false if there is no room.
    fn push(&mut self, id: u32) -> bool;

    /// Ends the stream after `len` tokens.
    fn truncate(&mut self, len: u64);

    /// Lets go of the tokens before this index, to make room; does nothing where memory grows.
    fn forget(&mut self, before: u64);
}

/// The way in which a stream was made shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Rewound {
    /// The ring still held all that comes before.
    AtOnce,
    /// The ring did not: this many tokens are read again before the next answer.
    ByReplay(u64),
}

/// A session, and the tokens of its stream: those that were fed, then those that wait for it.
pub struct Generator<'a, S> {
    session: Session<'a>,
    tokens: S,
}

impl<'a, S: TokenStore> Generator<'a, S> {
    /// Goes on with a session whose stream the tokens are, as far as it has one.
    pub const fn new(session: Session<'a>, tokens: S) -> Self {
        Self { session, tokens }
    }

    /// The session.
    pub const fn session(&self) -> &Session<'a> {
        &self.session
    }

    /// The session, to be saved or restored with the tokens that it has been fed.
    pub const fn session_mut(&mut self) -> &mut Session<'a> {
        &mut self.session
    }

    /// The tokens of the stream.
    pub const fn tokens(&self) -> &S {
        &self.tokens
    }

    /// The tokens of the stream, to be replaced with the session.
    pub const fn tokens_mut(&mut self) -> &mut S {
        &mut self.tokens
    }

    /// Counts the tokens of the stream, those that wait included.
    pub fn len(&self) -> u64 {
        self.tokens.first().saturating_add(self.tokens.ids().len() as u64)
    }

    /// Whether the stream has no token.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tokens that wait to be fed.
    pub fn unfed(&self) -> &[u32] {
        unfed(&self.tokens, &self.session)
    }

    /// Appends a token, to be fed later; false if there is no room for it.
    pub fn push(&mut self, id: u32) -> bool {
        self.tokens.push(id) || {
            self.tokens.forget(self.session.len());
            self.tokens.push(id)
        }
    }

    /// Feeds a chunk of the tokens that wait, and says whether it was the last: call it until it was.
    ///
    /// # Errors
    /// [`FeedError`]: learned positions have come to their end.
    pub fn feed(&mut self, machine: &Machine<'_>) -> Result<bool, FeedError> {
        let most = self.session.options().chunk.saturating_mul(CHUNKS_AT_ONCE);
        let waiting = unfed(&self.tokens, &self.session);
        let part = waiting.get(..most).unwrap_or(waiting);
        self.session.feed(machine, part)?;
        Ok(part.len() == waiting.len())
    }

    /// Chooses the next token, of `wanted` at most that are going to be asked for.
    fn sample(
        &mut self,
        machine: &Machine<'_>,
        sampler: &mut Sampler,
        wanted: u64,
    ) -> Result<u32, FeedError> {
        // The last token is fed only once the next one is wanted.
        if let &[token] = unfed(&self.tokens, &self.session) {
            let most = usize::try_from(wanted.saturating_sub(1)).unwrap_or(usize::MAX);
            self.session.feed_speculative(machine, token, most)?;
        }
        Ok(self.session.sample(machine, sampler))
    }

    /// Chooses the next token and appends it, to be fed once the one after it is wanted; `None`
    /// if it ends the answer, and so is not in the stream.
    ///
    /// # Errors
    /// As [`Generator::feed`].
    pub fn next(
        &mut self,
        machine: &Machine<'_>,
        sampler: &mut Sampler,
        wanted: u64,
        is_end: &dyn Fn(u32) -> bool,
    ) -> Result<Option<u32>, FeedError> {
        let id = self.sample(machine, sampler, wanted)?;
        if is_end(id) {
            return Ok(None);
        }
        self.push(id);
        Ok(Some(id))
    }

    /// Starts an empty stream with this many sinks.
    ///
    /// # Errors
    /// As [`Session::reset`].
    pub fn reset(&mut self, sinks: usize) -> Result<(), OptionsError> {
        self.session.reset(sinks)?;
        self.tokens.truncate(0);
        Ok(())
    }

    /// Ends the stream after `len` tokens, of which the first `fed` need not be fed again.
    ///
    /// # Errors
    /// [`TruncateError`] where the tokens before `len` are not known any more; nothing has changed.
    pub fn rewind(&mut self, len: u64, fed: u64) -> Result<Rewound, TruncateError> {
        let (first, there) = (self.tokens.first(), self.session.len().min(fed));
        let known = there == len || there >= first;
        let held = known && self.session.truncate(there).is_ok();
        if !held {
            let (sinks, all_known) = (self.session.options().sinks, first == 0 || len == 0);
            if !all_known || self.session.reset(sinks).is_err() {
                return Err(TruncateError::Forgotten);
            }
        }
        self.tokens.truncate(len);
        Ok(if held || len == 0 { Rewound::AtOnce } else { Rewound::ByReplay(len) })
    }
}

/// Tokens that the session has not been fed.
fn unfed<'t>(tokens: &'t impl TokenStore, session: &Session<'_>) -> &'t [u32] {
    let fed = usize::try_from(session.len().saturating_sub(tokens.first()));
    fed.ok().and_then(|fed| tokens.ids().get(fed..)).unwrap_or_default()
}
