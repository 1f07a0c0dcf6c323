//! Turns of a conversation in memory that a board lends: as slices here, as vectors on a host.

use core::ops::Range;

use heapless::Vec;

use super::chat::Piece;
use super::generator::TokenStore;
use super::tokenizer::{EncodeError, Encoded, Scratch, Special, Symbol, Tokenizer};

/// A message and its answer, as indices in the stream of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Index of the first token.
    pub start: u64,
    /// Index of the first token of the answer.
    pub answer: u64,
}

/// A [`TokenStore`] that knows where turns begin: all of them, or the last at least.
pub trait TurnStore: TokenStore {
    /// Counts the turns of the stream.
    fn turns(&self) -> usize;

    /// The last turn; `None` if there is none, or it is not known any more.
    fn last_turn(&self) -> Option<Turn>;

    /// Appends a turn.
    fn push_turn(&mut self, turn: Turn);

    /// Takes the last turn back.
    fn pop_turn(&mut self);

    /// Forgets all turns and tokens.
    fn clear(&mut self);
}

/// A tokenizer with scratch to encode turns in.
pub trait PieceEncoder {
    /// The tokenizer by which it encodes.
    fn tokenizer(&self) -> &Tokenizer<'_>;

    /// Gives the ids of pieces that are one text, in those of which that are trusted special
    /// tokens are meant.
    fn encode(
        &mut self,
        pieces: &[Piece<'_>],
        out: &mut dyn FnMut(u32),
    ) -> Result<Encoded, EncodeError>;
}

/// Turn buffers: slices that a turn is encoded in.
#[derive(Debug)]
pub struct TurnBuffers<'a> {
    /// The tokenizer of the model.
    pub tokenizer: Tokenizer<'a>,
    /// Room for the text of a turn: messages and what the template writes around them; behind
    /// it, as much again for tokenizers that rewrite it.
    pub text: &'a mut [u8],
    /// As many as bytes of text, or fewer.
    pub symbols: &'a mut [Symbol],
}

impl PieceEncoder for TurnBuffers<'_> {
    fn tokenizer(&self) -> &Tokenizer<'_> {
        &self.tokenizer
    }

    fn encode(
        &mut self,
        pieces: &[Piece<'_>],
        out: &mut dyn FnMut(u32),
    ) -> Result<Encoded, EncodeError> {
        let mut trusted = Vec::<Range<usize>, 5>::new();
        let mut len = 0;
        for piece in pieces {
            let end = len + piece.text.len();
            let place = self.text.get_mut(len..end).ok_or(EncodeError::ScratchTooSmall)?;
            place.copy_from_slice(piece.text.as_bytes());
            match trusted.last_mut() {
                _ if !piece.trusted || piece.text.is_empty() => {}
                // Ranges must not touch: neighbours are one.
                Some(last) if last.end == len => last.end = end,
                _ => trusted.push(len..end).map_err(|_| EncodeError::ScratchTooSmall)?,
            }
            len = end;
        }
        let (text, rest) =
            self.text.split_at_mut_checked(len).ok_or(EncodeError::ScratchTooSmall)?;
        let text = core::str::from_utf8(text).unwrap_or_default();
        let scratch = Scratch { symbols: self.symbols, text: rest };
        self.tokenizer.encode(text, Special::Within(&trusted), scratch, out)
    }
}

/// The newest tokens of a stream in a slice, and its last turn: the rest is in the session alone.
#[derive(Debug)]
pub struct RecentTokens<'a> {
    /// Room for the ids of a turn and those that an interrupted one left, at least.
    ids: &'a mut [u32],
    len: usize,
    first: u64,
    turns: usize,
    last: Option<Turn>,
}

impl<'a> RecentTokens<'a> {
    /// An empty stream, of which so many tokens are kept.
    pub const fn new(ids: &'a mut [u32]) -> Self {
        Self { ids, len: 0, first: 0, turns: 0, last: None }
    }
}

impl TokenStore for RecentTokens<'_> {
    fn first(&self) -> u64 {
        self.first
    }

    fn ids(&self) -> &[u32] {
        self.ids.get(..self.len).unwrap_or_default()
    }

    fn ids_mut(&mut self) -> &mut [u32] {
        self.ids.get_mut(..self.len).unwrap_or_default()
    }

    fn push(&mut self, id: u32) -> bool {
        let Some(place) = self.ids.get_mut(self.len) else { return false };
        *place = id;
        self.len += 1;
        true
    }

    fn truncate(&mut self, len: u64) {
        self.first = self.first.min(len);
        self.len = usize::try_from(len - self.first).map_or(self.len, |len| len.min(self.len));
    }

    fn forget(&mut self, before: u64) {
        let gone = before.saturating_sub(self.first).min(self.len as u64);
        let from = usize::try_from(gone).unwrap_or(self.len).min(self.len);
        self.ids.copy_within(from..self.len, 0);
        (self.first, self.len) = (self.first + gone, self.len - from);
    }
}

impl TurnStore for RecentTokens<'_> {
    fn turns(&self) -> usize {
        self.turns
    }

    fn last_turn(&self) -> Option<Turn> {
        self.last
    }

    fn push_turn(&mut self, turn: Turn) {
        (self.turns, self.last) = (self.turns + 1, Some(turn));
    }

    fn pop_turn(&mut self) {
        (self.turns, self.last) = (self.turns.saturating_sub(1), None);
    }

    fn clear(&mut self) {
        (self.len, self.first, self.turns, self.last) = (0, 0, 0, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_tokens_make_room_for_new_ones() {
        let mut ids = [0; 4];
        let mut tokens = RecentTokens::new(&mut ids);
        assert!((1..=4).all(|id| tokens.push(id)) && !tokens.push(5));
        tokens.forget(3);
        assert_eq!((tokens.first(), tokens.ids()), (3, &[4][..]));
        assert!(tokens.push(5) && tokens.push(6));
        tokens.truncate(5);
        assert_eq!((tokens.first(), tokens.ids()), (3, &[4, 5][..]));
        tokens.truncate(2);
        assert_eq!((tokens.first(), tokens.ids()), (2, &[][..]));
        tokens.forget(9);
        assert_eq!((tokens.first(), tokens.ids()), (2, &[][..]));
    }

    #[test]
    fn the_last_turn_alone_is_known() {
        let mut tokens = RecentTokens::new(&mut []);
        tokens.push_turn(Turn { start: 0, answer: 2 });
        tokens.push_turn(Turn { start: 5, answer: 7 });
        tokens.pop_turn();
        assert_eq!((tokens.turns(), tokens.last_turn()), (1, None));
        tokens.clear();
        assert_eq!(tokens.turns(), 0);
    }
}
