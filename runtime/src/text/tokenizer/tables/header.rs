//! The section's header: counts, codes and lengths.

use super::codes::{CHARSMAP, COLLAPSE, RULES, Units};
use crate::text::tokenizer::split::Splitter;

/// Version of a section whose [`Header::rules`] and those behind them are all zero.
pub const PLAIN_VERSION: u32 = 1;
/// Version of any other section.
pub const VERSION: u32 = 2;
/// Bytes of the header: 16 × u32, see [`Header`].
pub const HEADER: usize = 64;
/// Bytes of the longest token of [`Units::Scored`]: at each character all up to it are looked up.
pub const LONGEST_SCORED: usize = 256;

/// The header: its fields in order, each u32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// [`PLAIN_VERSION`] or [`VERSION`].
    pub version: u32,
    /// Code of the [`Splitter`].
    pub splitter: u32,
    /// Number of ids.
    pub tokens: u32,
    /// Number of slots of the merge table.
    pub merges: u32,
    /// Number of slots of the word table.
    pub words: u32,
    /// Bytes of the longest word in the word table.
    pub longest_word: u32,
    /// Number of added tokens that are looked for first, in the text as it is.
    pub verbatim: u32,
    /// Number of added tokens that are looked for in the normalized text.
    pub normalized: u32,
    /// Number of ids before a text.
    pub prefix: u32,
    /// Number of ids after a text.
    pub suffix: u32,
    /// Bytes of the blob.
    pub blob: u32,
    /// Rules of the text, bits of [`RULES`].
    pub rules: u32,
    /// Code of the [`Units`].
    pub units: u32,
    /// Id of the token of unknown characters, plus one; 0 if they are dropped.
    pub unknown: u32,
    /// Number of scores: as many as tokens, or none.
    pub scores: u32,
    /// Bytes of the charsmap.
    pub charsmap: u32,
}

impl Header {
    /// Reads the header of a section; `None` if that is shorter.
    pub(super) fn read(section: &[u8]) -> Option<Self> {
        let (fields, _) = section.get(..HEADER)?.as_chunks();
        let mut fields = fields.iter().copied().map(u32::from_le_bytes);
        let mut next = || fields.next();
        Some(Self {
            version: next()?,
            splitter: next()?,
            tokens: next()?,
            merges: next()?,
            words: next()?,
            longest_word: next()?,
            verbatim: next()?,
            normalized: next()?,
            prefix: next()?,
            suffix: next()?,
            blob: next()?,
            rules: next()?,
            units: next()?,
            unknown: next()?,
            scores: next()?,
            charsmap: next()?,
        })
    }

    /// The version that a section with these fields has.
    pub const fn own_version(&self) -> u32 {
        // With a charsmap, there is a rule that says so.
        let plain = self.rules | self.units | self.unknown | self.scores == 0;
        if plain { PLAIN_VERSION } else { VERSION }
    }

    /// Whether this build knows all that the header asks for, and its fields go together.
    pub(super) fn is_possible(&self, units: Units, splitter: Splitter) -> bool {
        let has = |rule| self.rules & rule != 0;
        self.version == self.own_version()
            && !has(!RULES)
            && has(CHARSMAP) == (self.charsmap > 0)
            && (has(CHARSMAP) || !has(COLLAPSE))
            // Falcon's words end within characters, of which only bytes can be the units.
            && (splitter != Splitter::Falcon || units == Units::Bytes)
            && (units != Units::Scored || self.longest_word as usize <= LONGEST_SCORED)
    }

    /// Writes the header.
    pub fn to_bytes(&self) -> [u8; HEADER] {
        let fields = [
            self.version,
            self.splitter,
            self.tokens,
            self.merges,
            self.words,
            self.longest_word,
            self.verbatim,
            self.normalized,
            self.prefix,
            self.suffix,
            self.blob,
            self.rules,
            self.units,
            self.unknown,
            self.scores,
            self.charsmap,
        ];
        let mut bytes = [0; HEADER];
        for (to, field) in bytes.as_chunks_mut().0.iter_mut().zip(fields) {
            *to = field.to_le_bytes();
        }
        bytes
    }
}
