//! All that was said, as the one stream of ids that it is.

/// The ids of a conversation and where its turns begin: four bytes a token, which is all of a
/// chat that grows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    /// Every token, also those that wait to be fed.
    pub ids: Vec<u32>,
    /// The turns, in order.
    pub turns: Vec<Turn>,
}

/// A message and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Index of its first token.
    pub start: usize,
    /// Index of the first token of the answer.
    pub answer: usize,
}

impl Transcript {
    /// Whether nothing was said yet.
    pub fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// Begins a turn with what is put before the model.
    pub fn ask(&mut self, ids: &[u32]) {
        let start = self.ids.len();
        self.ids.extend_from_slice(ids);
        self.turns.push(Turn { start, answer: self.ids.len() });
    }

    /// Whether turns follow one another within the ids, as they do unless made up.
    pub fn is_sound(&self) -> bool {
        let places = self.turns.iter().flat_map(|turn| [turn.start, turn.answer]);
        let ends = self.turns.is_empty() == self.ids.is_empty();
        ends && places.chain([self.ids.len()]).is_sorted()
    }
}
