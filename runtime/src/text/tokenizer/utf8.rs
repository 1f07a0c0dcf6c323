//! Decoding of UTF-8 that comes in pieces, never half a character.

use crate::base::checked::present;

/// Bytes of the longest UTF-8 character.
const LONGEST: usize = 4;

/// A stream that turns the bytes of successive tokens into text.
///
/// A character that is cut by the end of a token waits for its rest; bytes that cannot
/// be text become U+FFFD, in number as `String::from_utf8_lossy` makes them.
#[derive(Clone, Debug, Default)]
pub struct Utf8Stream {
    waiting: heapless::Vec<u8, LONGEST>,
}

impl Utf8Stream {
    /// A stream in which nothing waits.
    pub const fn new() -> Self {
        Self { waiting: heapless::Vec::new() }
    }

    /// Takes the bytes of a token and gives the text that is complete with them.
    pub fn push(&mut self, bytes: &[u8], out: &mut dyn FnMut(&str)) {
        let mut rest = bytes;
        while !self.waiting.is_empty()
            && let Some((&byte, tail)) = rest.split_first()
        {
            if self.extend(byte, out) {
                rest = tail;
            }
        }
        self.take(rest, out);
    }

    /// Ends the text: a character still cut becomes U+FFFD.
    pub fn finish(&mut self, out: &mut dyn FnMut(&str)) {
        if !self.waiting.is_empty() {
            out("\u{FFFD}");
        }
        self.waiting.clear();
    }

    /// Adds a byte to the waiting ones; returns false if it cannot continue them, which are then
    /// given up, and the byte is still to be taken.
    fn extend(&mut self, byte: u8, out: &mut dyn FnMut(&str)) -> bool {
        if self.waiting.push(byte).is_err() {
            self.finish(out);
            return false;
        }
        match core::str::from_utf8(&self.waiting) {
            Ok(text) => out(text),
            Err(error) if error.error_len().is_none() => return true,
            Err(_) => {
                self.finish(out);
                return false;
            }
        }
        self.waiting.clear();
        true
    }

    /// Takes bytes when none wait.
    fn take(&mut self, bytes: &[u8], out: &mut dyn FnMut(&str)) {
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            if !chunk.valid().is_empty() {
                out(chunk.valid());
            }
            let bad = chunk.invalid();
            let cut = chunks.peek().is_none()
                && core::str::from_utf8(bad).is_err_and(|error| error.error_len().is_none());
            if cut {
                self.waiting = present(heapless::Vec::from_slice(bad).ok());
            } else if !bad.is_empty() {
                out("\u{FFFD}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    extern crate std;
    use std::string::String;

    fn streamed<'a>(tokens: impl IntoIterator<Item = &'a [u8]>) -> String {
        let (mut stream, mut text) = (Utf8Stream::new(), String::new());
        for token in tokens {
            stream.push(token, &mut |piece| text.push_str(piece));
        }
        stream.finish(&mut |piece| text.push_str(piece));
        text
    }

    #[test]
    fn any_cut_gives_what_the_whole_gives() {
        let hard: [&[u8]; 8] = [
            "aé漢🎉z".as_bytes(),
            b"\xF0\x9F\x8E",
            b"\xE6\xBC\xE6\xBC\xA2",
            b"\xF0\x9F\x8Eabc\xC3",
            b"\xED\xA0\x80\xF5\x80\xC0\xAF",
            b"\xE0\x80\x80\xF4\x90\x80\x80",
            b"\xF0\xF0\x9F\xF0\x9F\x8E\xF0\x9F\x8E\x89",
            b"",
        ];
        for bytes in hard {
            let whole = String::from_utf8_lossy(bytes);
            assert_eq!(streamed([bytes]), whole);
            assert_eq!(streamed(bytes.chunks(1)), whole);
            for at in 0..bytes.len() {
                let (left, right) = bytes.split_at(at);
                assert_eq!(streamed([left, right]), whole, "{bytes:x?} at {at}");
            }
        }
    }

    #[test]
    fn half_a_character_waits() {
        let mut stream = Utf8Stream::new();
        stream.push(b"a\xF0\x9F", &mut |piece| assert_eq!(piece, "a"));
        stream.push(b"\x8E", &mut |_| unreachable!());
        stream.push(b"\x89", &mut |piece| assert_eq!(piece, "🎉"));
    }
}
