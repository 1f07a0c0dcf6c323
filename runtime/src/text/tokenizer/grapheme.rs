//! Grapheme clusters (UAX #29, the extended ones): sequences that Unicode takes for one character.
//!
//! Two letters of a flag are two here. The charsmap treats clusters of six bytes or more character
//! by character, and a flag has eight: both come to the same.

use super::grapheme_tables::RANGES;

/// The property of a character that decides whether a cluster ends beside it:
/// Grapheme_Cluster_Break, Extended_Pictographic and Indic_Conjunct_Break in one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Break {
    /// A control, CR and LF among them: alone, but for CR LF.
    Control,
    /// Joins what is before it.
    Extend,
    /// U+200D
    Joiner,
    /// As [`Break::Extend`]: between two consonants it joins them.
    Linker,
    /// As [`Break::Extend`], but in no chain of emoji or of consonants.
    Spacing,
    /// Joins what is behind it.
    Prepend,
    /// An emoji, or what might be one.
    Pictograph,
    /// A consonant of a script with linkers.
    Consonant,
    /// Hangul: the leading consonant of a syllable.
    Leading,
    /// Hangul: a vowel.
    Vowel,
    /// Hangul: the final consonant of a syllable.
    Final,
    /// Hangul: a syllable without a final consonant.
    Open,
    /// Hangul: a syllable with one.
    Closed,
    /// As [`Break::Extend`], but in no chain of consonants: U+200C.
    NonJoiner,
    /// None of these.
    Other,
}

impl Break {
    /// The property of a character.
    fn new(c: char) -> Self {
        const SYLLABLES: u32 = 0xAC00;
        let c = u32::from(c);
        match c {
            0x20..=0x7E => Self::Other,
            0x200C => Self::NonJoiner,
            SYLLABLES..=0xD7A3 if (c - SYLLABLES).is_multiple_of(28) => Self::Open,
            SYLLABLES..=0xD7A3 => Self::Closed,
            _ => Self::listed(c),
        }
    }

    /// The property of a character that the table lists.
    fn listed(c: u32) -> Self {
        let after = RANGES.partition_point(|range| range >> 11 <= c);
        let range = after.checked_sub(1).and_then(|at| RANGES.get(at));
        let range = range.filter(|&&range| c - (range >> 11) <= range >> 4 & 127);
        match range.map(|range| range & 15) {
            Some(0) => Self::Control,
            Some(1) => Self::Extend,
            Some(2) => Self::Joiner,
            Some(3) => Self::Linker,
            Some(4) => Self::Spacing,
            Some(5) => Self::Prepend,
            Some(6) => Self::Pictograph,
            Some(7) => Self::Consonant,
            Some(8) => Self::Leading,
            Some(9) => Self::Vowel,
            Some(10) => Self::Final,
            _ => Self::Other,
        }
    }
}

/// The part of a chain that the last characters are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Chain {
    /// No part of one.
    None,
    /// The first of a chain, and what joins it.
    Begun,
    /// The same, and the link to the next.
    Linked,
}

/// A cluster up to some place in it.
struct Cluster {
    last: Break,
    emoji: Chain,
    conjunct: Chain,
}

impl Cluster {
    fn new(first: Break) -> Self {
        let mut new = Self { last: first, emoji: Chain::None, conjunct: Chain::None };
        new.push(first);
        new
    }

    /// Adds a character.
    fn push(&mut self, next: Break) {
        use Break::{Consonant, Extend, Joiner, Linker, NonJoiner, Pictograph};
        self.emoji = match (next, self.emoji) {
            (Pictograph, _) => Chain::Begun,
            (Extend | Linker | NonJoiner, Chain::Begun) => Chain::Begun,
            (Joiner, Chain::Begun) => Chain::Linked,
            _ => Chain::None,
        };
        self.conjunct = match (next, self.conjunct) {
            (Consonant, _) => Chain::Begun,
            (Linker, Chain::Begun | Chain::Linked) => Chain::Linked,
            (Extend | Joiner, chain) => chain,
            _ => Chain::None,
        };
        self.last = next;
    }

    /// Whether the next character belongs to the cluster: rules GB3 to GB11.
    fn takes(&self, next: Break) -> bool {
        use Break::{
            Closed, Consonant, Control, Extend, Final, Joiner, Leading, Linker, NonJoiner, Open,
            Pictograph, Prepend, Spacing, Vowel,
        };
        match (self.last, next) {
            (Control, _) | (_, Control) => false,
            (_, Extend | Joiner | Linker | NonJoiner | Spacing) | (Prepend, _) => true,
            (Leading, Leading | Vowel | Open | Closed)
            | (Open | Vowel, Vowel | Final)
            | (Closed | Final, Final) => true,
            (_, Consonant) => self.conjunct == Chain::Linked,
            (_, Pictograph) => self.emoji == Chain::Linked,
            _ => false,
        }
    }
}

/// Bytes of the cluster with which a text begins.
pub(super) fn cluster_len(text: &str) -> usize {
    let mut chars = text.char_indices();
    let Some((_, first)) = chars.next() else { return 0 };
    if text.starts_with("\r\n") {
        return 2;
    }
    let mut cluster = Cluster::new(Break::new(first));
    for (at, c) in chars {
        let class = Break::new(c);
        if !cluster.takes(class) {
            return at;
        }
        cluster.push(class);
    }
    text.len()
}
