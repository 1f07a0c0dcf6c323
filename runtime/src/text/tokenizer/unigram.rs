//! Unigram (arXiv 1804.10959): of all ways to spell a word with tokens, the one of the highest
//! score.
//!
//! Viterbi's algorithm over the places between characters. Scores are added up in `f64` from left
//! to right, and of two equal ways the one whose last token is longer stays, so that ids are those
//! of Hugging Face `tokenizers`.

use super::scratch::Symbol;
use super::tables::{NONE, Tables};
use crate::base::checked::part;

/// Difference in score of an unknown character to the worst token.
const UNKNOWN_PENALTY: f64 = 10.0;

// The scratch holds a place between characters as a symbol: the best token that ends there, its
// length, and the score up to there in the bits of the other two fields.
impl Symbol {
    /// A place that no token has reached.
    const UNREACHED: Self = Self { id: NONE, len: 0, rank: 0, winner: 0 };

    /// The highest score up to this place.
    fn score(self) -> f64 {
        f64::from_bits(u64::from(self.rank) | u64::from(self.winner) << 32)
    }

    /// A place that a token of this length reaches with this score.
    fn with_score(id: u32, len: usize, score: f64) -> Self {
        let bits = score.to_bits();
        Self { id, len: len as u32, rank: bits as u32, winner: (bits >> 32) as u32 }
    }
}

/// Gives the ids of a word and returns the number of its bytes that have no token; `None` if the
/// scratch has not one place more than the word has bytes.
pub(super) fn best_word(
    tables: &Tables<'_>,
    word: &[u8],
    scratch: &mut [Symbol],
    out: &mut dyn FnMut(u32),
) -> Option<usize> {
    let word = core::str::from_utf8(word).ok()?;
    let places = scratch.get_mut(..=word.len())?;
    places.fill(Symbol::UNREACHED);
    for (at, c) in word.char_indices() {
        reach(tables, word.get(at..)?, c.len_utf8(), places.get_mut(at..)?);
    }
    turn_around(places);
    Some(spell(tables, word, places, out))
}

/// Goes from the first of the places, where `rest` begins, to all that a token leads to.
fn reach(tables: &Tables<'_>, rest: &str, first_len: usize, places: &mut [Symbol]) {
    let here = places.first().map_or(0.0, |place| place.score());
    let mut known = false;
    for end in rest.char_indices().map(|(at, c)| at + c.len_utf8()) {
        if end > tables.longest_word() {
            break;
        }
        let token = rest.as_bytes().get(..end).and_then(|token| tables.word(token));
        if let (Some(id), Some(place)) = (token, places.get_mut(end)) {
            improve(place, id, end, here + tables.score(id));
            known |= end == first_len;
        }
    }
    if let (false, Some(place)) = (known, places.get_mut(first_len)) {
        improve(place, NONE, first_len, here + (tables.worst_score - UNKNOWN_PENALTY));
    }
}

/// Replaces the best way to a place, if this one is better or the first.
fn improve(place: &mut Symbol, id: u32, len: usize, score: f64) {
    if place.len == 0 || score > place.score() {
        *place = Symbol::with_score(id, len, score);
    }
}

/// Writes to each place of the best way, instead of its score, the token that begins there and its
/// length.
fn turn_around(places: &mut [Symbol]) {
    let mut at = places.len().saturating_sub(1);
    while let Some(&Symbol { id, len, .. }) = places.get(at).filter(|place| place.len > 0) {
        at = at.saturating_sub(len as usize);
        if let Some(place) = places.get_mut(at) {
            (place.rank, place.winner) = (id, len);
        }
        if at == 0 {
            break;
        }
    }
}

/// Gives the tokens of the best way, and returns the number of bytes that have none.
fn spell(tables: &Tables<'_>, word: &str, places: &[Symbol], out: &mut dyn FnMut(u32)) -> usize {
    let (mut at, mut dropped, mut was_unknown) = (0, 0, false);
    while let Some(place) = places.get(at).filter(|_| at < word.len()) {
        debug_assert!(place.winner > 0, "the best way goes through this place");
        let len = (place.winner as usize).max(1);
        let bytes = part(word.as_bytes(), at..at.saturating_add(len));
        let after_unknown = core::mem::replace(&mut was_unknown, false);
        if place.rank != NONE {
            out(place.rank);
        } else if bytes.iter().all(|&byte| tables.byte_id(byte).is_some()) {
            bytes.iter().filter_map(|&byte| tables.byte_id(byte)).for_each(&mut *out);
        } else if let Some(unknown) = tables.unknown {
            was_unknown = true;
            if !after_unknown {
                out(unknown);
            }
        } else {
            dropped += bytes.len();
        }
        at += len;
    }
    dropped
}
