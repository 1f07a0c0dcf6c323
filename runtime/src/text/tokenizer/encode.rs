//! Encoding: text to ids.

use super::added::{Finder, Origin, Special};
use super::error::EncodeError;
use super::open::Tokenizer;
use super::rewrite::{Rules, SourceMap};
use super::scratch::{Scratch, ScratchLen, Symbol};
use super::tables::{LATE, PREPEND, PREPEND_FIRST, PREPEND_MISSING, SPACE_MARK, Units};
use super::{merge, unigram};

/// The result of encoding: what had to be left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Encoded {
    /// Bytes that have no token, dropped as the original tokenizer drops them.
    pub dropped_bytes: usize,
}

impl<'m> Tokenizer<'m> {
    /// Lengths of a scratch that suffices for this text.
    pub fn scratch_len(&self, text: &str) -> ScratchLen {
        let (early, late) = (self.rules().max_len(text), self.late_rules(0).max_len(text));
        // Between added tokens, of which each is a byte at least, a space may come twice.
        let spaces = if early > 0 || late > 0 { 2 } else { 0 };
        // Scores are of places between characters, of which there is one more.
        let symbols = early.max(late).max(text.len()).saturating_add(spaces + 1);
        ScratchLen {
            symbols,
            text: if spaces > 0 { early.saturating_add(symbols).saturating_add(spaces) } else { 0 },
        }
    }

    /// Rules of a text in which normalized added tokens are yet to be found.
    const fn rules(&self) -> Rules<'m> {
        Rules::new(self.tables.rules & ((1 << LATE) - 1), self.tables.charsmap)
    }

    /// Rules of a text that begins at `offset` and has no added tokens any more.
    const fn late_rules(&self, offset: usize) -> Rules<'m> {
        let rules = self.tables.rules;
        let not_here = rules & PREPEND_FIRST != 0 && offset > 0;
        let late = rules >> LATE & (PREPEND | SPACE_MARK);
        Rules::new(if not_here { late & !PREPEND } else { late }, self.tables.charsmap)
    }

    /// Gives the ids of `text` to `out` one by one, without [`prefix`](Self::prefix) and
    /// [`suffix`](Self::suffix).
    ///
    /// `special` says where special tokens in the text are meant.
    ///
    /// # Errors
    /// [`EncodeError::ScratchTooSmall`]; the ids of the words before have been given by then.
    pub fn encode(
        &self,
        text: &str,
        special: Special<'_>,
        scratch: Scratch<'_>,
        out: &mut dyn FnMut(u32),
    ) -> Result<Encoded, EncodeError> {
        let Scratch { symbols, text: buffer } = scratch;
        let mut encoder =
            Encoder { tokenizer: self, symbols, buffer, out, encoded: Encoded::default() };
        let finder = Finder {
            tables: &self.tables,
            entries: self.tables.verbatim,
            first_bytes: &self.verbatim_first,
            text,
            origin: Origin::Part(0),
            special,
            no_spaces: false,
        };
        encoder.cut(finder, 0, &mut |encoder, text, offset| {
            encoder.normalize(text, offset, special)
        })?;
        Ok(encoder.encoded)
    }

    /// Gives the ids that one word merges to, without looking it up whole, and returns the number
    /// of its bytes that have no token. The converter fills the table of words by it.
    ///
    /// # Errors
    /// [`EncodeError::ScratchTooSmall`]
    pub fn merge_word(
        &self,
        word: &[u8],
        scratch: &mut [Symbol],
        out: &mut dyn FnMut(u32),
    ) -> Result<usize, EncodeError> {
        merge::merge_word(&self.tables, word, scratch, out).ok_or(EncodeError::ScratchTooSmall)
    }
}

/// An encoder: cuts a text into words, and gives their ids.
struct Encoder<'a> {
    tokenizer: &'a Tokenizer<'a>,
    symbols: &'a mut [Symbol],
    /// Bytes that are left for text that is rewritten.
    buffer: &'a mut [u8],
    out: &'a mut dyn FnMut(u32),
    encoded: Encoded,
}

/// A function for text between added tokens, and its offset in the whole.
type Between<'f> = dyn FnMut(&mut Encoder<'_>, &str, usize) -> Result<(), EncodeError> + 'f;

impl Encoder<'_> {
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
        let (new, mut encoder) = self.rewritten(rules, text)?;
        let same = core::ptr::eq(new, text);
        let finder = Finder {
            tables: &tokenizer.tables,
            entries: tokenizer.tables.normalized,
            first_bytes: &tokenizer.normalized_first,
            text: new,
            origin: if same {
                Origin::Part(offset)
            } else {
                Origin::Rewritten(offset, SourceMap::new(rules, text))
            },
            special,
            no_spaces: tokenizer.tables.rules & SPACE_MARK != 0,
        };
        encoder
            .cut(finder, offset, &mut |encoder, text, offset| encoder.pre_tokenize(text, offset))?;
        self.encoded = encoder.encoded;
        Ok(())
    }

    /// Rewrites a text without added tokens, and gives its words.
    fn pre_tokenize(&mut self, text: &str, offset: usize) -> Result<(), EncodeError> {
        let tables = &self.tokenizer.tables;
        let mut rules = self.tokenizer.late_rules(offset);
        if tables.rules & PREPEND_MISSING != 0 && text.starts_with([' ', '\u{2581}']) {
            rules = rules.without(PREPEND);
        }
        let (text, mut encoder) = self.rewritten(rules, text)?;
        encoder.split(text)?;
        self.encoded = encoder.encoded;
        Ok(())
    }

    /// Rewrites a text; returns it, and an encoder with the bytes that are left.
    fn rewritten<'s>(
        &'s mut self,
        rules: Rules<'s>,
        text: &'s str,
    ) -> Result<(&'s str, Encoder<'s>), EncodeError> {
        let Self { tokenizer, symbols, buffer, out, encoded } = self;
        let (text, buffer) = rules.apply(text, buffer).ok_or(EncodeError::ScratchTooSmall)?;
        Ok((text, Encoder { tokenizer, symbols, buffer, out: &mut **out, encoded: *encoded }))
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

    /// Gives the ids of one word.
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
