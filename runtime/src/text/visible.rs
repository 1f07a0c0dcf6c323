//! Text of strangers on a terminal: what would act on it, or hide on it, is spelled out.
//!
//! Terminals obey control characters (ECMA-48) and reorder text by others (Unicode's UAX #9;
//! "Trojan Source", arXiv 2111.00169), wherever they come from: a file's name, a tensor's, the
//! answer of a model. Here they become `\u{1b}`, and bytes that are no text `\x9b`. Joiners and
//! variation selectors stay where scripts and emoji need them.

use core::fmt::{self, Display};
use core::mem;

/// Whether a character acts on a terminal or cannot be seen on it: controls, separators of lines,
/// and what Unicode lets fonts ignore (`Default_Ignorable_Code_Point`) or calls annotation.
pub const fn is_hidden(c: char) -> bool {
    matches!(
        c,
        '\0'..='\u{1F}'
            | '\u{7F}'..='\u{9F}'
            | '\u{AD}'
            | '\u{34F}'
            | '\u{61C}'
            | '\u{115F}'..='\u{1160}'
            | '\u{17B4}'..='\u{17B5}'
            | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}'
            | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{3164}'
            | '\u{FE00}'..='\u{FE0F}'
            | '\u{FEFF}'
            | '\u{FFA0}'
            | '\u{FFF0}'..='\u{FFFB}'
            | '\u{1BCA0}'..='\u{1BCA3}'
            | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0000}'..='\u{E0FFF}'
    )
}

/// Whether a hidden character has its place behind another: joiners and selectors behind what
/// they join and select, once. Behind Latin, Greek and Cyrillic letters they could only deceive.
const fn belongs(c: char, before: char) -> bool {
    let shaped = before >= '\u{590}' && !matches!(before, '\u{1E00}'..='\u{1FFF}');
    let seen = shaped && !is_hidden(before);
    match c {
        '\u{200C}' | '\u{200D}' => seen || is_selector(before),
        '\u{FE0E}' | '\u{FE0F}' => {
            seen || matches!(before, '0'..='9' | '#' | '*' | '\u{A9}' | '\u{AE}')
        }
        // Scripts that are written without spaces mark their words with it.
        '\u{200B}' => {
            matches!(before, '\u{E00}'..='\u{EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}')
        }
        // A flag's region (UTS #51): a black flag, and letters that only tags have.
        '\u{E0020}'..='\u{E007F}' => matches!(before, '\u{1F3F4}' | '\u{E0020}'..='\u{E007E}'),
        c => is_selector(c) && seen,
    }
}

const fn is_selector(c: char) -> bool {
    matches!(
        c,
        '\u{180B}'..='\u{180D}' | '\u{180F}' | '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}'
    )
}

/// Text or bytes of strangers, shown: `{}` writes nothing that a terminal obeys.
///
/// ```
/// use oarlock::visible::Visible;
///
/// assert_eq!(Visible::line("red: \x1b[31m\n").to_string(), r"red: \u{1b}[31m ");
/// assert_eq!(Visible::line(b"\x9b31m").to_string(), r"\x9b31m");
/// assert_eq!(Visible::line("a long name").at_most(5).to_string(), "a …me");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Visible<'a> {
    bytes: &'a [u8],
    lines: bool,
    most: usize,
}

impl<'a> Visible<'a> {
    /// Text that is to stay on its line: ends of lines and tabs become spaces.
    pub fn line(text: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self { bytes: text.as_ref(), lines: false, most: usize::MAX }
    }

    /// Text that has lines and tabs.
    pub fn lines(text: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self { lines: true, ..Self::line(text) }
    }

    /// The same in `most` characters, with `…` for the middle if there are more.
    pub const fn at_most(self, most: usize) -> Self {
        Self { most, ..self }
    }
}

impl Display for Visible<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = units(self.bytes).map(Unit::width).fold(0, usize::saturating_add);
        let (head, tail) = match self.most {
            most if all <= most => (all, all),
            most => (most / 2, most.saturating_sub(1) / 2),
        };
        let mut done = Ok(());
        let out = &mut |text: &str| done = done.and_then(|()| f.write_str(text));
        let mut stream = VisibleStream { lines: self.lines, ..VisibleStream::new() };
        let (mut at, mut cut) = (0_usize, false);
        for unit in units(self.bytes) {
            let start = at;
            at = at.saturating_add(unit.width());
            if at <= head || all.saturating_sub(start) <= tail {
                stream.unit(unit, out);
            } else if !mem::replace(&mut cut, true) {
                stream.finish(out);
                out("…");
            }
        }
        stream.finish(out);
        done
    }
}

/// A character, or a byte that is of none.
#[derive(Clone, Copy)]
enum Unit {
    Char(char),
    Byte(u8),
}

impl Unit {
    /// Characters that it is shown in, at most.
    fn width(self) -> usize {
        match self {
            Self::Char('\n' | '\t') => 1,
            Self::Char(c) if is_hidden(c) => c.escape_unicode().len(),
            Self::Char(_) => 1,
            Self::Byte(byte) => byte.escape_ascii().len(),
        }
    }
}

fn units(bytes: &[u8]) -> impl Iterator<Item = Unit> {
    bytes.utf8_chunks().flat_map(|chunk| {
        let bad = chunk.invalid().iter().map(|&byte| Unit::Byte(byte));
        chunk.valid().chars().map(Unit::Char).chain(bad)
    })
}

/// Text that comes in pieces, with lines and tabs, as the tokens of a model bring it. A carriage
/// return, which would let a line be written over, is shown too, but for one before a newline.
#[derive(Clone, Copy, Debug)]
pub struct VisibleStream {
    lines: bool,
    /// The character before, if it was shown as it is.
    before: Option<char>,
    /// Whether that was followed by a carriage return, which waits for a newline.
    returned: bool,
}

impl Default for VisibleStream {
    fn default() -> Self {
        Self::new()
    }
}

impl VisibleStream {
    /// A text that begins.
    pub const fn new() -> Self {
        Self { lines: true, before: None, returned: false }
    }

    /// Takes the next piece and gives what is to be written of it.
    pub fn push(&mut self, text: &str, out: &mut dyn FnMut(&str)) {
        text.chars().for_each(|c| self.unit(Unit::Char(c), out));
    }

    /// Ends the text: nothing waits any more.
    pub fn finish(&mut self, out: &mut dyn FnMut(&str)) {
        if mem::take(&mut self.returned) {
            spell('\r', out);
        }
        self.before = None;
    }

    fn unit(&mut self, unit: Unit, out: &mut dyn FnMut(&str)) {
        if !matches!(unit, Unit::Char('\n')) && self.returned {
            self.finish(out);
        }
        self.returned = false;
        match unit {
            Unit::Byte(byte) => {
                byte.escape_ascii().for_each(|c| put(char::from(c), out));
                self.before = None;
            }
            Unit::Char('\r') => self.returned = true,
            Unit::Char(c) => self.char(c, out),
        }
    }

    fn char(&mut self, c: char, out: &mut dyn FnMut(&str)) {
        let breaks = matches!(c, '\n' | '\t');
        let belongs = self.before.is_some_and(|before| belongs(c, before));
        let as_it_is = !is_hidden(c) || belongs || breaks;
        match as_it_is {
            true if breaks && !self.lines => put(' ', out),
            true => put(c, out),
            false => spell(c, out),
        }
        self.before = Some(c).filter(|_| as_it_is);
    }
}

fn put(c: char, out: &mut dyn FnMut(&str)) {
    out(c.encode_utf8(&mut [0; 4]));
}

fn spell(c: char, out: &mut dyn FnMut(&str)) {
    c.escape_unicode().for_each(|c| put(c, out));
}

#[cfg(test)]
mod tests {
    use super::*;

    extern crate std;
    use std::string::{String, ToString};
    use std::vec::Vec;

    fn streamed(pieces: &[&str]) -> String {
        let (mut stream, mut text) = (VisibleStream::new(), String::new());
        pieces.iter().for_each(|piece| stream.push(piece, &mut |part| text.push_str(part)));
        stream.finish(&mut |part| text.push_str(part));
        text
    }

    #[test]
    fn what_acts_on_a_terminal_is_spelled_out() {
        for (text, shown) in [
            ("a\x1b]0;b\x07", r"a\u{1b}]0;b\u{7}"),
            ("\0\x7F\u{9B}31m", r"\u{0}\u{7f}\u{9b}31m"),
            ("\u{202E}gpj\u{2066}\u{61C}\u{200F}", r"\u{202e}gpj\u{2066}\u{61c}\u{200f}"),
            ("a\u{2028}b\u{FEFF}\u{E0041}\u{AD}", r"a\u{2028}b\u{feff}\u{e0041}\u{ad}"),
            ("über 漢字 🎉 \\u{1b}", "über 漢字 🎉 \\u{1b}"),
        ] {
            assert_eq!(Visible::line(text).to_string(), shown);
            assert_eq!(streamed(&[text]), shown);
        }
    }

    #[test]
    fn lines_are_kept_where_there_may_be_some() {
        let text = "a\tb\r\nc\rd\n\r\r\n\r";
        assert_eq!(Visible::lines(text).to_string(), "a\tb\nc\\u{d}d\n\\u{d}\n\\u{d}");
        assert_eq!(Visible::line(text).to_string(), "a b c\\u{d}d \\u{d} \\u{d}");
    }

    #[test]
    fn any_cut_of_a_stream_gives_what_the_whole_gives() {
        let whole = "a\r\n\x1b[1m\r👩\u{200D}🚀é\u{200D}x\u{9B}2J\u{202E}\r";
        let expected = Visible::lines(whole).to_string();
        assert_eq!(expected, "a\n\\u{1b}[1m\\u{d}👩\u{200D}🚀é\\u{200d}x\\u{9b}2J\\u{202e}\\u{d}");
        for (at, _) in whole.char_indices() {
            let (left, right) = whole.split_at(at);
            assert_eq!(streamed(&[left, right]), expected);
        }
        let single: Vec<_> = whole.split_inclusive(|_| true).collect();
        assert_eq!(streamed(&single), expected);
    }

    #[test]
    fn scripts_and_emoji_keep_their_joiners() {
        for text in [
            "👨\u{200D}👩\u{200D}👧",
            "🏳\u{FE0F}\u{200D}🌈",
            "❤\u{FE0F}\u{200D}🔥",
            "1\u{FE0F}\u{20E3} ©\u{FE0F}",
            "می\u{200C}خواهم",
            "क्\u{200D}ष ക്\u{200D}",
            "葛\u{E0100}",
            "ᠠ\u{180B}",
            "ខ្មែរ\u{200B}ខ្មែរ",
            "🏴\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}",
        ] {
            assert_eq!(Visible::line(text).to_string(), text);
        }
        for (text, shown) in [
            ("pay\u{200B}pal", r"pay\u{200b}pal"),
            ("ad\u{200D}min \u{200C}", r"ad\u{200d}min \u{200c}"),
            ("👩\u{200D}\u{200D}", "👩\u{200D}\\u{200d}"),
            ("葛\u{FE00}\u{FE01}", "葛\u{FE00}\\u{fe01}"),
            ("ạ\u{200D}\u{200D}", r"ạ\u{200d}\u{200d}"),
            ("\u{FE0F}", r"\u{fe0f}"),
            ("🏴\u{E007F}\u{E0041}", "🏴\u{E007F}\\u{e0041}"),
            ("🎉\u{E0041}\u{E0042}", r"🎉\u{e0041}\u{e0042}"),
        ] {
            assert_eq!(Visible::line(text).to_string(), shown);
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_shown() {
        assert_eq!(Visible::line(b"a\x9B31m\xC3").to_string(), r"a\x9b31m\xc3");
        assert_eq!(Visible::line(b"\xF0\x9F\x8Ez\r\xFF").to_string(), r"\xf0\x9f\x8ez\u{d}\xff");
    }

    #[test]
    fn the_middle_of_what_is_too_long_is_left_out() {
        let long = "x".repeat(5000) + "\x1b[2J end";
        for most in 0..40 {
            let shown = Visible::line(&long).at_most(most).to_string();
            assert!(shown.chars().count() <= most.max(1), "{shown}");
            assert!(shown.contains('…') && (most < 9 || shown.ends_with("end")), "{shown}");
        }
        assert_eq!(Visible::line("1234567890").at_most(9).to_string(), "1234…7890");
        assert_eq!(Visible::line("1234567890").at_most(10).to_string(), "1234567890");
        assert_eq!(Visible::line("\x1b\x1b\x1b").at_most(15).to_string(), r"\u{1b}…\u{1b}");
        assert_eq!(Visible::line("\r\r\r\r").at_most(11).to_string(), r"\u{d}…\u{d}");
    }
}
