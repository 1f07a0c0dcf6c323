//! Pre-tokenizers of DeepSeek's first models: expressions that cut what those before them left, each
//! its matches out of pieces.
//!
//! Newlines stand alone; letters, then punctuation, take a space before them; what is left is the
//! rest. (Punctuation of DeepSeek LLM has Latin letters in it, which are cut out of others so.) Then
//! wide characters are cut out of all of these, and digits one by one. All of that is
//! one walk from the beginning of a word, since a piece of which something was cut off goes on as
//! what it was.

use super::deepseek_letters::CASED_LETTERS;
use crate::text::tokenizer::unicode::{self, Class};

/// The two of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Generation {
    /// Letters are those of scripts with two cases, and spaces at the end of a piece stand apart.
    Llm,
    /// Letters are `\p{L}`, punctuation is `\p{P}`.
    Coder,
}

/// Kinds of pieces, before wide characters and digits are cut out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    /// `\s?` and letters
    Letters,
    /// `\s?` and punctuation
    Points,
    /// All that is neither.
    Rest,
}

/// A character of a text, and the piece that it begins or is in.
#[derive(Clone, Copy)]
struct Part {
    c: char,
    piece: Piece,
    /// Whether it is a space that begins a piece.
    leads: bool,
    /// Its end.
    next: usize,
}

/// End of the word at `at`.
pub(super) fn word_end(text: &str, at: usize, generation: Generation) -> usize {
    let walk = Walk { text, generation };
    let Some(c) = walk.char(at) else { return text.len() };
    let Some(first) = walk.part(at) else { return at + c.len_utf8() };
    if is_digit(c) {
        return first.next;
    }
    let (mut end, mut in_spaces) = (first.next, is_space(c));
    let is_point = match first.leads && !walk.is_point(c) {
        true => walk.char(end).is_some_and(|led| walk.is_point(led)),
        false => walk.is_point(c),
    };
    while let Some(part) = walk.going_on(first.piece, end) {
        let is_cut = is_digit(part.c) || is_wide(part.c) != is_wide(c);
        if is_cut || walk.is_point(part.c) != is_point {
            break;
        }
        let begins_spaces = is_space(part.c) && !in_spaces;
        if begins_spaces && generation == Generation::Llm && walk.is_last(part) {
            break;
        }
        (end, in_spaces) = (part.next, is_space(part.c));
    }
    end
}

#[derive(Clone, Copy)]
struct Walk<'a> {
    text: &'a str,
    generation: Generation,
}

impl Walk<'_> {
    fn char(self, at: usize) -> Option<char> {
        self.text.get(at..)?.chars().next()
    }

    /// The character at `at` and its piece; `None` of a newline and at the end.
    fn part(self, at: usize) -> Option<Part> {
        let c = self.char(at).filter(|c| !matches!(c, '\r' | '\n'))?;
        let next = at + c.len_utf8();
        let part = |piece, leads| Some(Part { c, piece, leads, next });
        if self.is_letter(c) {
            return part(Piece::Letters, false);
        }
        let after = self.char(next);
        if is_space(c) && after.is_some_and(|after| self.is_letter(after)) {
            return part(Piece::Letters, true);
        }
        if self.is_point(c) {
            return part(Piece::Points, false);
        }
        let is_led = |after| self.is_point(after) && !self.is_led_letter(next, after);
        match is_space(c) && after.is_some_and(is_led) {
            true => part(Piece::Points, true),
            false => part(Piece::Rest, false),
        }
    }

    /// Whether the character at `at` is a space before a letter.
    fn is_led_letter(self, at: usize, c: char) -> bool {
        let after = || self.char(at + c.len_utf8());
        is_space(c) && after().is_some_and(|after| self.is_letter(after))
    }

    /// The character at `at`, if it is in this piece still.
    fn going_on(self, piece: Piece, at: usize) -> Option<Part> {
        self.part(at).filter(|part| part.piece == piece && !part.leads)
    }

    /// Whether a piece has nothing but spaces from this one on.
    fn is_last(self, space: Part) -> bool {
        let mut end = space.next;
        while let Some(part) = self.going_on(space.piece, end) {
            if !is_space(part.c) {
                return false;
            }
            end = part.next;
        }
        true
    }

    fn is_letter(self, c: char) -> bool {
        match self.generation {
            Generation::Coder => unicode::class(c) == Class::Letter,
            Generation::Llm if c.is_ascii() => c.is_ascii_alphabetic(),
            Generation::Llm => unicode::is_in(CASED_LETTERS, c),
        }
    }

    fn is_point(self, c: char) -> bool {
        match self.generation {
            Generation::Coder => unicode::is_point(c),
            Generation::Llm => matches!(c,
                '!'..='/' | ':'..='~' | '！'..='／' | '：'..='～' | '‘'..='‟' | '\u{3000}'..='。'),
        }
    }
}

fn is_space(c: char) -> bool {
    unicode::class(c) == Class::Space
}

fn is_digit(c: char) -> bool {
    unicode::is_digit(c, unicode::class(c))
}

/// `[一-龥ࠀ-一가-퟿]`
const fn is_wide(c: char) -> bool {
    matches!(c, '\u{800}'..='龥' | '가'..='\u{D7FF}')
}
