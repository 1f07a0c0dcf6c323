//! Added tokens, which a text is cut at before it is split into words.

use core::ops::Range;

use super::rewrite::SourceMap;
use super::tables::{ADDED_SPECIAL, Added, LSTRIP, RSTRIP, SINGLE_WORD, Tables};
use super::unicode::{Class, class, is_word};

/// The parts of a text that may match special tokens such as `<|im_end|>`.
///
/// Elsewhere, text that looks like one stays text. Added tokens that are not special
/// match everywhere.
#[derive(Clone, Copy, Debug)]
pub enum Special<'a> {
    /// The whole text.
    All,
    /// None of it.
    None,
    /// The text within one of these byte ranges, which ascend and do not touch.
    Within(&'a [Range<usize>]),
}

/// The relation of a place in the text to the trusted ranges.
enum Trust {
    /// Within one of them.
    Within,
    /// Outside of all.
    Outside,
    /// Across a border: a token there is not one that either writer wrote.
    Across,
}

impl Special<'_> {
    /// The relation of a place to the ranges.
    fn trust(self, place: &Range<usize>) -> Trust {
        match self {
            Self::All => Trust::Within,
            Self::None => Trust::Outside,
            Self::Within(ranges) => {
                let after = ranges.partition_point(|range| range.end <= place.start);
                match ranges.get(after) {
                    Some(range) if range.start >= place.end => Trust::Outside,
                    Some(range) if range.start <= place.start && place.end <= range.end => {
                        Trust::Within
                    }
                    Some(_) => Trust::Across,
                    None => Trust::Outside,
                }
            }
        }
    }
}

/// A search for some of the added tokens in a text.
pub(super) struct Finder<'a> {
    pub tables: &'a Tables<'a>,
    /// The added tokens to look for, in ascending order of their text.
    pub entries: &'a [[u8; 16]],
    /// The first bytes of those.
    pub first_bytes: &'a FirstBytes,
    pub text: &'a str,
    pub origin: Origin<'a>,
    pub special: Special<'a>,
    /// Whether U+0020 in `text` is none, but SentencePiece's mark.
    pub no_spaces: bool,
}

/// The origin of [`Finder::text`], since [`Finder::special`] speaks of places there.
#[derive(Clone, Copy)]
pub(super) enum Origin<'a> {
    /// A part of the origin, which begins at this offset.
    Part(usize),
    /// The rewritten form of a part of the origin, which begins at this offset.
    Rewritten(usize, SourceMap<'a>),
}

impl Origin<'_> {
    /// Leads a place of the text back to the origin.
    fn place(&mut self, place: &Range<usize>) -> Range<usize> {
        let (offset, place) = match self {
            Self::Part(offset) => (*offset, place.clone()),
            Self::Rewritten(offset, source) => (*offset, source.place(place)),
        };
        offset + place.start..offset + place.end
    }
}

/// A set of bytes: the first ones of the added tokens.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FirstBytes([u64; 4]);

impl FirstBytes {
    pub fn new(tables: &Tables<'_>, entries: &[[u8; 16]]) -> Self {
        let mut set = Self::default();
        for &byte in entries.iter().filter_map(|&entry| tables.added(entry).text.first()) {
            if let Some(bits) = set.0.get_mut(usize::from(byte >> 6)) {
                *bits |= 1 << (byte & 63);
            }
        }
        set
    }

    #[inline(always)]
    fn contains(&self, byte: u8) -> bool {
        self.0.get(usize::from(byte >> 6)).is_some_and(|bits| bits >> (byte & 63) & 1 == 1)
    }
}

/// An added token that was found, and its place in the text.
pub(super) struct Found {
    pub id: u32,
    pub place: Range<usize>,
}

impl<'a> Finder<'a> {
    /// Finds the first added token at or after `from`: the leftmost, then the longest.
    pub fn next(&mut self, from: usize) -> Option<Found> {
        let mut at = from;
        loop {
            let tail = self.text.as_bytes().get(at..)?;
            at += tail.iter().position(|&byte| self.first_bytes.contains(byte))?;
            match self.longest(at) {
                // A token that only looks special in a text that is not trusted is passed over, as
                // is one within a word that is to be a word of its own.
                Some((token, true)) => at += token.text.len(),
                Some((token, false)) if !self.may_stand(&token, at) => at += token.text.len(),
                Some((token, false)) => return Some(self.strip(&token, from, at)),
                None => at += 1,
            }
        }
    }

    /// Finds the longest added token at `at`, and whether it is one that may not match there.
    fn longest(&mut self, at: usize) -> Option<(Added<'a>, bool)> {
        let mut longest = None;
        let mut entries = self.entries;
        let mut depth = 0;
        // All that is left in `entries` agrees with the text in its first `depth` bytes.
        while let Some(&first) = entries.first() {
            let token = self.tables.added(first);
            if token.text.len() == depth {
                longest = self.admitted(&token, at).map(|barred| (token, barred)).or(longest);
                entries = entries.get(1..)?;
                continue;
            }
            let Some(&byte) = self.text.as_bytes().get(at + depth) else { break };
            let nth = |entry: &[u8; 16]| self.tables.added(*entry).text.get(depth).copied();
            let below = entries.partition_point(|entry| nth(entry) < Some(byte));
            let upto = entries.partition_point(|entry| nth(entry) <= Some(byte));
            // Empty as well where a damaged table does not ascend.
            entries = entries.get(below..upto).unwrap_or_default();
            depth += 1;
        }
        longest
    }

    /// Whether a token at `at` may not match there; `None` if there is no token after all.
    fn admitted(&mut self, token: &Added<'_>, at: usize) -> Option<bool> {
        if token.text.is_empty() {
            return None;
        }
        if token.flags & ADDED_SPECIAL == 0 {
            return Some(false);
        }
        if !matches!(self.special, Special::Within(_)) {
            return Some(matches!(self.special, Special::None));
        }
        let place = self.origin.place(&(at..at + token.text.len()));
        match self.special.trust(&place) {
            Trust::Within => Some(false),
            Trust::Outside => Some(true),
            Trust::Across => None,
        }
    }

    /// Whether a token at `at` is not within a word, if it is to be a word of its own.
    fn may_stand(&self, token: &Added<'_>, at: usize) -> bool {
        let before = self.text.get(..at).and_then(|text| text.chars().next_back());
        let after = self.text.get(at + token.text.len()..).and_then(|text| text.chars().next());
        token.flags & SINGLE_WORD == 0 || !before.into_iter().chain(after).any(is_word)
    }

    /// The place of a token with the spaces that it takes, as far back as `from`.
    fn strip(&self, token: &Added<'_>, from: usize, at: usize) -> Found {
        // Where marks stand for spaces, there are no spaces any more.
        let is_space = |c: char| class(c) == Class::Space && !(self.no_spaces && c == ' ');
        let mut place = at..at + token.text.len();
        let before = self.text.get(from..at).unwrap_or_default();
        let after = self.text.get(place.end..).unwrap_or_default();
        if token.flags & LSTRIP != 0 {
            place.start = from + before.trim_end_matches(is_space).len();
        }
        if token.flags & RSTRIP != 0 {
            place.end += after.len() - after.trim_start_matches(is_space).len();
        }
        Found { id: token.id, place }
    }
}
