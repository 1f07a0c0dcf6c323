//! The byte-level alphabet: a printable character for each byte.

use std::collections::HashMap;

/// The characters that stand for bytes in the text of tokens.
pub(super) struct Alphabet {
    bytes: HashMap<char, u8>,
}

impl Alphabet {
    /// GPT-2's: Latin-1's printable characters stand for themselves, U+0100 and on for the rest.
    pub fn new() -> Self {
        let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
        let others = (0..=255).filter(|&byte| !printable(byte));
        let others = others.zip('\u{100}'..).map(|(byte, c)| (c, byte));
        let own = (0..=255).filter(|&byte| printable(byte)).map(|byte| (char::from(byte), byte));
        Self { bytes: own.chain(others).collect() }
    }

    /// The bytes that a token's text spells, unless a character of it spells none.
    pub fn spelled(&self, text: &str) -> Option<Vec<u8>> {
        text.chars().map(|c| self.bytes.get(&c).copied()).collect()
    }

    /// Decodes a token's text: to the bytes it spells, else to its own.
    pub fn decoded(&self, text: &str) -> Vec<u8> {
        self.spelled(text).unwrap_or_else(|| text.as_bytes().to_vec())
    }
}
