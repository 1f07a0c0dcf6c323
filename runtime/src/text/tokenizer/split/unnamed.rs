//! llama.cpp's own pre-tokenizer, for files that do not name theirs.
//!
//! Runs of punctuation are words; what lies between is cut as GPT-2's is, runs of numbers out of
//! that, and three ASCII digits at a time out of these.

use super::gpt2;
use super::scan::{PLAIN, POINTS_END, Scan, is_cut};
use crate::text::tokenizer::unicode::Class;

/// End of the word at `at`.
pub(super) fn word_end(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let points = rest.find(|c: char| !is_cut(c)).unwrap_or(rest.len());
    if points > 0 {
        return at + points;
    }
    let scan = Scan::<POINTS_END> { text };
    match scan.class(at) {
        Some((Class::Number, next)) => digits(text, at, next),
        Some((Class::Space, next)) if scan.byte(at) == Some(b' ') => match scan.class(next) {
            Some((Class::Number, _)) => next,
            _ => gpt2::word_end(scan, at),
        },
        _ => gpt2::word_end(scan, at),
    }
}

/// End of the word that begins with the number from `at` to `next`.
fn digits(text: &str, at: usize, mut next: usize) -> usize {
    let is_three = |at: usize| {
        let three = text.as_bytes().get(at..at + 3);
        three.is_some_and(|three| three.iter().all(u8::is_ascii_digit))
    };
    if is_three(at) {
        return at + 3;
    }
    let scan = Scan::<PLAIN> { text };
    while let Some((Class::Number, after)) = scan.class(next)
        && !is_three(next)
    {
        next = after;
    }
    next
}
