//! Memory for a tokenizer to work in.

use oarlock::tokenizer::{Scratch, ScratchLen, Symbol, Tokenizer};

/// Room for the ids of one text.
pub struct Room {
    symbols: Vec<Symbol>,
    text: Vec<u8>,
}

impl Room {
    /// As much as the tokenizer asks for.
    pub fn new(tokenizer: &Tokenizer<'_>, text: &str) -> Self {
        let ScratchLen { symbols, text } = tokenizer.scratch_len(text);
        Self { symbols: vec![Symbol::default(); symbols], text: vec![0; text] }
    }

    /// All of it.
    pub fn lend(&mut self) -> Scratch<'_> {
        Scratch { symbols: &mut self.symbols, text: &mut self.text }
    }
}
