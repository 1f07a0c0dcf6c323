//! Checks of SentencePiece's precompiled table, of which the runtime believes everything.

use std::collections::HashSet;

use oarlock::tokenizer::charsmap::{
    Charsmap, LONGEST_KEY, LONGEST_TEXT, children, ends_key, is_of,
};
use serde_json::Value;

use crate::tokenizer::error::{TokenizerError, malformed};

/// The table of a step `Precompiled`, as the model file holds it.
pub(super) fn read(step: &Value) -> Result<Vec<u8>, TokenizerError> {
    let wrong = |what: &str| malformed(format!("normalizer: precompiled_charsmap: {what}"));
    let text = step["precompiled_charsmap"].as_str().ok_or_else(|| wrong("no text"))?;
    let bytes = base64(text).ok_or_else(|| wrong("not base64"))?;
    let table = Charsmap::new(&bytes).ok_or_else(|| wrong("shorter than it says"))?;
    match fault(&table) {
        Some(fault) => Err(wrong(fault)),
        None => Ok(bytes),
    }
}

/// RFC 4648, padded.
fn base64(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => Some(c - b'A'),
        b'a'..=b'z' => Some(c - b'a' + 26),
        b'0'..=b'9' => Some(c - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let digits = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - digits.len() > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for four in digits.as_bytes().chunks(4) {
        let bits =
            four.iter().try_fold(0_u32, |bits, &c| Some(bits << 6 | u32::from(digit(c)?)))?;
        let [_, three @ ..] = (bits << (24 - 6 * four.len())).to_be_bytes();
        bytes.extend(&three[..four.len() - 1]);
    }
    Some(bytes)
}

/// Finds what is wrong with a table, as far as a search may come.
fn fault(table: &Charsmap<'_>) -> Option<&'static str> {
    let Some(root) = table.unit(0) else { return Some("no units") };
    // Keys that end alike share units: each is gone through once for each place in a key.
    let (mut seen, mut stack) = (HashSet::new(), vec![(children(0, root), 1)]);
    while let Some((base, depth)) = stack.pop() {
        if !seen.insert((base, depth)) {
            continue;
        }
        for byte in 1..=u8::MAX {
            let at = base ^ usize::from(byte);
            // tokenizers would stop the program there.
            let Some(unit) = table.unit(at) else { return Some("it leads out of its units") };
            if !is_of(unit, byte) {
                continue;
            }
            let below = children(at, unit);
            if ends_key(unit) {
                // Longer keys are never looked for.
                let fault = text_fault(table, below);
                if fault.is_some() {
                    return fault;
                }
            } else if depth < LONGEST_KEY {
                stack.push((below, depth + 1));
            }
        }
    }
    None
}

/// Finds what is wrong with the text of a key, the children of whose last unit are here.
fn text_fault(table: &Charsmap<'_>, children: usize) -> Option<&'static str> {
    let start = table.text_start(children);
    let Some(tail) = start.and_then(|start| table.texts().get(start..)) else {
        return Some("a key without a text");
    };
    let text = tail.split(|&byte| byte == 0).next().unwrap_or_default();
    match str::from_utf8(text) {
        Err(_) => Some("a text that is not UTF-8"),
        Ok(_) if text.len() > LONGEST_TEXT => Some("a text of more than 255 bytes"),
        Ok(_) => None,
    }
}
