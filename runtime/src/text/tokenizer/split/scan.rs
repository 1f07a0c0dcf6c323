//! Scans: the parts that regular expressions of pre-tokenizers have in common.

use crate::text::tokenizer::unicode::{self, Class};

/// Whether llama.cpp's own expression cuts this character out first: `[\p{P}$+<=>^~|]`.
pub(super) fn is_cut(c: char) -> bool {
    unicode::is_point(c) || matches!(c, '$' | '+' | '<' | '=' | '>' | '^' | '~' | '|')
}

/// Mode of a scan: a text is what it is.
pub(super) const PLAIN: u8 = 0;
/// Mode of a scan: a digit counts as the end, as after `Digits`.
pub(super) const DIGITS_END: u8 = 1;
/// Mode of a scan: `\p{N}` counts as the end.
pub(super) const NUMBERS_END: u8 = 2;
/// Mode of a scan: a line feed counts as the end.
pub(super) const LINES_END: u8 = 3;
/// Mode of a scan: what llama.cpp's own expression cuts out first counts as the end.
pub(super) const POINTS_END: u8 = 4;
/// Mode of a scan: marks are letters.
pub(super) const MARKS_JOIN: u8 = 5;

/// A text to scan. What an earlier expression cut out ends it, as the mode says.
#[derive(Clone, Copy)]
pub(super) struct Scan<'a, const MODE: u8> {
    pub text: &'a str,
}

impl<const MODE: u8> Scan<'_, MODE> {
    /// The class of the character at `at` and where it ends; `None` at the end.
    #[inline(always)]
    pub fn class(self, at: usize) -> Option<(Class, usize)> {
        let byte = self.byte(at)?;
        match unicode::ascii(byte) {
            Some(Class::Number) if MODE == DIGITS_END || MODE == NUMBERS_END => None,
            Some(Class::Other) if MODE == POINTS_END && is_cut(char::from(byte)) => None,
            Some(class) => Some((class, at + 1)),
            None => self.wide_class(at),
        }
    }

    /// The same as [`Scan::class`], beyond ASCII.
    fn wide_class(self, at: usize) -> Option<(Class, usize)> {
        let c = self.text.get(at..)?.chars().next()?;
        let class = unicode::class(c);
        let ends = match MODE {
            DIGITS_END => unicode::is_digit(c, class),
            NUMBERS_END => class == Class::Number,
            POINTS_END => class == Class::Other && is_cut(c),
            _ => false,
        };
        let joins = MODE == MARKS_JOIN && class == Class::Other && unicode::is_mark(c);
        let class = if joins { Class::Letter } else { class };
        (!ends).then_some((class, at + c.len_utf8()))
    }

    /// The byte at `at`; `None` at the end.
    pub fn byte(self, at: usize) -> Option<u8> {
        let byte = self.text.as_bytes().get(at).copied();
        if MODE == LINES_END { byte.filter(|&byte| byte != b'\n') } else { byte }
    }

    /// End of `class*` from `at`.
    #[inline(always)]
    pub fn run(self, mut at: usize, class: Class) -> usize {
        while let Some((found, next)) = self.class(at)
            && found == class
        {
            at = next;
        }
        at
    }

    /// End of `[\r\n]*` from `at`.
    pub fn newlines(self, mut at: usize) -> usize {
        while matches!(self.byte(at), Some(b'\r' | b'\n')) {
            at += 1;
        }
        at
    }

    /// End of `\s+(?!\S)|\s+`, of spaces that reach from `at` to `end`: before a word, one is
    /// left to it if there are two.
    pub fn spaces(self, at: usize, end: usize) -> usize {
        if self.class(end).is_none() {
            return end;
        }
        let last = self.text.get(at..end).and_then(|spaces| spaces.chars().next_back());
        let but_last = end - last.map_or(0, char::len_utf8);
        if but_last > at { but_last } else { end }
    }

    /// End of an apostrophe at `at` and the letters that English puts after it; `None` if there is
    /// no such contraction.
    pub fn contraction(self, at: usize, any_case: bool) -> Option<usize> {
        let tail = self.text.as_bytes().get(at..)?.strip_prefix(b"'")?;
        let fold = |byte: &u8| if any_case { byte.to_ascii_lowercase() } else { *byte };
        match (tail.first().map(fold)?, tail.get(1).map(fold)) {
            (b's' | b't' | b'm' | b'd', _) => Some(at + 2),
            (b'r' | b'v', Some(b'e')) | (b'l', Some(b'l')) => Some(at + 3),
            // U+017F, the long s, folds to s.
            (0xC5, _) if any_case && tail.starts_with("ſ".as_bytes()) => Some(at + 3),
            _ => None,
        }
    }
}
