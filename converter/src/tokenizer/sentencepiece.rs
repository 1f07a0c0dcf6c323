//! SentencePiece's way with spaces, and what its tokenizers decode to.

use oarlock::tokenizer::Splitter;
use oarlock::tokenizer::tables::{
    LATE, PREPEND, PREPEND_FIRST, PREPEND_MISSING, SPACE_MARK, STRIP, STRIP_ALL,
};
use serde_json::Value;

use super::error::TokenizerError;

/// SentencePiece's stand-in for a space in the text of tokens, "▁".
pub(super) const META_SYMBOL: &str = "\u{2581}";

/// Recognises how a text that is no byte-level one is cut, and adds the rules that go with that.
pub(super) fn splitter(pre: &Value, rules: u32) -> Result<(Splitter, u32), TokenizerError> {
    let refused = || TokenizerError::unsupported("pre_tokenizer", pre);
    let marked = rules & SPACE_MARK != 0;
    match pre["type"].as_str() {
        None if pre.is_null() && marked => Ok((Splitter::Whole, rules)),
        // There is no space left to cut at.
        Some("Split") if marked && pre["pattern"]["String"] == " " => Ok((Splitter::Whole, rules)),
        Some("Metaspace") if !marked && pre["replacement"] == META_SYMBOL => {
            let whole = pre["split"] == false;
            let splitter = if whole { Splitter::Whole } else { Splitter::Spaces };
            let prepend = prepended(pre).ok_or_else(refused)?;
            Ok((splitter, rules | SPACE_MARK << LATE | prepend))
        }
        _ => Err(refused()),
    }
}

/// Rules for what `Metaspace` puts before a text; before version 0.14 of `tokenizers` it was a
/// flag.
fn prepended(metaspace: &Value) -> Option<u32> {
    let always = PREPEND << LATE | PREPEND_MISSING;
    match (metaspace["prepend_scheme"].as_str(), &metaspace["add_prefix_space"]) {
        (Some("always"), _) | (None, Value::Bool(true) | Value::Null) => Some(always),
        (Some("first"), _) => Some(always | PREPEND_FIRST),
        (Some("never"), _) | (None, Value::Bool(false)) => Some(0),
        _ => None,
    }
}

/// A decoder's way with the text of tokens.
pub(super) struct Decoder {
    /// Whether tokens such as `<0x0A>` are bytes.
    bytes: bool,
    /// The rules of decoding.
    pub rules: u32,
}

impl Decoder {
    /// The decoder that does exactly what `decoder` says.
    pub fn recognise(decoder: &Value) -> Result<Self, TokenizerError> {
        let refused = || TokenizerError::unsupported("decoder", decoder);
        if decoder["type"] == "Metaspace" && decoder["replacement"] == META_SYMBOL {
            let put = prepended(decoder).ok_or_else(refused)? != 0;
            return Ok(Self { bytes: false, rules: if put { STRIP | STRIP_ALL } else { 0 } });
        }
        let (mut bytes, mut rules, mut marked, mut fused) = (false, 0, false, false);
        for step in decoder["decoders"].as_array().ok_or_else(refused)? {
            match step["type"].as_str() {
                Some("Replace")
                    if step["pattern"]["String"] == META_SYMBOL && step["content"] == " " =>
                {
                    marked = true;
                }
                Some("ByteFallback") if !fused => bytes = true,
                Some("Fuse") => fused = true,
                Some("Strip")
                    if fused
                        && step["content"] == " "
                        && step["start"] == 1
                        && step["stop"] == 0 =>
                {
                    rules = STRIP;
                }
                _ => return Err(refused()),
            }
        }
        if marked && fused { Ok(Self { bytes, rules }) } else { Err(refused()) }
    }

    /// Decodes a token's text.
    pub fn decoded(&self, text: &str) -> Vec<u8> {
        match byte(text).filter(|_| self.bytes) {
            Some(byte) => vec![byte],
            None => text.replace(META_SYMBOL, " ").into_bytes(),
        }
    }
}

/// The byte that a token such as `<0x0A>` stands for.
pub(super) fn byte(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    let is_hex = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u8::from_str_radix(digits, 16).ok().filter(|_| is_hex)
}

/// The text of the token that a byte falls back to.
pub(super) fn byte_token(byte: u8) -> String {
    format!("<0x{byte:02X}>")
}
