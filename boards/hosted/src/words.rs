//! The tokenizer, with the memory that a host can give it.

use std::cell::Cell;
use std::ops::Range;

use oarlock::tokenizer::{Scratch, Special, Symbol, Tokenizer};

use crate::aside;
use crate::errors::{Outcome, fault};

/// A tokenizer that allocates its scratch, and says once if it had to leave bytes out.
pub struct Words<'m> {
    /// The tokenizer itself.
    pub tokenizer: Tokenizer<'m>,
    said: Cell<bool>,
}

impl<'m> Words<'m> {
    /// Words of this tokenizer.
    pub fn new(tokenizer: Tokenizer<'m>) -> Self {
        Self { tokenizer, said: Cell::new(false) }
    }

    /// The ids of a text.
    pub fn encode(&self, text: &str, special: Special<'_>) -> Outcome<Vec<u32>> {
        let needed = self.tokenizer.scratch_len(text);
        let mut symbols = vec![Symbol::default(); needed.symbols];
        let mut buffer = vec![0; needed.text];
        let scratch = Scratch { symbols: &mut symbols, text: &mut buffer };
        let mut ids = Vec::new();
        let encoded = self
            .tokenizer
            .encode(text, special, scratch, &mut |id| ids.push(id))
            .map_err(|_| fault("tokenizer", "the text is too long", "give less at once"))?;
        self.report(encoded.dropped_bytes);
        Ok(ids)
    }

    /// The ids of a text in which special tokens are meant, with what the tokenizer puts
    /// around one: what `tokenize` shows.
    pub fn text(&self, text: &str) -> Outcome<Vec<u32>> {
        Ok(self.with_ends(self.encode(text, Special::All)?))
    }

    /// The ids of a text that is to be continued: nothing ends it.
    pub fn prompt(&self, text: &str) -> Outcome<Vec<u32>> {
        let ids = self.encode(text, Special::All)?;
        Ok(self.tokenizer.prefix().chain(ids).collect())
    }

    /// `ids` with BOS and EOS, if the tokenizer adds them.
    pub fn with_ends(&self, ids: Vec<u32>) -> Vec<u32> {
        self.tokenizer.prefix().chain(ids).chain(self.tokenizer.suffix()).collect()
    }

    /// The ids of pieces that are one text, in some of which special tokens are meant.
    pub fn encode_pieces<'p>(
        &self,
        pieces: impl IntoIterator<Item = (&'p str, bool)>,
    ) -> Outcome<Vec<u32>> {
        let (mut text, mut trusted) = (String::new(), Vec::<Range<usize>>::new());
        for (piece, is_trusted) in pieces {
            let start = text.len();
            text.push_str(piece);
            match trusted.last_mut() {
                _ if !is_trusted || piece.is_empty() => {}
                // Ranges must not touch: neighbours are one.
                Some(last) if last.end == start => last.end = text.len(),
                _ => trusted.push(start..text.len()),
            }
        }
        self.encode(&text, Special::Within(&trusted))
    }

    /// Says that some bytes have no token, once.
    fn report(&self, dropped: usize) {
        if dropped > 0 && !self.said.replace(true) {
            aside!("warning: {dropped} bytes of the text have no token and were left out");
        }
    }
}
