//! Text to ids and back, from tables that lie in the model file.
//!
//! BPE of bytes or of characters, exactly as Hugging Face `tokenizers` does it. Text is cut
//! first at added tokens (`added`), rewritten where the tokenizer asks for it (`rewrite`,
//! `compose`, `charsmap`), then cut into words (`split`), and each word is looked up whole or
//! merged pair by pair (`merge`), or spelled with tokens of the best scores (`unigram`). The
//! tables (`tables`) are read where they lie; every access is checked, so damaged tables give
//! wrong ids and nothing worse.

mod added;
#[doc(hidden)]
pub mod charsmap;
mod compose;
mod grapheme;
mod merge;
mod rewrite;
mod split;
#[doc(hidden)]
pub mod tables;
mod unicode;
mod unigram;
mod utf8;

pub use added::Special;
pub use charsmap::Charsmap;
pub use split::Splitter;
pub use utf8::Utf8Stream;

use added::{Finder, FirstBytes, Origin};
use rewrite::{Rules, Source};
use tables::{
    END, LATE, NONE, PREPEND, PREPEND_FIRST, PREPEND_MISSING, SPACE_MARK, SPECIAL, STRIP,
    STRIP_ALL, Tables, Units,
};

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

/// The memory that [`Tokenizer::encode`] works in.
#[derive(Debug)]
pub struct Scratch<'s> {
    /// Where words are merged.
    pub symbols: &'s mut [Symbol],
    /// Where text is rewritten, by the tokenizers that do.
    pub text: &'s mut [u8],
}

/// How long the parts of a [`Scratch`] are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ScratchLen {
    /// Length of [`Scratch::symbols`].
    pub symbols: usize,
    /// Length of [`Scratch::text`].
    pub text: usize,
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
    /// A word, or the text rewritten, does not fit; see [`Tokenizer::scratch_len`].
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

    /// Scratch that suffices for this text, however it is cut.
    pub fn scratch_len(&self, text: &str) -> ScratchLen {
        let (early, late) = (self.rules().most(text), self.late_rules(0).most(text));
        // Between added tokens, of which each is a byte at least, a space may come twice.
        let spaces = if early > 0 || late > 0 { 2 } else { 0 };
        // Scores are of places between characters, of which there is one more.
        let symbols = early.max(late).max(text.len()).saturating_add(spaces + 1);
        ScratchLen {
            symbols,
            text: if spaces > 0 { early.saturating_add(symbols).saturating_add(spaces) } else { 0 },
        }
    }

    /// What is done to a text before added tokens that are normalized are looked for.
    const fn rules(&self) -> Rules<'m> {
        Rules::new(self.tables.rules & ((1 << LATE) - 1), self.tables.charsmap)
    }

    /// What is done to a text that begins at `offset` and has no added tokens any more.
    const fn late_rules(&self, offset: usize) -> Rules<'m> {
        let rules = self.tables.rules;
        let not_here = rules & PREPEND_FIRST != 0 && offset > 0;
        let late = rules >> LATE & (PREPEND | SPACE_MARK);
        Rules::new(if not_here { late & !PREPEND } else { late }, self.tables.charsmap)
    }

    /// Gives the ids of `text` one by one, without [`prefix`](Self::prefix) and
    /// [`suffix`](Self::suffix).
    pub fn encode(
        &self,
        text: &str,
        special: Special<'_>,
        scratch: Scratch<'_>,
        out: &mut dyn FnMut(u32),
    ) -> Result<Encoded, EncodeError> {
        let Scratch { symbols, text: buffer } = scratch;
        let mut words =
            Words { tokenizer: self, symbols, buffer, out, encoded: Encoded::default() };
        let finder = Finder {
            tables: &self.tables,
            entries: self.tables.verbatim,
            first_bytes: &self.verbatim_first,
            text,
            origin: Origin::Part(0),
            special,
            no_spaces: false,
        };
        words.cut(finder, 0, &mut |words, text, offset| words.normalize(text, offset, special))?;
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

    /// The bytes of the token that a text begins with: [`bytes`](Self::bytes), but for a space
    /// that the tokenizer puts before every text.
    pub fn first_bytes(&self, id: u32) -> &'m [u8] {
        let bytes = self.bytes(id);
        if self.tables.rules & STRIP == 0 {
            return bytes;
        }
        let spaces = bytes.iter().take_while(|&&byte| byte == b' ').count();
        let stripped = if self.tables.rules & STRIP_ALL == 0 { spaces.min(1) } else { spaces };
        bytes.get(stripped..).unwrap_or_default()
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

/// Gives what the early ones of the [rules](tables::RULES) make of a text, as the converter needs
/// it of added tokens that are looked for in such text.
pub fn rewrite(rules: u32, charsmap: Charsmap<'_>, text: &str, put: &mut dyn FnMut(&str)) {
    Rules::new(rules & ((1 << LATE) - 1), charsmap).rewrite(text, put);
}

/// Words on their way to ids.
struct Words<'a> {
    tokenizer: &'a Tokenizer<'a>,
    symbols: &'a mut [Symbol],
    /// Room for text that is rewritten.
    buffer: &'a mut [u8],
    out: &'a mut dyn FnMut(u32),
    encoded: Encoded,
}

/// What to do with text between added tokens, and where it begins in the whole.
type Between<'f> = dyn FnMut(&mut Words<'_>, &str, usize) -> Result<(), EncodeError> + 'f;

impl Words<'_> {
    /// Gives the added tokens that the finder finds, and to `between` what lies between.
    fn cut(
        &mut self,
        mut finder: Finder<'_>,
        offset: usize,
        between: &mut Between<'_>,
    ) -> Result<(), EncodeError> {
        let mut at = 0;
        loop {
            let found = finder.next(at);
            let end = found.as_ref().map_or(finder.text.len(), |found| found.place.start);
            if let Some(text) = finder.text.get(at..end).filter(|text| !text.is_empty()) {
                between(self, text, offset + at)?;
            }
            let Some(found) = found else { return Ok(()) };
            (self.out)(found.id);
            at = found.place.end;
        }
    }

    /// Rewrites a text without verbatim added tokens, and cuts it at the others.
    fn normalize(
        &mut self,
        text: &str,
        offset: usize,
        special: Special<'_>,
    ) -> Result<(), EncodeError> {
        let (tokenizer, rules) = (self.tokenizer, self.tokenizer.rules());
        let (new, mut words) = self.rewritten(rules, text)?;
        let same = core::ptr::eq(new, text);
        let finder = Finder {
            tables: &tokenizer.tables,
            entries: tokenizer.tables.normalized,
            first_bytes: &tokenizer.normalized_first,
            text: new,
            origin: if same {
                Origin::Part(offset)
            } else {
                Origin::Rewritten(offset, Source::new(rules, text))
            },
            special,
            no_spaces: tokenizer.tables.rules & SPACE_MARK != 0,
        };
        words.cut(finder, offset, &mut |words, text, offset| words.pre_tokenize(text, offset))?;
        self.encoded = words.encoded;
        Ok(())
    }

    /// Rewrites a text without added tokens, and gives its words.
    fn pre_tokenize(&mut self, text: &str, offset: usize) -> Result<(), EncodeError> {
        let tables = &self.tokenizer.tables;
        let mut rules = self.tokenizer.late_rules(offset);
        if tables.rules & PREPEND_MISSING != 0 && text.starts_with([' ', '\u{2581}']) {
            rules = rules.without(PREPEND);
        }
        let (text, mut words) = self.rewritten(rules, text)?;
        words.split(text)?;
        self.encoded = words.encoded;
        Ok(())
    }

    /// What a text becomes, and words with the room that is left.
    fn rewritten<'s>(
        &'s mut self,
        rules: Rules<'s>,
        text: &'s str,
    ) -> Result<(&'s str, Words<'s>), EncodeError> {
        let Self { tokenizer, symbols, buffer, out, encoded } = self;
        let (text, buffer) = rules.apply(text, buffer).ok_or(EncodeError::ScratchTooSmall)?;
        Ok((text, Words { tokenizer, symbols, buffer, out: &mut **out, encoded: *encoded }))
    }

    /// Gives the tokens of a text without added tokens.
    fn split(&mut self, text: &str) -> Result<(), EncodeError> {
        let mut at = 0;
        while at < text.len() {
            let end = self.tokenizer.tables.splitter.word_end(text, at);
            let word = text.as_bytes().get(at..end).filter(|word| !word.is_empty());
            let Some(word) = word else { return Ok(()) };
            self.word(word)?;
            at = end;
        }
        Ok(())
    }

    fn word(&mut self, word: &[u8]) -> Result<(), EncodeError> {
        let tables = &self.tokenizer.tables;
        let dropped = if tables.units == Units::Scored {
            unigram::best_word(tables, word, self.symbols, self.out)
        } else if let Some(id) = tables.word(word) {
            (self.out)(id);
            Some(0)
        } else {
            merge::merge_word(tables, word, self.symbols, self.out)
        };
        let dropped = dropped.ok_or(EncodeError::ScratchTooSmall)?;
        self.encoded.dropped_bytes += dropped;
        Ok(())
    }
}
