//! SentencePiece's precompiled normalizer: a double array that leads from texts to others.
//!
//! As Hugging Face `tokenizers` goes through it, which is not as SentencePiece does. A cluster of
//! less than six bytes becomes what the shortest key says that it begins with, whatever is left of
//! it; all others go character by character.

use super::grapheme::cluster_len;

/// Bytes of the longest key that is looked for: longer clusters are not looked up whole.
pub const LONGEST_KEY: usize = 5;
/// Bytes that a key becomes, at most. SentencePiece's own has 33 (U+FDFA).
pub const LONGEST_TEXT: usize = 255;

/// A charsmap as the file has it: a double array (Aoe, 1989) of units, and the texts that keys lead
/// to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Charsmap<'m> {
    units: &'m [[u8; 4]],
    texts: &'m [u8],
}

impl<'m> Charsmap<'m> {
    /// Takes the table's bytes: the length of the units in bytes, the units, and texts that end
    /// with zeros; `None` if they are fewer than that length says.
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
        let whole = cluster.len() <= LONGEST_KEY && self.shortest(cluster).is_some();
        whole || characters(cluster).any(|c| self.shortest(c).is_some())
    }

    /// Rewrites a cluster and gives it in pieces.
    pub(super) fn rewrite(&self, cluster: &str, put: &mut dyn FnMut(&str)) {
        match self.shortest(cluster).filter(|_| cluster.len() <= LONGEST_KEY) {
            Some(text) => put(text),
            None => characters(cluster).for_each(|c| put(self.shortest(c).unwrap_or(c))),
        }
    }

    /// Bytes that a cluster that begins with the first character of a text becomes at most,
    /// wherever it ends.
    pub(super) fn max_len(&self, text: &str) -> usize {
        let own = text.chars().next().map_or(0, char::len_utf8);
        self.shortest(text).map_or(0, str::len).max(own)
    }

    /// The text that the shortest key leads to with which a text begins.
    ///
    /// Keys longer than [`LONGEST_KEY`] are not asked for, and without an end a table that leads in
    /// a circle would be followed through all of the text.
    fn shortest(&self, text: &str) -> Option<&'m str> {
        let mut at = children(0, self.unit(0)?);
        for &byte in text.as_bytes().iter().take(LONGEST_KEY).take_while(|&&byte| byte != 0) {
            at ^= usize::from(byte);
            let unit = self.unit(at)?;
            if !is_of(unit, byte) {
                return None;
            }
            at = children(at, unit);
            if ends_key(unit) {
                return self.text(self.text_start(at)?);
            }
        }
        None
    }

    /// The unit at this place; keys begin at the first.
    pub fn unit(&self, at: usize) -> Option<u32> {
        self.units.get(at).copied().map(u32::from_le_bytes)
    }

    /// Offset in [`Self::texts`] of the text of a key, the children of whose last unit are here.
    pub fn text_start(&self, children: usize) -> Option<usize> {
        // The upper bit says that a unit holds a value.
        self.unit(children).map(|unit| (unit & !(1 << 31)) as usize)
    }

    /// The texts that keys become, each up to a zero.
    pub const fn texts(&self) -> &'m [u8] {
        self.texts
    }

    /// The text at this offset; `None` if it is too long or not UTF-8.
    fn text(&self, start: usize) -> Option<&'m str> {
        let tail = self.texts.get(start..)?;
        let end = tail.iter().take(LONGEST_TEXT + 1).position(|&byte| byte == 0);
        let text = tail.get(..end.unwrap_or(tail.len())).filter(|text| text.len() <= LONGEST_TEXT);
        core::str::from_utf8(text?).ok()
    }
}

/// Place of the children of the unit at `at`: each lies there by exclusive or with its byte.
pub const fn children(at: usize, unit: u32) -> usize {
    at ^ (unit as usize >> 10) << ((unit & 1 << 9) >> 6)
}

/// Whether a unit is reached by this byte, and holds no value.
pub const fn is_of(unit: u32, byte: u8) -> bool {
    unit & (1 << 31 | 0xFF) == byte as u32
}

/// Whether a key ends with this unit: the first of its children holds the value.
pub const fn ends_key(unit: u32) -> bool {
    unit & 1 << 8 != 0
}

/// The characters of a text, each a text.
fn characters(text: &str) -> impl Iterator<Item = &str> {
    text.char_indices().filter_map(|(at, c)| text.get(at..at + c.len_utf8()))
}
