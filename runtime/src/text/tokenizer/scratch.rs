//! The memory that encoding works in, which the caller hands in.

use super::tables::NONE;

/// A place of the scratch in which words are merged.
///
/// The slice may hold anything before; [`Symbol::default`] fills a new one.
#[derive(Clone, Copy, Debug)]
pub struct Symbol {
    pub(super) id: u32,
    /// Number of places that it takes.
    pub(super) len: u32,
    /// Rank of the pair that it begins, or [`NONE`].
    pub(super) rank: u32,
    /// The winner of a node in the tournament for the lowest rank.
    pub(super) winner: u32,
}

impl Symbol {
    /// A symbol of no token, which begins no pair.
    pub(super) const BARE: Self = Self { id: NONE, len: 1, rank: NONE, winner: 0 };

    /// Number of places that it takes: at least 1, so that whoever steps by it moves on.
    pub(super) fn places(self) -> usize {
        debug_assert!(self.len > 0, "a symbol of a word takes a place");
        self.len.max(1) as usize
    }
}

impl Default for Symbol {
    fn default() -> Self {
        Self::BARE
    }
}

/// The memory that [`Tokenizer::encode`](super::Tokenizer::encode) works in; its contents before do
/// not matter.
#[derive(Debug)]
pub struct Scratch<'s> {
    /// Places in which words are merged.
    pub symbols: &'s mut [Symbol],
    /// Bytes in which text is rewritten, by the tokenizers that do.
    pub text: &'s mut [u8],
}

/// The lengths of the parts of a [`Scratch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ScratchLen {
    /// Length of [`Scratch::symbols`].
    pub symbols: usize,
    /// Length of [`Scratch::text`].
    pub text: usize,
}
