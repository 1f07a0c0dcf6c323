//! Checks of SentencePiece's precompiled table, of which the runtime believes everything.

use std::collections::HashSet;

use oarlock::tokenizer::{Charsmap, LONGEST_TEXT};
use serde_json::Value;

use super::{TokenizerError, malformed};

/// Keys are compared with clusters of less than six bytes.
const DEEPEST: usize = 5;

/// The table of a step `Precompiled`, as the model file holds it.
pub(super) fn read(step: &Value) -> Result<Vec<u8>, TokenizerError> {
    let wrong = |what: &str| malformed(format!("normalizer: precompiled_charsmap: {what}"));
    let text = step["precompiled_charsmap"].as_str().ok_or_else(|| wrong("no text"))?;
    let bytes = base64(text).ok_or_else(|| wrong("not base64"))?;
    Charsmap::new(&bytes).ok_or_else(|| wrong("shorter than it says"))?;
    let table = Table::new(&bytes).ok_or_else(|| wrong("shorter than it says"))?;
    match table.fault() {
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

/// The double array and its texts.
struct Table<'a> {
    units: Vec<u32>,
    texts: &'a [u8],
}

impl<'a> Table<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let (len, rest) = bytes.split_first_chunk()?;
        let (units, texts) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        let units = units.as_chunks().0.iter().map(|&unit| u32::from_le_bytes(unit));
        Some(Self { units: units.collect(), texts })
    }

    /// What is wrong with it, as far as a search may come.
    fn fault(&self) -> Option<&'static str> {
        let Some(&root) = self.units.first() else { return Some("no units") };
        // Keys that end alike share units: each is gone through once for each place in a key.
        let (mut seen, mut stack) = (HashSet::new(), vec![(children(0, root), 1)]);
        while let Some((base, depth)) = stack.pop() {
            if !seen.insert((base, depth)) {
                continue;
            }
            for byte in 1..=u8::MAX {
                let at = base ^ usize::from(byte);
                // tokenizers would stop the program there.
                let Some(&unit) = self.units.get(at) else {
                    return Some("it leads out of its units");
                };
                if unit & (1 << 31 | 0xFF) != u32::from(byte) {
                    continue;
                }
                let below = children(at, unit);
                if unit & 1 << 8 != 0 {
                    // Longer keys are never looked for.
                    let fault = self.text_fault(below);
                    if fault.is_some() {
                        return fault;
                    }
                } else if depth < DEEPEST {
                    stack.push((below, depth + 1));
                }
            }
        }
        None
    }

    /// What is wrong with the text of a key whose value is in this unit.
    fn text_fault(&self, unit: usize) -> Option<&'static str> {
        let start = self.units.get(unit).map(|unit| (unit & !(1 << 31)) as usize);
        let tail = start.and_then(|start| self.texts.get(start..));
        let Some(tail) = tail else { return Some("a key without a text") };
        let text = tail.split(|&byte| byte == 0).next().unwrap_or_default();
        match str::from_utf8(text) {
            Err(_) => Some("a text that is not UTF-8"),
            Ok(_) if text.len() > LONGEST_TEXT => Some("a text of more than 255 bytes"),
            Ok(_) => None,
        }
    }
}

/// Where the children of a unit lie, by exclusive or with their bytes.
fn children(at: usize, unit: u32) -> usize {
    at ^ (unit as usize >> 10) << ((unit & 1 << 9) >> 6)
}
