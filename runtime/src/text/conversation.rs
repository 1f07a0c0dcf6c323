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

use heapless::{String, Vec};

use super::chat::{
    AnswerFilter, AnswerPart, AnswerStart, Chat, NoSuchTurn, Piece, Tags, Thinking, answer_start,
};
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

/// Tokens before a past answer, at most: more than the bytes of what templates write there.
const MAX_BEFORE: usize = 256;
/// Bytes at most of a token that an answer begins in.
const MAX_TAIL: usize = 64;

/// Tokens before an answer.
struct AnswerForms<'m> {
    /// The text of a new one.
    text: &'m str,
    /// Those of a past one.
    past: Vec<u32, MAX_BEFORE>,
    /// The number of them that a new one has too.
    same: usize,
    /// The number that it has besides.
    gone: usize,
}

/// A conversation.
///
/// Thoughts of a model that thinks before it answers ([`Chat::thinking`]) come out of
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
        let Turn { start, answer } = self.last_turn()?;
        if let Some(new) = self.concluded(answer) {
            let rewound = self.generator.rewind(answer, answer).map_err(TurnError::Truncate)?;
            let Self { generator, encoder, .. } = self;
            let (piece, mut at) = ([Piece { text: new.text, trusted: true }], 0);
            let _ = encoder.encode(&piece, &mut |id| {
                let gone = at >= new.same;
                at += 1;
                // In the place of tokens that were there.
                let _ = gone && generator.push(id);
            });
            self.set_turn(Turn { start, answer: self.generator.len() });
            return Ok(rewound);
        }
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
    /// it out of past answers: what the stream then holds is what the template writes.
    /// Without an answer, what it thought is all that there is: of the
    /// markup behind it, which may break off anywhere, the next message brings what belongs there.
    ///
    /// `before` gives the state of the session as [`Session::save`] handed it out when the turn
    /// had been fed, if [`Thinking::wants_state`] did; without one an answer may keep its thoughts, or is
    /// read again.
    ///
    /// # Errors
    /// As [`Session::restore`]: the stream may then be empty.
    pub fn forget_thoughts<X>(
        &mut self,
        before: Option<&mut StateSource<'_, X>>,
    ) -> Result<(), RestoreError<X>> {
        let Some(turn) = self.generator.tokens().last_turn() else { return Ok(()) };
        if self.generator.tokens().first() > turn.answer {
            // The store has let go of the answer's beginning: nothing tells what was thought.
            return Ok(());
        }
        match self.chat.thinking() {
            Thinking::No => Ok(()),
            Thinking::Mark(mark) => self.forget_messages(turn, mark, before),
            Thinking::Tags(tags) => self.conclude(turn, tags, before),
        }
    }

    /// Takes the messages before the answer's out of the stream.
    fn forget_messages<X>(
        &mut self,
        turn: Turn,
        mark: &str,
        before: Option<&mut StateSource<'_, X>>,
    ) -> Result<(), RestoreError<X>> {
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
            if part(&mut filter, encoder.tokenizer(), id) == AnswerPart::Answer {
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

    /// Gives the last answer the form that the template gives to past ones.
    fn conclude<X>(
        &mut self,
        turn: Turn,
        tags: Tags<'a>,
        before: Option<&mut StateSource<'_, X>>,
    ) -> Result<(), RestoreError<X>> {
        let tokenizer = self.encoder.tokenizer();
        let said = self.said(turn).iter();
        let said = said.map(|&id| (tokenizer.bytes(id), tokenizer.is_special(id)));
        let bare = self.chat.starts_stripped();
        let Some(answer) = answer_start(tags, bare, said).filter(|it| !(it.thought && tags.kept))
        else {
            return Ok(());
        };
        let Some([new, past]) = self.chat.before_answers() else { return Ok(()) };
        // Space that a past answer has before it is what the model writes itself.
        let written = past.strip_prefix(new).is_some_and(|more| more.trim().is_empty());
        if written && !answer.thought {
            return Ok(());
        }
        let (tail, end) = self.tail(turn, answer);
        let Some((forms, end)) = self.joined(&tail, end) else { return Ok(()) };
        let more = forms.past.get(forms.same..).unwrap_or_default();
        let place = turn.answer.saturating_sub(forms.gone as u64);
        let there = self.said(turn).get(..end).unwrap_or_default();
        if (forms.gone == 0 && there == more) || !self.go_back(place, before)? {
            return Ok(());
        }
        if self.replace(place, turn.answer + end as u64, more) {
            self.set_turn(Turn { answer: place, ..turn });
        }
        Ok(())
    }

    /// The beginning of an answer, which is one text with what stands before it: the end of a token, or
    /// a token, if it is whole characters; and the tokens before what is left as it is.
    fn tail(&self, turn: Turn, answer: AnswerStart) -> (String<MAX_TAIL>, usize) {
        let last = answer.tokens.checked_sub(1).and_then(|at| self.said(turn).get(at));
        let bytes = last.map(|&id| self.encoder.tokenizer().bytes(id)).unwrap_or_default();
        let text = bytes.len().checked_sub(answer.tail).and_then(|at| bytes.get(at..));
        let text = text.and_then(|text| core::str::from_utf8(text).ok());
        let tail = text.and_then(|text| String::try_from(text).ok());
        let is_whole = answer.tail > 0 && answer.tail == bytes.len();
        match tail {
            Some(tail) => (tail, answer.tokens),
            None => (String::new(), answer.tokens - usize::from(is_whole)),
        }
    }

    /// The tokens of a past answer before the one at `end`, which is one less where the beginning of this
    /// answer would be one token with what is before new answers too: [`concluded`](Self::concluded) could
    /// not tell.
    fn joined(&mut self, tail: &str, end: usize) -> Option<(AnswerForms<'a>, usize)> {
        let (joined, alone) = (self.forms(tail)?, self.forms("")?);
        let as_one = joined.same != alone.same && !tail.is_empty();
        Some(if as_one { (alone, end.saturating_sub(1)) } else { (joined, end) })
    }

    /// The tokens before a past answer with this beginning, beside those of a new one.
    fn forms(&mut self, tail: &str) -> Option<AnswerForms<'a>> {
        let [new, past] = self.chat.before_answers()?;
        let mut forms = AnswerForms { text: new, past: Vec::new(), same: 0, gone: 0 };
        let past = [Piece { text: past, trusted: true }, Piece { text: tail, trusted: false }];
        let mut fits = true;
        let encoded = self.encoder.encode(&past, &mut |id| fits &= forms.past.push(id).is_ok());
        encoded.ok().filter(|_| fits)?;
        let new = [Piece { text: new, trusted: true }];
        let encoded = self.encoder.encode(&new, &mut |id| {
            if forms.gone == 0 && forms.past.get(forms.same) == Some(&id) {
                forms.same += 1;
            } else {
                forms.gone += 1;
            }
        });
        encoded.ok().map(|_| forms)
    }

    /// The tokens before a new answer, if the turn's answer is there in the form of a past one.
    fn concluded(&mut self, answer: u64) -> Option<AnswerForms<'a>> {
        let Thinking::Tags(_) = self.chat.thinking() else { return None };
        let forms = self.forms("").filter(|forms| forms.gone > 0)?;
        let Self { generator, encoder, .. } = self;
        let before = generator.tokens().ids();
        let before = before.get(..index(generator.tokens(), answer)).unwrap_or_default();
        let from = before.len().checked_sub(forms.same + forms.gone)?;
        let (mut there, mut differs, mut at) = (before.get(from..)?.iter(), false, 0);
        let new = [Piece { text: forms.text, trusted: true }];
        let encoded = encoder.encode(&new, &mut |id| {
            // The first token of a text may have another id within one.
            differs |= there.next() != Some(&id) && at > 0;
            at += 1;
        });
        encoded.ok().filter(|_| differs).map(|_| forms)
    }

    /// Ends the session before a place in the stream, whose tokens from there on then wait to be fed; false
    /// if nothing can, and all is as it was.
    fn go_back<X>(
        &mut self,
        place: u64,
        before: Option<&mut StateSource<'_, X>>,
    ) -> Result<bool, RestoreError<X>> {
        let all_known = self.generator.tokens().first() == 0;
        if !all_known && self.generator.tokens().first() > place {
            return Ok(false);
        }
        let session = self.generator.session_mut();
        let ends = |session: &mut Session<'_>| session.truncate(place.min(session.len())).is_ok();
        if ends(session) {
            return Ok(true);
        }
        if let Some(before) = before {
            session.restore(before)?;
            if ends(session) {
                return Ok(true);
            }
        }
        let sinks = session.options().sinks;
        Ok(all_known && session.reset(sinks).is_ok())
    }

    /// Puts these ids in the place of those from `place` to `answer`; false where there is no room.
    fn replace(&mut self, place: u64, answer: u64, more: &[u32]) -> bool {
        let len = self.generator.len();
        let tokens = self.generator.tokens_mut();
        let end = place + more.len() as u64 + (len - answer);
        if !(len..end).all(|_| tokens.push(0)) {
            tokens.truncate(len);
            return false;
        }
        let [place, answer, len] = [place, answer, len].map(|at| index(tokens, at));
        let ids = tokens.ids_mut();
        let behind = place + more.len();
        if answer <= len && behind <= ids.len() {
            ids.copy_within(answer..len, behind);
        }
        if let Some(ids) = ids.get_mut(place..behind) {
            ids.copy_from_slice(more);
        }
        tokens.truncate(end);
        true
    }

    fn set_turn(&mut self, turn: Turn) {
        self.generator.tokens_mut().pop_turn();
        self.generator.tokens_mut().push_turn(turn);
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

/// The part that a token is of an answer behind a mark.
fn part(filter: &mut AnswerFilter<'_>, tokenizer: &Tokenizer<'_>, id: u32) -> AnswerPart {
    let mut part = AnswerPart::Markup;
    filter.push(tokenizer.bytes(id), tokenizer.is_special(id), &mut |found, _| part = found);
    part
}

/// Counts the tokens of the answer, and all tokens up to the last thought.
fn parts(mark: &str, tokenizer: &Tokenizer<'_>, said: &[u32]) -> (usize, usize) {
    let (mut filter, mut answer, mut thought) = (AnswerFilter::new(Some(mark)), 0, 0);
    for (&id, n) in said.iter().zip(1..) {
        match part(&mut filter, tokenizer, id) {
            AnswerPart::Answer => answer += 1,
            AnswerPart::Thought => thought = n,
            AnswerPart::Markup => {}
        }
    }
    (answer, thought)
}
