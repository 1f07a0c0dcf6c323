//! All tokens of a conversation, in memory that grows.

use oarlock::conversation::{TokenStore, Turn, TurnStore};

/// Ids of a stream and places where its turns begin: four bytes a token, which is all of a
/// chat that grows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    /// Every token, also those that wait to be fed.
    pub ids: Vec<u32>,
    /// Turns, in order.
    pub turns: Vec<Turn>,
}

impl Transcript {
    /// Whether turns follow one another within the ids, as they do unless made up.
    pub fn is_sound(&self) -> bool {
        let places = self.turns.iter().flat_map(|turn| [turn.start, turn.answer]);
        let ends = self.turns.is_empty() == self.ids.is_empty();
        ends && places.chain([self.ids.len() as u64]).is_sorted()
    }
}

impl TokenStore for Transcript {
    fn first(&self) -> u64 {
        0
    }

    fn ids(&self) -> &[u32] {
        &self.ids
    }

    fn ids_mut(&mut self) -> &mut [u32] {
        &mut self.ids
    }

    fn push(&mut self, id: u32) -> bool {
        self.ids.push(id);
        true
    }

    fn truncate(&mut self, len: u64) {
        self.ids.truncate(usize::try_from(len).unwrap_or(usize::MAX));
    }

    fn forget(&mut self, _before: u64) {}
}

impl TurnStore for Transcript {
    fn turns(&self) -> usize {
        self.turns.len()
    }

    fn last_turn(&self) -> Option<Turn> {
        self.turns.last().copied()
    }

    fn push_turn(&mut self, turn: Turn) {
        self.turns.push(turn);
    }

    fn pop_turn(&mut self) {
        self.turns.pop();
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}
