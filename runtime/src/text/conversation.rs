//! The turns of a chat, as the one stream of tokens that they are, in the caller's memory.
//!
//! A conversation lives in its session and is kept nowhere else. A turn is put into words
//! ([`Conversation::turn`]), fed ([`Conversation::feed`]) and answered, a token at a time
//! ([`Conversation::next`]); between any two calls the caller may stop.

use core::fmt;
use core::ops::Range;

use heapless::Vec;

use super::chat::{Chat, NoSuchTurn, Piece};
use super::tokenizer::{Encoded, Scratch, Special, Symbol, Tokenizer};
use crate::kernels::Machine;
use crate::model::OptionsError;
use crate::session::Sampler;
use crate::session::{FeedError, Session};

/// Chunks that are fed between two looks at whether to stop.
const CHUNKS_AT_ONCE: usize = 4;

/// What a turn is put into words in.
#[derive(Debug)]
pub struct Desk<'a> {
    /// The text of a turn: messages and what the template writes around them; behind it,
    /// as much again for tokenizers that rewrite it.
    pub text: &'a mut [u8],
    /// As many as bytes of text, or fewer.
    pub symbols: &'a mut [Symbol],
    /// The ids of a turn, and those that an interrupted one left.
    pub ids: &'a mut [u32],
}

/// Why a turn cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TurnError {
    /// The template has no place for it.
    NoSuchTurn(NoSuchTurn),
    /// Its text or its tokens do not fit the desk.
    TooLong,
    /// The stream cannot begin anew.
    Options(OptionsError),
}

impl fmt::Display for TurnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchTurn(NoSuchTurn { from, to }) => {
                write!(f, "the chat template has no place for {to:?} after {from:?}")
            }
            Self::TooLong => f.write_str("too long to be put into words"),
            Self::Options(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for TurnError {}

/// A conversation.
///
/// Of a model that thinks before it answers ([`Chat::mark`]) the thoughts come out of
/// [`next`](Self::next) as tokens like any other: pass them through a
/// [`Listener`](crate::text::chat::Listener), which tells them from the answer. They stay in the stream.
pub struct Conversation<'a> {
    session: Session<'a>,
    chat: Chat<'a>,
    tokenizer: Tokenizer<'a>,
    desk: Desk<'a>,
    /// Sinks to begin with; `None`: the default, or as many as the system turn takes, so that
    /// it is kept for ever.
    sinks: Option<usize>,
    begun: bool,
    /// Where in the desk's ids those are that belong to the stream and are not fed yet.
    unfed: Range<usize>,
}

impl<'a> Conversation<'a> {
    /// A conversation that has not begun.
    pub fn new(
        session: Session<'a>,
        chat: Chat<'a>,
        tokenizer: Tokenizer<'a>,
        desk: Desk<'a>,
        sinks: Option<usize>,
    ) -> Self {
        Self { session, chat, tokenizer, desk, sinks, begun: false, unfed: 0..0 }
    }

    /// The stream.
    pub const fn session(&self) -> &Session<'a> {
        &self.session
    }

    /// What turns ids into text.
    pub const fn tokenizer(&self) -> &Tokenizer<'a> {
        &self.tokenizer
    }

    /// Forgets everything: the next turn is the first.
    pub fn restart(&mut self) {
        (self.begun, self.unfed) = (false, 0..0);
    }

    /// Tokens that wait to be fed.
    pub fn unfed(&self) -> usize {
        self.unfed.len()
    }

    /// Puts the next turn into words: the first one begins with `system`. On an error the
    /// turn has not been.
    pub fn turn(&mut self, system: Option<&str>, message: &str) -> Result<Encoded, TurnError> {
        let pieces = if self.begun {
            self.chat.next_turn(message)
        } else {
            self.begin(system)?;
            self.chat.first_turn(system, message)
        };
        let pieces = pieces.map_err(TurnError::NoSuchTurn)?;
        self.desk.ids.copy_within(self.unfed.clone(), 0);
        self.unfed = 0..self.unfed.len();
        let mut end = self.unfed.end;
        let Desk { text, symbols, ids } = &mut self.desk;
        let encoded = encode(&self.tokenizer, &pieces, text, symbols, &mut |id| {
            if let Some(place) = ids.get_mut(end) {
                *place = id;
            }
            end += 1;
        })?;
        if end > self.desk.ids.len() {
            return Err(TurnError::TooLong);
        }
        (self.begun, self.unfed) = (true, 0..end);
        Ok(encoded)
    }

    /// Feeds a part of what is to be fed; whether that was the last.
    pub fn feed(&mut self, machine: &Machine<'_>) -> Result<bool, FeedError> {
        let most = self.session.options().chunk.saturating_mul(CHUNKS_AT_ONCE);
        let end = self.unfed.end.min(self.unfed.start.saturating_add(most));
        let part = self.desk.ids.get(self.unfed.start..end).unwrap_or_default();
        self.session.feed(machine, part)?;
        self.unfed.start = end;
        Ok(self.unfed.is_empty())
    }

    /// The next token of the answer, `None` when the model has ended it. `wanted` tokens
    /// are at most going to be asked for, this one included.
    pub fn next(
        &mut self,
        machine: &Machine<'_>,
        sampler: &mut Sampler,
        wanted: u64,
    ) -> Result<Option<u32>, FeedError> {
        // The last token is in the stream only once the next one is wanted.
        if let Some(&[token]) = self.desk.ids.get(self.unfed.clone()) {
            let most = usize::try_from(wanted.saturating_sub(1)).unwrap_or(usize::MAX);
            self.session.feed_speculative(machine, token, most)?;
            self.unfed = 0..0;
        }
        let id = self.session.sample(machine, sampler);
        if self.tokenizer.is_end(id) {
            return Ok(None); // The next turn begins by saying so itself.
        }
        if let Some(place) = self.desk.ids.first_mut() {
            *place = id;
            self.unfed = 0..1;
        }
        Ok(Some(id))
    }

    /// An empty stream, whose sinks reach over the system prompt.
    fn begin(&mut self, system: Option<&str>) -> Result<(), TurnError> {
        let options = *self.session.options();
        let mut sinks =
            self.sinks.unwrap_or(crate::Options::DEFAULT_SINKS.min(options.context / 2));
        if self.sinks.is_none() {
            let pieces = self.chat.system_turn(system).map_err(TurnError::NoSuchTurn)?;
            let mut turn = 0;
            let Desk { text, symbols, .. } = &mut self.desk;
            encode(&self.tokenizer, &pieces, text, symbols, &mut |_| turn += 1)?;
            // One that nobody asked for is kept if there is room.
            if system.is_some() || turn <= options.context / 2 {
                sinks = sinks.max(turn);
            }
        }
        self.unfed = 0..0;
        self.session.reset(sinks).map_err(TurnError::Options)
    }
}

/// The ids of pieces that are one text, in those of which that are trusted special tokens
/// are meant.
fn encode(
    tokenizer: &Tokenizer<'_>,
    pieces: &[Piece<'_>],
    text: &mut [u8],
    symbols: &mut [Symbol],
    out: &mut dyn FnMut(u32),
) -> Result<Encoded, TurnError> {
    let mut trusted = Vec::<Range<usize>, 5>::new();
    let mut len = 0;
    for piece in pieces {
        let end = len + piece.text.len();
        let place = text.get_mut(len..end).ok_or(TurnError::TooLong)?;
        place.copy_from_slice(piece.text.as_bytes());
        match trusted.last_mut() {
            _ if !piece.trusted || piece.text.is_empty() => {}
            // Ranges must not touch: neighbours are one.
            Some(last) if last.end == len => last.end = end,
            _ => trusted.push(len..end).map_err(|_| TurnError::TooLong)?,
        }
        len = end;
    }
    let (text, rest) = text.split_at_mut_checked(len).ok_or(TurnError::TooLong)?;
    let text = core::str::from_utf8(text).unwrap_or_default();
    let special = Special::Within(&trusted);
    let encoded = tokenizer.encode(text, special, Scratch { symbols, text: rest }, out);
    encoded.map_err(|_| TurnError::TooLong)
}
