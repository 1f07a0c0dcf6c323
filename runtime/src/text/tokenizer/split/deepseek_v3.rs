//! Pre-tokenizer of DeepSeek's third model: numbers, then Chinese and Japanese, are cut out; what
//! lies between, and these as well, goes through one expression.

use super::llama3::numbers;
use super::scan::{PLAIN, Scan};
use crate::base::checked::part;
use crate::text::tokenizer::unicode::{self, Class};

/// Kinds of characters that the last expression tells apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `[\p{L}\p{M}]`
    Letter,
    /// `[\p{P}\p{S}]`
    Point,
    /// `\s`
    Space,
    /// Another one, with which no alternative begins unless a letter follows.
    Other,
}

/// End of the word at `at`.
pub(super) fn word_end(text: &str, at: usize) -> usize {
    let plain = Scan::<PLAIN> { text };
    if let Some((Class::Number, _)) = plain.class(at) {
        return numbers(plain, at, 3);
    }
    let Some(first) = text.get(at..).and_then(|rest| rest.chars().next()) else {
        return text.len();
    };
    let piece = Piece { text, east: is_east(first) };
    let Some((kind, next)) = piece.kind(at) else { return text.len() };
    if first.is_ascii_punctuation() {
        let tail = part(text.as_bytes(), next..text.len()).iter();
        let letters = tail.take_while(|byte| byte.is_ascii_alphabetic()).count();
        if letters > 0 {
            return next + letters;
        }
    }
    let newline = matches!(first, '\r' | '\n');
    match (kind, piece.kind(next)) {
        (Kind::Letter | Kind::Point, _) => piece.run(next, kind),
        (_, Some((Kind::Letter, after))) if !newline => piece.run(after, Kind::Letter),
        (Kind::Space, Some((Kind::Point, after))) if first == ' ' => piece.run(after, Kind::Point),
        (Kind::Space, _) => piece.spaces(at, next),
        (Kind::Other, _) => piece.unmatched(next),
    }
}

/// A piece of a text that the last expression sees: it ends where another begins.
#[derive(Clone, Copy)]
struct Piece<'a> {
    text: &'a str,
    /// Whether it is of Chinese or Japanese.
    east: bool,
}

impl Piece<'_> {
    /// The kind of the character at `at` and where it ends; `None` at the end of the piece.
    fn kind(self, at: usize) -> Option<(Kind, usize)> {
        let c = self.text.get(at..)?.chars().next()?;
        let kind = match unicode::class(c) {
            Class::Number => return None,
            Class::Letter => Kind::Letter,
            Class::Space => Kind::Space,
            Class::Other if unicode::is_point_or_symbol(c) => Kind::Point,
            Class::Other if unicode::is_mark(c) => Kind::Letter,
            Class::Other => Kind::Other,
        };
        (is_east(c) == self.east).then_some((kind, at + c.len_utf8()))
    }

    /// End of `kind*` from `at`; punctuation takes the newlines after it.
    fn run(self, mut at: usize, kind: Kind) -> usize {
        while let Some((found, next)) = self.kind(at)
            && found == kind
        {
            at = next;
        }
        let scan = Scan::<PLAIN> { text: self.text };
        if kind == Kind::Point && !self.east { scan.newlines(at) } else { at }
    }

    /// End of the word that begins with the space from `at` to `next`.
    fn spaces(self, at: usize, next: usize) -> usize {
        let end = self.run(next, Kind::Space);
        let spaces = part(self.text.as_bytes(), at..end);
        if let Some(last) = spaces.iter().rposition(|byte| matches!(byte, b'\r' | b'\n')) {
            return at + last + 1;
        }
        if self.kind(end).is_none() {
            return end;
        }
        let last = self.text.get(at..end).and_then(|spaces| spaces.chars().next_back());
        let but_last = end - last.map_or(0, char::len_utf8);
        if but_last > at { but_last } else { end }
    }

    /// The next place where an alternative matches.
    fn unmatched(self, mut at: usize) -> usize {
        while let Some((Kind::Other, next)) = self.kind(at)
            && !matches!(self.kind(next), Some((Kind::Letter, _)))
        {
            at = next;
        }
        at
    }
}

/// `[一-龥぀-ゟ゠-ヿ]`
const fn is_east(c: char) -> bool {
    matches!(c, '一'..='龥' | '\u{3040}'..='\u{30FF}')
}
