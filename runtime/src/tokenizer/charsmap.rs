//! SentencePiece's precompiled normalizer: a double array that leads from texts to others.
//!
//! As Hugging Face `tokenizers` goes through it, which is not as SentencePiece does. A cluster of
//! less than six bytes becomes what the shortest key says that it begins with, whatever is left of
//! it; all others go character by character.

use super::grapheme::cluster_len;

/// Clusters of so many bytes, or more, are not looked up whole.
const LONG: usize = 6;
/// Bytes that a key becomes, at most. SentencePiece's own has 33 (U+FDFA).
pub const LONGEST_TEXT: usize = 255;

/// The table as the file has it: its units, and the texts that they lead to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Charsmap<'m> {
    units: &'m [[u8; 4]],
    texts: &'m [u8],
}

impl<'m> Charsmap<'m> {
    /// The bytes of the units as a number, the units, and texts that end with zeros; `None` if it is
    /// shorter than it says.
    pub fn new(bytes: &'m [u8]) -> Option<Self> {
        let (len, rest) = bytes.split_first_chunk()?;
        let (units, texts) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        let (units, []) = units.as_chunks() else { return None };
        Some(Self { units, texts })
    }

    /// The cluster that a text begins with.
    pub(super) fn cluster(text: &str) -> &str {
        text.get(..cluster_len(text)).unwrap_or(text)
    }

    /// Whether a cluster becomes another text.
    pub(super) fn changes(&self, cluster: &str) -> bool {
        let whole = cluster.len() < LONG && self.shortest(cluster).is_some();
        whole || characters(cluster).any(|c| self.shortest(c).is_some())
    }

    /// Gives what a cluster becomes, in pieces.
    pub(super) fn rewrite(&self, cluster: &str, put: &mut dyn FnMut(&str)) {
        match self.shortest(cluster).filter(|_| cluster.len() < LONG) {
            Some(text) => put(text),
            None => characters(cluster).for_each(|c| put(self.shortest(c).unwrap_or(c))),
        }
    }

    /// Bytes that what begins at the first character of a text adds at most, wherever it ends.
    pub(super) fn most(&self, text: &str) -> usize {
        let own = text.chars().next().map_or(0, char::len_utf8);
        self.shortest(text).map_or(0, str::len).max(own)
    }

    /// What the shortest key becomes that a text begins with. Nothing asks for longer ones than
    /// these, and without an end a table that leads in a circle would be followed through it all.
    fn shortest(&self, text: &str) -> Option<&'m str> {
        let mut at = offset(self.unit(0)?);
        for &byte in text.as_bytes().iter().take(LONG - 1).take_while(|&&byte| byte != 0) {
            at ^= usize::from(byte);
            let unit = self.unit(at)?;
            // The upper bit is of a unit that holds a value.
            if unit & (1 << 31 | 0xFF) != u32::from(byte) {
                return None;
            }
            at ^= offset(unit);
            if unit & 1 << 8 != 0 {
                return self.text((self.unit(at)? & !(1 << 31)) as usize);
            }
        }
        None
    }

    fn unit(&self, at: usize) -> Option<u32> {
        self.units.get(at).copied().map(u32::from_le_bytes)
    }

    fn text(&self, start: usize) -> Option<&'m str> {
        let tail = self.texts.get(start..)?;
        let end = tail.iter().take(LONGEST_TEXT + 1).position(|&byte| byte == 0);
        let text = tail.get(..end.unwrap_or(tail.len())).filter(|text| text.len() <= LONGEST_TEXT);
        core::str::from_utf8(text?).ok()
    }
}

/// Where a unit's children lie, from its own place: by exclusive or.
const fn offset(unit: u32) -> usize {
    (unit as usize >> 10) << ((unit & 1 << 9) >> 6)
}

/// The characters of a text, each a text.
fn characters(text: &str) -> impl Iterator<Item = &str> {
    text.char_indices().filter_map(|(at, c)| text.get(at..at + c.len_utf8()))
}
