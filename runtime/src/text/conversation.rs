//! The turns of a chat, as the one stream of tokens that they are.
//!
//! A conversation is begun ([`Conversation::start`]); then each turn is put to the model
//! ([`Conversation::turn`]), fed ([`Conversation::feed`]) and answered, a token at a time
//! ([`Conversation::next`]). Between any two calls the caller may stop. Turns are taken back by
//! ending the stream before them, at once as long as the ring holds what lies there.
//!
//! The tokens and the scratch are the caller's, by [`TurnStore`] and [`PieceEncoder`]: slices
//! on a board without a heap, vectors on a host, which can then keep and replay all of it.

use core::fmt;

use super::chat::{AnswerFilter, AnswerPart, Chat, NoSuchTurn, Piece};
use super::generator::Generator;
use super::tokenizer::{Encoded, Tokenizer};
use crate::kernels::Machine;
use crate::model::OptionsError;
use crate::session::{FeedError, RestoreError, Sampler, Session, TruncateError};

pub use super::generator::{Rewound, TokenStore};
pub use super::turns::{PieceEncoder, RecentTokens, Turn, TurnBuffers, TurnStore};

/// First tokens of a conversation that are kept for ever, if the sinks are fewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin {
    /// Those of the system turn.
    System,
    /// This many.
    First(usize),
}

/// The reason why a turn cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TurnError {
    /// The template has no place for it.
    NoSuchTurn(NoSuchTurn),
    /// Its text or its tokens do not fit the turn buffers.
    TooLong,
    /// More is to be pinned than half of the context.
    Pin {
        /// Tokens that were to be pinned.
        tokens: usize,
        /// Tokens that can be.
        most: usize,
    },
    /// The stream cannot begin anew.
    Options(OptionsError),
    /// There is no turn to take back.
    NoTurn,
    /// The tokens before the turn are not known any more.
    Truncate(TruncateError),
}

impl fmt::Display for TurnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchTurn(error) => error.fmt(f),
            Self::TooLong => f.write_str("too long to be put into words"),
            Self::Pin { most, .. } => OptionsError::TooManySinks { most: *most }.fmt(f),
            Self::Options(error) => error.fmt(f),
            Self::NoTurn => f.write_str("there is nothing to take back"),
            Self::Truncate(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for TurnError {}

/// A source of a session's state, which fills each slice it is given with the next bytes.
pub type StateSource<'s, X> = dyn FnMut(&mut [u8]) -> Result<(), X> + 's;

/// A conversation.
///
/// Of a model that thinks before it answers ([`Chat::mark`]) the thoughts come out of
/// [`next`](Self::next) as tokens like any other: pass them through an [`AnswerFilter`], which
/// tells them from the answer, and take them out of the stream by
/// [`forget_thoughts`](Self::forget_thoughts).
pub struct Conversation<'a, E, S> {
    generator: Generator<'a, S>,
    chat: Chat<'a>,
    encoder: E,
    /// Sinks that were asked for, or come by themselves.
    sinks: usize,
    pin: Pin,
}

impl<'a, E: PieceEncoder, S: TurnStore> Conversation<'a, E, S> {
    /// A conversation that has not begun, in an empty session with the least sinks it may have.
    pub fn new(generator: Generator<'a, S>, chat: Chat<'a>, encoder: E, pin: Pin) -> Self {
        let sinks = generator.session().options().sinks;
        Self { generator, chat, encoder, sinks, pin }
    }

    /// The stream.
    pub const fn session(&self) -> &Session<'a> {
        self.generator.session()
    }

    /// The tokenizer, which turns ids into text.
    pub fn tokenizer(&self) -> &Tokenizer<'_> {
        self.encoder.tokenizer()
    }

    /// The session and its tokens.
    pub const fn generator(&self) -> &Generator<'a, S> {
        &self.generator
    }

    /// The session and its tokens, to be saved or replaced together.
    pub const fn generator_mut(&mut self) -> &mut Generator<'a, S> {
        &mut self.generator
    }

    /// The chat program of the model.
    pub const fn chat(&self) -> &Chat<'a> {
        &self.chat
    }

    /// Sinks that a conversation has if nothing is pinned.
    pub const fn sinks(&self) -> usize {
        self.sinks
    }

    /// Begins anew, with the sinks reaching over what is to be pinned of this system prompt.
    ///
    /// # Errors
    /// [`TurnError`]; of [`TurnError::Pin`] the stream is as it was.
    pub fn start(&mut self, system: Option<&str>) -> Result<(), TurnError> {
        let sinks = self.pinned(system)?;
        self.generator.reset(sinks).map_err(TurnError::Options)?;
        self.generator.tokens_mut().clear();
        Ok(())
    }

    /// Counts the first tokens that a conversation with this system prompt keeps for ever.
    ///
    /// # Errors
    /// [`TurnError::NoSuchTurn`] and [`TurnError::TooLong`].
    pub fn pinned(&mut self, system: Option<&str>) -> Result<usize, TurnError> {
        let most = self.session().options().context / 2;
        let tokens = match self.pin {
            Pin::First(tokens) => tokens,
            Pin::System => {
                let pieces = self.chat.system_turn(system).map_err(TurnError::NoSuchTurn)?;
                self.count(&pieces)?
            }
        };
        if tokens <= most {
            return Ok(tokens.max(self.sinks));
        }
        // The template's own system turn is kept if there is room: nobody asked for it.
        let asked = system.is_some() || self.pin != Pin::System;
        if asked { Err(TurnError::Pin { tokens, most }) } else { Ok(self.sinks) }
    }

    /// Puts the next turn to the model: the first one begins with `system`. On an error the
    /// turn has not been.
    ///
    /// # Errors
    /// [`TurnError::NoSuchTurn`] and [`TurnError::TooLong`].
    pub fn turn(&mut self, system: Option<&str>, message: &str) -> Result<Encoded, TurnError> {
        let pieces = match self.generator.tokens().turns() {
            0 => self.chat.first_turn(system, message),
            _ => self.chat.next_turn(message),
        };
        let pieces = pieces.map_err(TurnError::NoSuchTurn)?;
        let Self { generator, encoder, .. } = self;
        let (start, mut fits) = (generator.len(), true);
        let encoded = encoder.encode(&pieces, &mut |id| fits &= generator.push(id));
        let Some(encoded) = encoded.ok().filter(|_| fits) else {
            generator.tokens_mut().truncate(start);
            return Err(TurnError::TooLong);
        };
        let turn = Turn { start, answer: generator.len() };
        generator.tokens_mut().push_turn(turn);
        Ok(encoded)
    }

    /// Feeds a chunk of the tokens that wait, and says whether it was the last: call it until it was.
    ///
    /// # Errors
    /// [`FeedError`]: learned positions have come to their end.
    pub fn feed(&mut self, machine: &Machine<'_>) -> Result<bool, FeedError> {
        self.generator.feed(machine)
    }

    /// The next token of the answer, `None` when the model has ended it. `wanted` tokens
    /// are at most going to be asked for, this one included.
    ///
    /// # Errors
    /// As [`Conversation::feed`].
    pub fn next(
        &mut self,
        machine: &Machine<'_>,
        sampler: &mut Sampler,
        wanted: u64,
    ) -> Result<Option<u32>, FeedError> {
        let Self { generator, encoder, .. } = self;
        // What ends an answer is said by the next turn itself.
        generator.next(machine, sampler, wanted, &|id| encoder.tokenizer().is_end(id))
    }

    /// Takes the last answer back: what [`feed`](Self::feed) and [`next`](Self::next) then give
    /// is another one.
    ///
    /// # Errors
    /// [`TurnError::NoTurn`], or [`TurnError::Truncate`] where the ring has let go of what was before.
    pub fn take_answer_back(&mut self) -> Result<Rewound, TurnError> {
        let Turn { answer, .. } = self.last_turn()?;
        // The last token before an answer is fed anew: its logits are gone.
        self.generator.rewind(answer, answer.saturating_sub(1)).map_err(TurnError::Truncate)
    }

    /// Takes the last message and its answer back.
    ///
    /// # Errors
    /// As [`Conversation::take_answer_back`].
    pub fn undo(&mut self) -> Result<Rewound, TurnError> {
        let Turn { start, .. } = self.last_turn()?;
        let rewound = self.generator.rewind(start, start).map_err(TurnError::Truncate)?;
        self.generator.tokens_mut().pop_turn();
        Ok(rewound)
    }

    /// Takes what the model thought out of the stream, once it has answered, as its template leaves
    /// it out of past answers. Without an answer, what it thought is all that there is: of the
    /// markup behind it, which may break off anywhere, the next message brings what belongs there.
    ///
    /// `before` gives the state of the session as [`Session::save`] handed it out when the turn
    /// had been fed; without one an answer keeps its thoughts.
    ///
    /// # Errors
    /// As [`Session::restore`]: the stream may then be empty.
    pub fn forget_thoughts<X>(
        &mut self,
        before: Option<&mut StateSource<'_, X>>,
    ) -> Result<(), RestoreError<X>> {
        let turn = self.generator.tokens().last_turn();
        let (Some(mark), Some(turn)) = (self.chat.mark(), turn) else { return Ok(()) };
        if self.generator.tokens().first() > turn.answer {
            // The store has let go of the answer's beginning: nothing tells what was thought.
            return Ok(());
        }
        let said = self.said(turn);
        let (answer, thought) = parts(mark, self.tokenizer(), said);
        let said = said.len();
        if answer == 0 {
            let len = turn.answer.saturating_add(thought as u64);
            if len < self.generator.len() {
                // Where the ring has let go of that, the markup stays.
                let _ = self.generator.rewind(len, len);
            }
            return Ok(());
        }
        let piece = [Piece { text: mark, trusted: true }];
        let Ok(marked) = self.count(&piece) else { return Ok(()) };
        let Some(before) = before.filter(|_| said > marked + answer) else { return Ok(()) };
        self.generator.session_mut().restore(before)?;
        self.keep_answer(turn, mark, marked);
        Ok(())
    }

    /// Puts the mark and the tokens of the answer in the place of all that was said, which is more.
    fn keep_answer(&mut self, turn: Turn, mark: &str, marked: usize) {
        let Self { generator, encoder, .. } = self;
        let start = index(generator.tokens(), turn.answer);
        let said = generator.tokens_mut().ids_mut().get_mut(start..).unwrap_or_default();
        let (mut filter, mut kept) = (AnswerFilter::new(Some(mark)), 0);
        for i in 0..said.len() {
            let Some(&id) = said.get(i) else { break };
            if filter.push(encoder.tokenizer(), id) == AnswerPart::Answer {
                said.swap(kept, i);
                kept += 1;
            }
        }
        if marked.saturating_add(kept) > said.len() {
            return; // A store that is shorter than it was a moment ago.
        }
        said.copy_within(..kept, marked);
        let mut places = said.iter_mut();
        let piece = [Piece { text: mark, trusted: true }];
        // The same text was encoded a moment ago.
        let _ = encoder.encode(&piece, &mut |id| {
            if let Some(place) = places.next() {
                *place = id;
            }
        });
        generator.tokens_mut().truncate(turn.answer.saturating_add((marked + kept) as u64));
    }

    fn last_turn(&self) -> Result<Turn, TurnError> {
        self.generator.tokens().last_turn().ok_or(TurnError::NoTurn)
    }

    /// Tokens of the stream since the answer began.
    fn said(&self, turn: Turn) -> &[u32] {
        let tokens = self.generator.tokens();
        tokens.ids().get(index(tokens, turn.answer)..).unwrap_or_default()
    }

    fn count(&mut self, pieces: &[Piece<'_>]) -> Result<usize, TurnError> {
        let mut n = 0;
        let encoded = self.encoder.encode(pieces, &mut |_| n += 1);
        encoded.map(|_| n).map_err(|_| TurnError::TooLong)
    }
}

/// Place among the kept tokens of the one with this index in the stream.
fn index(tokens: &impl TokenStore, at: u64) -> usize {
    usize::try_from(at.saturating_sub(tokens.first())).unwrap_or(usize::MAX)
}

/// Counts the tokens of the answer, and all tokens up to the last thought.
fn parts(mark: &str, tokenizer: &Tokenizer<'_>, said: &[u32]) -> (usize, usize) {
    let (mut filter, mut answer, mut thought) = (AnswerFilter::new(Some(mark)), 0, 0);
    for (&id, n) in said.iter().zip(1..) {
        match filter.push(tokenizer, id) {
            AnswerPart::Answer => answer += 1,
            AnswerPart::Thought => thought = n,
            AnswerPart::Markup => {}
        }
    }
    (answer, thought)
}
