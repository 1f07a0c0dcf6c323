//! A tokenizer, opened over its section: tokens by their ids.

use super::added::FirstBytes;
use super::error::BadTables;
use super::tables::{END, SPECIAL, STRIP, STRIP_ALL, Tables};
use crate::base::checked::part;

/// A tokenizer over a section of the model file
/// ([`Model::tokenizer_section`](crate::Model::tokenizer_section)); copying it copies a few slices.
#[derive(Clone, Copy, Debug)]
pub struct Tokenizer<'m> {
    pub(super) tables: Tables<'m>,
    /// First bytes of the added tokens that are looked for in the text as it is.
    pub(super) verbatim_first: FirstBytes,
    /// First bytes of the added tokens that are looked for in the normalized text.
    pub(super) normalized_first: FirstBytes,
}

impl<'m> Tokenizer<'m> {
    /// Reads the header of the section and finds its tables.
    ///
    /// # Errors
    /// [`BadTables`] if the section is cut short, of a newer version, or asks for what this build
    /// leaves out.
    pub fn new(section: &'m [u8]) -> Result<Self, BadTables> {
        let tables = Tables::new(section).ok_or(BadTables)?;
        Ok(Self {
            tables,
            verbatim_first: FirstBytes::new(&tables, tables.verbatim),
            normalized_first: FirstBytes::new(&tables, tables.normalized),
        })
    }

    /// Bytes of a token, special ones included; empty if there is none with this id.
    pub fn bytes(&self, id: u32) -> &'m [u8] {
        self.tables.bytes(id)
    }

    /// Bytes of the token that a text begins with: [`bytes`](Self::bytes) without the space that
    /// the tokenizer puts before every text, if it does.
    pub fn first_bytes(&self, id: u32) -> &'m [u8] {
        let bytes = self.bytes(id);
        if self.tables.rules & STRIP == 0 {
            return bytes;
        }
        let spaces = bytes.iter().take_while(|&&byte| byte == b' ').count();
        let stripped = if self.tables.rules & STRIP_ALL == 0 { spaces.min(1) } else { spaces };
        part(bytes, stripped..)
    }

    /// Number of ids, some of which may be without bytes.
    pub fn len(&self) -> usize {
        self.tables.len()
    }

    /// Whether there are no tokens at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the token is special, and so not part of an answer's text.
    pub fn is_special(&self, id: u32) -> bool {
        self.tables.flags(id) & SPECIAL != 0
    }

    /// Whether the token ends a generated text.
    pub fn is_end(&self, id: u32) -> bool {
        self.tables.flags(id) & END != 0
    }

    /// Ids to put before a text that is not a chat: BOS (beginning of sequence) if the tokenizer
    /// adds one.
    pub fn prefix(&self) -> impl Iterator<Item = u32> + use<'m> {
        self.tables.prefix()
    }

    /// Ids to put after a text that is not a chat: EOS (end of sequence) if the tokenizer adds one.
    pub fn suffix(&self) -> impl Iterator<Item = u32> + use<'m> {
        self.tables.suffix()
    }
}
