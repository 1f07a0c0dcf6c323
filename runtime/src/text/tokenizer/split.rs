//! Pre-tokenizers: where one word ends and the next begins.
//!
//! Each is the regular expression of its tokenizer, written out by hand. All of them but one
//! match at every character, so a text is its words without rest; what BLOOM's leaves out
//! between two matches is a word too. Words end between characters, but for Falcon's.

mod cased;
mod falcon;

use super::unicode::{self, Class};

/// The pre-tokenizers there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Splitter {
    /// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
    Gpt2 = 0,
    /// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
    Llama3 = 1,
    /// As [`Splitter::Llama3`], numbers one by one: `\p{N}`
    Qwen2 = 2,
    /// Numbers one by one, then [`Splitter::Gpt2`] on what lies between.
    SmolLm = 3,
    /// The whole text is one word.
    Whole = 4,
    /// Each space begins a word.
    Spaces = 5,
    /// `[^\r\n\p{L}\p{N}]?U*L+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?U+L*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
    /// where U is `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]` and L is `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`
    O200k = 6,
    /// As [`Splitter::O200k`], numbers one by one and nothing after an apostrophe.
    Tekken = 7,
    /// ` ?[^(\s|.,!?…。，、।۔،)]+`
    Bloom = 8,
    /// Runs of punctuation, and [`Splitter::Gpt2`] on what lies between; of these, runs of bytes that
    /// are written as numbers, and of those, three digits at a time.
    Falcon = 9,
}

impl Splitter {
    /// The pre-tokenizer with this code in the file.
    pub const fn from_code(code: u32) -> Option<Self> {
        match code {
            0 => Some(Self::Gpt2),
            1 => Some(Self::Llama3),
            2 => Some(Self::Qwen2),
            3 => Some(Self::SmolLm),
            4 => Some(Self::Whole),
            5 => Some(Self::Spaces),
            6 => Some(Self::O200k),
            7 => Some(Self::Tekken),
            8 => Some(Self::Bloom),
            9 => Some(Self::Falcon),
            _ => None,
        }
    }

    /// The end of the word that begins at `at`, which is after `at` unless the text ends.
    #[inline]
    pub fn word_end(self, text: &str, at: usize) -> usize {
        match self {
            Self::Gpt2 => gpt2(Scan::<false> { text }, at),
            Self::Llama3 => llama3(Scan { text }, at, 3),
            Self::Qwen2 => llama3(Scan { text }, at, 1),
            Self::SmolLm => smollm(text, at),
            Self::Whole => text.len(),
            Self::Spaces => spaces(text, at),
            Self::O200k => cased::word_end(text, at, 3, true),
            Self::Tekken => cased::word_end(text, at, 1, false),
            Self::Bloom => bloom(text, at),
            Self::Falcon => falcon::word_end(text, at),
        }
    }
}

/// A text to look at; with `DIGITS_END`, a digit counts as the end of it.
#[derive(Clone, Copy)]
struct Scan<'a, const DIGITS_END: bool> {
    text: &'a str,
}

impl<const DIGITS_END: bool> Scan<'_, DIGITS_END> {
    /// The class of the character at `at` and where it ends; `None` at the end.
    #[inline(always)]
    fn class(self, at: usize) -> Option<(Class, usize)> {
        match unicode::ascii(self.byte(at)?) {
            Some(Class::Number) if DIGITS_END => None,
            Some(class) => Some((class, at + 1)),
            None => self.wide_class(at),
        }
    }

    /// [`Scan::class`] beyond ASCII.
    fn wide_class(self, at: usize) -> Option<(Class, usize)> {
        let c = self.text.get(at..)?.chars().next()?;
        let class = unicode::class(c);
        let ends = DIGITS_END && unicode::is_digit(c, class);
        (!ends).then_some((class, at + c.len_utf8()))
    }

    fn byte(self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    /// `class*` from `at`.
    #[inline(always)]
    fn run(self, mut at: usize, class: Class) -> usize {
        while let Some((found, next)) = self.class(at)
            && found == class
        {
            at = next;
        }
        at
    }

    /// `[\r\n]*` from `at`.
    fn newlines(self, mut at: usize) -> usize {
        while matches!(self.byte(at), Some(b'\r' | b'\n')) {
            at += 1;
        }
        at
    }

    /// `\s+(?!\S)|\s+`, of spaces that reach from `at` to `end`: before a word, one is left
    /// to it if there are two.
    fn spaces(self, at: usize, end: usize) -> usize {
        if self.class(end).is_none() {
            return end;
        }
        let last = self.text.get(at..end).and_then(|spaces| spaces.chars().next_back());
        let but_last = end - last.map_or(0, char::len_utf8);
        if but_last > at { but_last } else { end }
    }

    /// The end of an apostrophe at `at` and what English puts after it.
    fn contraction(self, at: usize, any_case: bool) -> Option<usize> {
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

fn gpt2<const DIGITS_END: bool>(scan: Scan<'_, DIGITS_END>, at: usize) -> usize {
    let Some((class, next)) = scan.class(at) else { return scan.text.len() };
    match class {
        Class::Other => scan.contraction(at, false).unwrap_or_else(|| scan.run(next, class)),
        Class::Letter | Class::Number => scan.run(next, class),
        Class::Space => match scan.class(next) {
            Some((class, next)) if class != Class::Space && scan.byte(at) == Some(b' ') => {
                scan.run(next, class)
            }
            _ => scan.spaces(at, scan.run(next, Class::Space)),
        },
    }
}

/// The next space behind the character at `at`, or the end.
fn spaces(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let found = rest.char_indices().skip(1).find(|&(_, c)| c == ' ');
    found.map_or(text.len(), |(found, _)| at + found)
}

/// The end of a match at `at`, or of what lies before the next one.
fn bloom(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let len = match bloom_word(rest) {
        0 => rest.char_indices().find(|&(i, _)| rest.get(i..).is_some_and(|r| bloom_word(r) > 0)),
        len => return at + len,
    };
    at + len.map_or(rest.len(), |(i, _)| i)
}

/// Bytes of what matches where a text begins.
fn bloom_word(text: &str) -> usize {
    let word = text.strip_prefix(' ').unwrap_or(text);
    match word.find(ends_bloom_word).unwrap_or(word.len()) {
        0 => 0,
        len => text.len() - word.len() + len,
    }
}

fn ends_bloom_word(c: char) -> bool {
    let is_mark = matches!(
        c,
        '(' | ')' | '|' | '.' | ',' | '!' | '?' | '…' | '。' | '，' | '、' | '।' | '۔' | '،'
    );
    is_mark || unicode::class(c) == Class::Space
}

fn smollm(text: &str, at: usize) -> usize {
    let scan = Scan::<true> { text };
    if scan.class(at).is_some() {
        return gpt2(scan, at);
    }
    let digit = text.get(at..).and_then(|rest| rest.chars().next());
    at + digit.map_or(0, char::len_utf8)
}

fn llama3(scan: Scan<'_, false>, at: usize, most_digits: usize) -> usize {
    let Some((class, next)) = scan.class(at) else { return scan.text.len() };
    match class {
        Class::Letter => scan.run(next, class),
        Class::Number => numbers(scan, at, most_digits),
        Class::Other => scan.contraction(at, true).unwrap_or_else(|| match scan.class(next) {
            Some((Class::Letter, after)) => scan.run(after, Class::Letter),
            _ => scan.newlines(scan.run(next, Class::Other)),
        }),
        Class::Space => llama3_space(scan, at, next),
    }
}

/// `\p{N}{1,most}` at a number.
fn numbers(scan: Scan<'_, false>, mut at: usize, most: usize) -> usize {
    for _ in 0..most {
        match scan.class(at) {
            Some((Class::Number, next)) => at = next,
            _ => break,
        }
    }
    at
}

/// What may begin with the space from `at` to `next`.
fn llama3_space(scan: Scan<'_, false>, at: usize, next: usize) -> usize {
    let newline = matches!(scan.byte(at), Some(b'\r' | b'\n'));
    match scan.class(next) {
        Some((Class::Letter, after)) if !newline => return scan.run(after, Class::Letter),
        Some((Class::Other, after)) if scan.byte(at) == Some(b' ') => {
            return scan.newlines(scan.run(after, Class::Other));
        }
        _ => {}
    }
    let end = scan.run(next, Class::Space);
    let spaces = scan.text.as_bytes().get(at..end).unwrap_or_default();
    match spaces.iter().rposition(|byte| matches!(byte, b'\r' | b'\n')) {
        Some(last) => at + last + 1,
        None => scan.spaces(at, end),
    }
}
