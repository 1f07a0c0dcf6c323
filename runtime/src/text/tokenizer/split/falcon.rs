//! Falcon's pre-tokenizer, which looks for digits among the characters that bytes are written as.
//!
//! Runs of punctuation are words; what lies between is cut as GPT-2's is. Then runs of digits are
//! cut out of each of these, and threes of ASCII digits out of the runs. By then bytes have become
//! characters, and not only `0` to `9` are numbers: the byte B2 is written `²`, so that a word ends
//! within the letter U+00F2, which is C3 B2.
//!
//! All of that is one walk from the beginning of a word: looking for the end of GPT-2's first
//! would take the square of a long one's length, of which each third byte may end a word here.

use super::scan::{PLAIN, Scan};
use crate::text::tokenizer::unicode::{Class, is_punctuation};

/// Kinds of characters that stay together until digits are looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Punctuation,
    Class(Class),
}

/// End of the word at `at`, where a character may have been cut.
pub(super) fn word_end(text: &str, at: usize) -> usize {
    let scan = Scan::<PLAIN> { text };
    let mut starts = (at.saturating_sub(3)..=at).rev();
    let start = starts.find(|&start| text.is_char_boundary(start));
    let kind_here = start.and_then(|start| kind_at(scan, start));
    let Some((mut kind, next)) = kind_here else { return text.len() };
    if kind == Kind::Class(Class::Space) {
        match kind_at(scan, next) {
            Some((led @ Kind::Class(class), _))
                if class != Class::Space && scan.byte(at) == Some(b' ') =>
            {
                kind = led;
            }
            _ => return spaces(scan, at, scan.run(next, Class::Space)),
        }
    }
    if is_three(text, at) {
        return at + 3;
    }
    let numeric = scan.byte(at).is_some_and(is_numeric);
    let ends = |at: usize, byte: u8| {
        let other = || kind_at(scan, at).map(|(kind, _)| kind) != Some(kind);
        is_numeric(byte) != numeric || (text.is_char_boundary(at) && other()) || is_three(text, at)
    };
    let rest = text.as_bytes().get(at + 1..).unwrap_or_default();
    let end = (at + 1..).zip(rest).find(|&(at, &byte)| ends(at, byte));
    end.map_or(text.len(), |(at, _)| at)
}

/// The kind of the character at `at`, and where it ends; `None` at the end.
fn kind_at(scan: Scan<'_, PLAIN>, at: usize) -> Option<(Kind, usize)> {
    let (class, next) = scan.class(at)?;
    let c = scan.text.get(at..next)?.chars().next()?;
    Some((if is_punctuation(c) { Kind::Punctuation } else { Kind::Class(class) }, next))
}

/// End of the word that spaces from `at` to `end` make: before punctuation all, as at the end of a
/// text.
fn spaces(scan: Scan<'_, PLAIN>, at: usize, end: usize) -> usize {
    match kind_at(scan, end) {
        Some((Kind::Class(_), _)) => scan.spaces(at, end),
        Some((Kind::Punctuation, _)) | None => end,
    }
}

/// Whether the character that a byte is written as is a number: a digit, or one of `²³¹¼½¾`.
const fn is_numeric(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | 0xB2 | 0xB3 | 0xB9 | 0xBC..=0xBE)
}

/// Whether three ASCII digits stand at `at`.
fn is_three(text: &str, at: usize) -> bool {
    text.as_bytes().get(at..at + 3).is_some_and(|three| three.iter().all(u8::is_ascii_digit))
}
