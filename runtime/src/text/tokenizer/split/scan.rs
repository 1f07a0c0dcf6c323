//! Scans: the parts that regular expressions of pre-tokenizers have in common.

use crate::text::tokenizer::unicode::{self, Class};

/// A text to scan; with `DIGITS_END`, a digit counts as the end of it.
#[derive(Clone, Copy)]
pub(super) struct Scan<'a, const DIGITS_END: bool> {
    pub text: &'a str,
}

impl<const DIGITS_END: bool> Scan<'_, DIGITS_END> {
    /// The class of the character at `at` and where it ends; `None` at the end.
    #[inline(always)]
    pub fn class(self, at: usize) -> Option<(Class, usize)> {
        match unicode::ascii(self.byte(at)?) {
            Some(Class::Number) if DIGITS_END => None,
            Some(class) => Some((class, at + 1)),
            None => self.wide_class(at),
        }
    }

    /// The same as [`Scan::class`], beyond ASCII.
    fn wide_class(self, at: usize) -> Option<(Class, usize)> {
        let c = self.text.get(at..)?.chars().next()?;
        let class = unicode::class(c);
        let ends = DIGITS_END && unicode::is_digit(c, class);
        (!ends).then_some((class, at + c.len_utf8()))
    }

    /// The byte at `at`; `None` at the end.
    pub fn byte(self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
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
