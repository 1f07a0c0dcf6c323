//! A line as it is typed: edited at its end, with the lines before it to be had again.
//!
//! The editor takes bytes and gives back what the terminal is to show. It knows nothing of
//! where either goes.

use heapless::{Deque, Vec};

/// Bytes of the longest line.
pub const LINE: usize = 4096;
/// Bytes of a line that is remembered, and how many are.
const REMEMBERED: usize = 256;
const HISTORY: usize = 16;

/// Text before a line.
pub const PROMPT: &str = "> ";

const BACKSPACE: u8 = 0x08;
const DELETE: u8 = 0x7F;
/// Ctrl-C.
pub const INTERRUPT: u8 = 0x03;
const KILL: u8 = 0x15;
const ESCAPE: u8 = 0x1B;

/// Outcome of a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typed {
    /// The line goes on.
    More,
    /// The line is complete: [`Editor::line`].
    Line,
    /// The line was longer than [`LINE`]; nothing of it is kept.
    TooLong,
    /// The line was given up.
    Interrupted,
}

/// Progress within a terminal's key sequence: `ESC [ … letter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sequence {
    None,
    Escape,
    Bracket,
}

/// A line in the making.
#[derive(Debug)]
pub struct Editor {
    line: Vec<u8, LINE>,
    too_long: bool,
    sequence: Sequence,
    /// Whether the last byte ended a line, so that a newline after a return is no other line.
    returned: bool,
    /// Whether the next byte begins another line.
    complete: bool,
    history: Deque<Vec<u8, REMEMBERED>, HISTORY>,
    /// Steps back in the history to the line; 0 is the line that was begun.
    back: usize,
}

impl Editor {
    /// An empty line without a past.
    pub const fn new() -> Self {
        Self {
            line: Vec::new(),
            too_long: false,
            sequence: Sequence::None,
            returned: false,
            complete: false,
            history: Deque::new(),
            back: 0,
        }
    }

    /// The bytes of the line, which need not be text.
    pub fn line(&self) -> &[u8] {
        &self.line
    }

    /// Takes a byte; `show` gets what the terminal is to show for it.
    pub fn take(&mut self, byte: u8, show: &mut dyn FnMut(&[u8])) -> Typed {
        if core::mem::take(&mut self.complete) {
            self.clear();
        }
        let after_return = core::mem::replace(&mut self.returned, byte == b'\r');
        match (self.sequence, byte) {
            (Sequence::None, _) => return self.plain(byte, after_return, show),
            (Sequence::Escape, b'[') => self.sequence = Sequence::Bracket,
            // Parameters, then one letter (ECMA-48, 5.4).
            (Sequence::Bracket, b' '..=b'?') => {}
            (Sequence::Bracket, letter @ b'@'..=b'~') => {
                self.sequence = Sequence::None;
                match letter {
                    b'A' => self.recall(self.back + 1, show),
                    b'B' => self.recall(self.back.wrapping_sub(1), show),
                    _ => {}
                }
            }
            // Not a sequence after all: the byte counts for itself.
            _ => {
                self.sequence = Sequence::None;
                return self.plain(byte, after_return, show);
            }
        }
        Typed::More
    }

    fn plain(&mut self, byte: u8, after_return: bool, show: &mut dyn FnMut(&[u8])) -> Typed {
        match byte {
            b'\n' if after_return => {}
            b'\r' | b'\n' => return self.end(show),
            INTERRUPT => {
                show(b"^C\n");
                self.complete = true;
                return Typed::Interrupted;
            }
            BACKSPACE | DELETE => self.erase(show),
            KILL => {
                self.clear();
                self.redraw(show);
            }
            ESCAPE => self.sequence = Sequence::Escape,
            b'\t' => self.append(b' ', show),
            b' '.. => self.append(byte, show),
            _ => {}
        }
        Typed::More
    }

    fn append(&mut self, byte: u8, show: &mut dyn FnMut(&[u8])) {
        match self.line.push(byte) {
            Ok(()) => show(&[byte]),
            // A bell, once.
            Err(_) if !core::mem::replace(&mut self.too_long, true) => show(b"\x07"),
            Err(_) => {}
        }
    }

    fn end(&mut self, show: &mut dyn FnMut(&[u8])) -> Typed {
        show(b"\n");
        self.complete = true;
        if self.too_long {
            return Typed::TooLong;
        }
        self.remember();
        Typed::Line
    }

    /// Takes back a character: a byte, and those before it that continue one (RFC 3629).
    fn erase(&mut self, show: &mut dyn FnMut(&[u8])) {
        let Some(last) = self.line.pop() else { return };
        if last < 0x80 {
            return show(b"\x08 \x08");
        }
        let mut byte = Some(last);
        while byte.is_some_and(|byte| byte & 0xC0 == 0x80) {
            byte = self.line.pop();
        }
        // How wide it was only the terminal knows.
        self.redraw(show);
    }

    fn redraw(&self, show: &mut dyn FnMut(&[u8])) {
        show(b"\r\x1b[K");
        show(PROMPT.as_bytes());
        show(&self.line);
    }

    fn clear(&mut self) {
        self.line.clear();
        (self.too_long, self.back) = (false, 0);
    }

    fn remember(&mut self) {
        let Ok(line) = Vec::from_slice(&self.line) else { return };
        if line.is_empty() || self.history.back() == Some(&line) {
            return;
        }
        if self.history.is_full() {
            self.history.pop_front();
        }
        let _ = self.history.push_back(line);
    }

    /// Shows the line that is so far back; 0 is an empty one.
    fn recall(&mut self, back: usize, show: &mut dyn FnMut(&[u8])) {
        let line = match back {
            0 => Some(&[][..]),
            _ => self.history.iter().rev().nth(back.wrapping_sub(1)).map(Vec::as_slice),
        };
        if let Some(line) = line {
            self.line = Vec::from_slice(line).unwrap_or_default();
            (self.too_long, self.back) = (false, back);
            self.redraw(show);
        }
    }
}

impl Default for Editor {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    extern crate std;
    use std::string::String;
    use std::vec::Vec;

    /// The lines that these bytes give, as text, and what was shown.
    fn typed(editor: &mut Editor, bytes: &[u8]) -> (Vec<String>, String) {
        let (mut lines, mut shown) = (Vec::new(), Vec::new());
        for &byte in bytes {
            match editor.take(byte, &mut |text| shown.extend_from_slice(text)) {
                Typed::Line => lines.push(String::from_utf8_lossy(editor.line()).into_owned()),
                Typed::TooLong => lines.push("too long".into()),
                Typed::Interrupted => lines.push("interrupted".into()),
                Typed::More => {}
            }
        }
        (lines, String::from_utf8_lossy(&shown).into_owned())
    }

    #[test]
    fn a_line_is_edited_at_its_end() {
        for (bytes, line) in [
            (&b"abc\r"[..], "abc"),
            (b"abd\x7Fc\n", "abc"),
            (b"\x08\x08x\n", "x"),
            (b"one two\x15three\r", "three"),
            ("a\u{1F389}é\x08\x7Fb\r".as_bytes(), "ab"),
            (b"a\x1b[C\x1b[3~\x1b[1;5Db\x1bOc\r", "abOc"),
            (b"a\tb\x01\x00\r", "a b"),
        ] {
            assert_eq!(typed(&mut Editor::new(), bytes).0, [line]);
        }
    }

    #[test]
    fn return_and_newline_are_one_end() {
        let mut editor = Editor::new();
        assert_eq!(typed(&mut editor, b"a\r\nb\nc\r\r\n").0, ["a", "b", "c", ""]);
    }

    #[test]
    fn lines_before_can_be_had_again() {
        let mut editor = Editor::new();
        typed(&mut editor, b"first\rsecond\r");
        let (lines, shown) = typed(&mut editor, b"\x1b[A\x1b[A\x1b[A\x1b[B\x1b[A!\r");
        assert_eq!(lines, ["first!"]);
        assert!(shown.contains("\r\x1b[K> second") && shown.ends_with("!\n"));
        assert_eq!(typed(&mut editor, b"\x1b[A\x1b[Bx\r").0, ["x"]);
    }

    #[test]
    fn what_is_too_long_is_no_line() {
        let mut editor = Editor::new();
        let long = std::vec![b'a'; 100_000];
        let (lines, shown) = typed(&mut editor, &[&long[..], b"\rb\r"].concat());
        assert_eq!(lines, ["too long", "b"]);
        assert!(shown.matches('\x07').count() == 1 && shown.len() < LINE + 10);
        assert_eq!(typed(&mut editor, &[&long[..LINE], b"\r"].concat()).0[0].len(), LINE);
        assert_eq!(typed(&mut editor, b"abc\x03d\r").0, ["interrupted", "d"]);
    }

    #[test]
    fn any_bytes_leave_a_living_editor() {
        let mut editor = Editor::new();
        for first in 0..=255 {
            for second in 0..=255 {
                typed(&mut editor, &[first, second, b'x']);
            }
        }
        typed(&mut editor, b"\x03");
        assert_eq!(typed(&mut editor, b"alive\r").0, ["alive"]);
    }
}
