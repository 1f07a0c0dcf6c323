//! Text to ids and back, from tables that lie in the model file.
//!
//! Byte-level BPE exactly as Hugging Face `tokenizers` does it. Text is cut first at
//! added tokens (`added`), then into words (`split`), and each word is looked up
//! whole or merged pair by pair (`merge`). The tables (`tables`) are read where
//! they lie; every access is checked, so damaged tables give wrong ids and nothing worse.

mod added;
mod merge;
mod split;
pub mod tables;
mod unicode;
mod utf8;

pub use added::Special;
pub use split::Splitter;
pub use utf8::Utf8Stream;

use added::{Finder, FirstBytes};
use tables::{END, NONE, SPECIAL, Tables};

/// A tokenizer over a section of the model file; copying it copies a few slices.
#[derive(Clone, Copy, Debug)]
pub struct Tokenizer<'m> {
    tables: Tables<'m>,
    verbatim_first: FirstBytes,
    normalized_first: FirstBytes,
}

/// One place of the scratch that [`Tokenizer::encode`] merges in.
#[derive(Clone, Copy, Debug)]
pub struct Symbol {
    id: u32,
    /// Places that it takes.
    len: u32,
    /// Rank of the pair that it begins, or [`NONE`].
    rank: u32,
    /// The winner of a node in the tournament for the lowest rank.
    winner: u32,
}

impl Symbol {
    const BARE: Self = Self { id: NONE, len: 1, rank: NONE, winner: 0 };

    /// Never zero, so that whoever steps by it moves on.
    fn len(self) -> usize {
        self.len.max(1) as usize
    }
}

impl Default for Symbol {
    fn default() -> Self {
        Self::BARE
    }
}

/// What encoding left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Encoded {
    /// Bytes that have no token, dropped as the original tokenizer drops them.
    pub dropped_bytes: usize,
}

/// Why a text could not be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum EncodeError {
    /// A word has more bytes than the scratch has symbols; see [`Tokenizer::scratch_len`].
    ScratchTooSmall,
}

/// The section is not one that this version reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BadTables;

impl<'m> Tokenizer<'m> {
    /// Reads the header of the section and finds its tables.
    pub fn new(section: &'m [u8]) -> Result<Self, BadTables> {
        let tables = Tables::new(section).ok_or(BadTables)?;
        Ok(Self {
            tables,
            verbatim_first: FirstBytes::new(&tables, tables.verbatim),
            normalized_first: FirstBytes::new(&tables, tables.normalized),
        })
    }

    /// Symbols of scratch that suffice for any text of `text_len` bytes: its longest word
    /// has no more.
    pub const fn scratch_len(text_len: usize) -> usize {
        text_len
    }

    /// Gives the ids of `text` one by one, without [`prefix`](Self::prefix) and
    /// [`suffix`](Self::suffix).
    pub fn encode(
        &self,
        text: &str,
        special: Special<'_>,
        scratch: &mut [Symbol],
        out: &mut dyn FnMut(u32),
    ) -> Result<Encoded, EncodeError> {
        let mut words = Words { tables: &self.tables, scratch, out, encoded: Encoded::default() };
        let finder = Finder {
            tables: &self.tables,
            entries: self.tables.verbatim,
            first_bytes: &self.verbatim_first,
            text,
            offset: 0,
            special,
        };
        words.cut(&finder, &mut |words, text, offset| {
            let (entries, first_bytes) = (self.tables.normalized, &self.normalized_first);
            let finder = Finder { entries, first_bytes, text, offset, ..finder };
            words.cut(&finder, &mut |words, text, _| words.split(text))
        })?;
        Ok(words.encoded)
    }

    /// Gives the ids that the bytes of one word merge to, without looking it up whole, and
    /// returns how many bytes have no token. The converter fills the table of words by it.
    pub fn merge_word(
        &self,
        word: &[u8],
        scratch: &mut [Symbol],
        out: &mut dyn FnMut(u32),
    ) -> Result<usize, EncodeError> {
        merge::merge_word(&self.tables, word, scratch, out).ok_or(EncodeError::ScratchTooSmall)
    }

    /// The bytes of a token, special ones included; empty if there is none with this id.
    pub fn bytes(&self, id: u32) -> &'m [u8] {
        self.tables.bytes(id)
    }

    /// Number of ids, some of which may be without bytes.
    pub fn len(&self) -> usize {
        self.tables.len()
    }

    /// Whether there are no tokens at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether this is a special token, which is not part of an answer's text.
    pub fn is_special(&self, id: u32) -> bool {
        self.tables.flags(id) & SPECIAL != 0
    }

    /// Whether this token ends what a model generates.
    pub fn is_end(&self, id: u32) -> bool {
        self.tables.flags(id) & END != 0
    }

    /// Ids to put before a text that is not a chat: BOS if the tokenizer adds one.
    pub fn prefix(&self) -> impl Iterator<Item = u32> + use<'m> {
        self.tables.prefix()
    }

    /// Ids to put after a text that is not a chat: EOS if the tokenizer adds one.
    pub fn suffix(&self) -> impl Iterator<Item = u32> + use<'m> {
        self.tables.suffix()
    }
}

/// Words on their way to ids.
struct Words<'a> {
    tables: &'a Tables<'a>,
    scratch: &'a mut [Symbol],
    out: &'a mut dyn FnMut(u32),
    encoded: Encoded,
}

/// What to do with text between added tokens, and where it begins in the whole.
type Between<'f> = dyn FnMut(&mut Words<'_>, &str, usize) -> Result<(), EncodeError> + 'f;

impl Words<'_> {
    /// Gives the added tokens that the finder finds, and to `between` what lies between.
    fn cut(&mut self, finder: &Finder<'_>, between: &mut Between<'_>) -> Result<(), EncodeError> {
        let mut at = 0;
        loop {
            let found = finder.next(at);
            let end = found.as_ref().map_or(finder.text.len(), |found| found.place.start);
            if let Some(text) = finder.text.get(at..end).filter(|text| !text.is_empty()) {
                between(self, text, finder.offset + at)?;
            }
            let Some(found) = found else { return Ok(()) };
            (self.out)(found.id);
            at = found.place.end;
        }
    }

    /// Gives the tokens of a text without added tokens.
    fn split(&mut self, text: &str) -> Result<(), EncodeError> {
        let mut at = 0;
        while at < text.len() {
            let end = self.tables.splitter.word_end(text, at);
            let word = text.as_bytes().get(at..end).filter(|word| !word.is_empty());
            let Some(word) = word else { return Ok(()) };
            self.word(word)?;
            at = end;
        }
        Ok(())
    }

    fn word(&mut self, word: &[u8]) -> Result<(), EncodeError> {
        if let Some(id) = self.tables.word(word) {
            (self.out)(id);
            return Ok(());
        }
        let dropped = merge::merge_word(self.tables, word, self.scratch, self.out)
            .ok_or(EncodeError::ScratchTooSmall)?;
        self.encoded.dropped_bytes += dropped;
        Ok(())
    }
}
