//! The tables of a section, searched where they lie.
//!
//! Offsets and ids in them may be anything: every access is checked, and what is beyond the end is
//! empty or not found.

use super::codes::{NONE, Units};
use super::hash::{PROBES, hash_pair, hash_word, home};
use super::header::{HEADER, Header};
use crate::text::tokenizer::charsmap::Charsmap;
use crate::text::tokenizer::split::Splitter;

/// The token that two others merge to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Merge {
    /// Order among the merges: the lowest comes first.
    pub rank: u32,
    /// Id of the token.
    pub id: u32,
}

/// An added token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Added<'m> {
    pub text: &'m [u8],
    pub id: u32,
    pub flags: u32,
}

/// Numbers as they lie in the file, little-endian and not aligned.
type U32s<'m> = &'m [[u8; 4]];

/// The tables of a section.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tables<'m> {
    pub splitter: Splitter,
    pub rules: u32,
    pub units: Units,
    /// Id of the token of unknown characters.
    pub unknown: Option<u32>,
    longest_word: usize,
    byte_ids: U32s<'m>,
    merges: &'m [[u8; 16]],
    words: &'m [[u8; 8]],
    starts: U32s<'m>,
    pub verbatim: &'m [[u8; 16]],
    pub normalized: &'m [[u8; 16]],
    prefix: U32s<'m>,
    suffix: U32s<'m>,
    scores: &'m [[u8; 8]],
    /// The lowest of the scores; infinite if there are none.
    pub worst_score: f64,
    pub charsmap: Charsmap<'m>,
    flags: &'m [u8],
    blob: &'m [u8],
}

/// A reader that takes tables off the front of a section.
struct Reader<'m>(&'m [u8]);

impl<'m> Reader<'m> {
    /// Takes `count` entries of `SIZE` bytes; `None` if there are fewer.
    fn take<const SIZE: usize>(&mut self, count: usize) -> Option<&'m [[u8; SIZE]]> {
        let (table, rest) = self.0.split_at_checked(count.checked_mul(SIZE)?)?;
        self.0 = rest;
        Some(table.as_chunks().0)
    }
}

impl<'m> Tables<'m> {
    /// Finds the tables, or `None` if the section is too short or of another version.
    pub fn new(section: &'m [u8]) -> Option<Self> {
        let header = Header::read(section)?;
        let units = Units::from_code(header.units)?;
        let splitter = Splitter::from_code(header.splitter)?;
        if !header.is_possible(units, splitter) {
            return None;
        }
        let mut rest = Reader(section.get(HEADER..)?);
        let tokens = header.tokens as usize;
        let mut tables = Self {
            splitter,
            rules: header.rules,
            units,
            unknown: header.unknown.checked_sub(1),
            longest_word: header.longest_word as usize,
            byte_ids: rest.take(256)?,
            merges: rest.take(header.merges as usize)?,
            words: rest.take(header.words as usize)?,
            starts: rest.take(tokens.checked_add(1)?)?,
            verbatim: rest.take(header.verbatim as usize)?,
            normalized: rest.take(header.normalized as usize)?,
            prefix: rest.take(header.prefix as usize)?,
            suffix: rest.take(header.suffix as usize)?,
            scores: rest.take(header.scores as usize)?,
            worst_score: f64::INFINITY,
            charsmap: match rest.take::<1>(header.charsmap as usize)?.as_flattened() {
                [] => Charsmap::default(),
                bytes => Charsmap::new(bytes)?,
            },
            flags: rest.take::<1>(tokens)?.as_flattened(),
            blob: rest.take::<1>(header.blob as usize)?.as_flattened(),
        };
        let scores = tables.scores.iter().copied().map(f64::from_le_bytes);
        tables.worst_score = scores.fold(f64::INFINITY, f64::min);
        Some(tables)
    }

    /// Number of ids.
    pub fn len(&self) -> usize {
        self.flags.len()
    }

    /// Flags of a token; 0 if there is none with this id.
    pub fn flags(&self, id: u32) -> u8 {
        self.flags.get(id as usize).copied().unwrap_or(0)
    }

    /// Bytes of a token; empty if there is none with this id.
    pub fn bytes(&self, id: u32) -> &'m [u8] {
        let start =
            |id: usize| self.starts.get(id).map(|&start| u32::from_le_bytes(start) as usize);
        let (from, to) = (start(id as usize), start((id as usize).saturating_add(1)));
        from.zip(to).and_then(|(from, to)| self.blob.get(from..to)).unwrap_or_default()
    }

    /// Id of a byte's token.
    pub fn byte_id(&self, byte: u8) -> Option<u32> {
        let id = u32::from_le_bytes(*self.byte_ids.get(usize::from(byte))?);
        (id != NONE).then_some(id)
    }

    /// Finds the token that a pair merges to, if it does.
    pub fn merge(&self, left: u32, right: u32) -> Option<Merge> {
        let pair = u64::from(left) | u64::from(right) << 32;
        let slots = self.merges.get(home(hash_pair(left, right), self.merges.len())..)?;
        for &slot in slots.iter().take(PROBES) {
            let slot = u128::from_le_bytes(slot);
            let merge = Merge { rank: (slot >> 64) as u32, id: (slot >> 96) as u32 };
            if merge.id == NONE {
                break;
            }
            if slot as u64 == pair {
                return Some(merge);
            }
        }
        None
    }

    /// Finds the token that a whole word is, if it is one.
    pub fn word(&self, word: &[u8]) -> Option<u32> {
        if word.len() > self.longest_word {
            return None;
        }
        let (hash, tag) = hash_word(word);
        let slots = self.words.get(home(hash, self.words.len())..)?;
        for &slot in slots.iter().take(PROBES) {
            let slot = u64::from_le_bytes(slot);
            let id = slot as u32;
            if id == NONE {
                break;
            }
            if (slot >> 32) as u32 == tag && self.bytes(id) == word {
                return Some(id);
            }
        }
        None
    }

    /// Bytes of the longest word that is one token.
    pub const fn longest_word(&self) -> usize {
        self.longest_word
    }

    /// Score of a token; 0 if there is none with this id.
    pub fn score(&self, id: u32) -> f64 {
        self.scores.get(id as usize).map_or(0.0, |&score| f64::from_le_bytes(score))
    }

    /// Reads an entry of [`Tables::verbatim`] or [`Tables::normalized`]; its text is empty if it
    /// lies beyond the blob.
    pub fn added(&self, entry: [u8; 16]) -> Added<'m> {
        let entry = u128::from_le_bytes(entry);
        let (start, len) = (entry as u32 as usize, (entry >> 32) as u32 as usize);
        Added {
            text: self.blob.get(start..start.saturating_add(len)).unwrap_or_default(),
            id: (entry >> 64) as u32,
            flags: (entry >> 96) as u32,
        }
    }

    /// Ids to put before a text.
    pub fn prefix(&self) -> impl Iterator<Item = u32> + use<'m> {
        self.prefix.iter().copied().map(u32::from_le_bytes)
    }

    /// Ids to put after a text.
    pub fn suffix(&self) -> impl Iterator<Item = u32> + use<'m> {
        self.suffix.iter().copied().map(u32::from_le_bytes)
    }
}
