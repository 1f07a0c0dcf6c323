//! o200k's pre-tokenizer, which begins words within words: `camelCase` is two.

use super::llama3::{from_space, numbers};
use super::scan::{PLAIN, Scan};
use crate::text::tokenizer::unicode::{Case, Class, case, is_han};

/// Details in which these pre-tokenizers differ.
#[derive(Clone, Copy)]
pub(super) struct Style {
    /// Digits of a number at most.
    pub max_digits: usize,
    /// Whether what English puts after an apostrophe belongs to the word before it.
    pub contractions: bool,
    /// Whether Han characters are words apart, and punctuation takes no slashes after it.
    pub han_apart: bool,
}

/// o200k's own.
pub(super) const O200K: Style = Style { max_digits: 3, contractions: true, han_apart: false };
/// Tekken's.
pub(super) const TEKKEN: Style = Style { max_digits: 1, contractions: false, ..O200K };
/// Kimi's.
pub(super) const KIMI: Style = Style { han_apart: true, ..O200K };

/// End of the word at `at`.
pub(super) fn word_end(text: &str, at: usize, style: Style) -> usize {
    let scan = Scan::<PLAIN> { text };
    let Some((class, next)) = scan.class(at) else { return text.len() };
    if style.han_apart
        && let Some(end) = han(text, at)
    {
        return end;
    }
    if let Some(end) = letters(scan, at, class, next, style) {
        let contraction = style.contractions.then(|| scan.contraction(end, true)).flatten();
        return contraction.unwrap_or(end);
    }
    match class {
        Class::Number => numbers(scan, at, style.max_digits),
        Class::Space => match scan.class(next) {
            Some((Class::Other, after)) if scan.byte(at) == Some(b' ') => {
                others(scan, after, style)
            }
            // Han: any other letter would have been led.
            Some((Class::Letter, _)) if !matches!(scan.byte(at), Some(b'\r' | b'\n')) => next,
            _ => from_space(scan, at, next, true),
        },
        Class::Letter | Class::Other => others(scan, next, style),
    }
}

/// End of `\p{Han}+`; `None` if there is none.
fn han(text: &str, at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    let end = rest.find(|c: char| !is_han(c)).unwrap_or(rest.len());
    (end > 0).then_some(at + end)
}

/// End of `[^\s\p{L}\p{N}]*[\r\n/]*` from `at`, or of the same without the slash.
fn others(scan: Scan<'_, PLAIN>, at: usize, style: Style) -> usize {
    let mut at = scan.run(at, Class::Other);
    if style.han_apart {
        return scan.newlines(at);
    }
    while matches!(scan.byte(at), Some(b'\r' | b'\n' | b'/')) {
        at += 1;
    }
    at
}

/// End of the match of the first two alternatives at `at`; `None` if there is none.
fn letters(
    scan: Scan<'_, PLAIN>,
    at: usize,
    class: Class,
    next: usize,
    style: Style,
) -> Option<usize> {
    let newline = matches!(scan.byte(at), Some(b'\r' | b'\n'));
    let is_lead = matches!(class, Class::Space | Class::Other) && !newline;
    if is_lead {
        // A mark can be what leads or what is led.
        let led = ending_low(scan, next, style).or_else(|| ending_low(scan, at, style));
        return led.or_else(|| upper(scan, next, style).0);
    }
    ending_low(scan, at, style).or_else(|| upper(scan, at, style).0)
}

/// End of `U*L+`: `U*` ends before the last character that is L too.
fn ending_low(scan: Scan<'_, PLAIN>, at: usize, style: Style) -> Option<usize> {
    let (end, either) = upper(scan, at, style);
    let low = lower(scan, end.unwrap_or(at), style);
    low.or(either)
}

/// Ends of `U+`, and of the last character in it that is L too.
fn upper(scan: Scan<'_, PLAIN>, at: usize, style: Style) -> (Option<usize>, Option<usize>) {
    let (mut end, mut either) = (None, None);
    while let Some((case, next)) = case_at(scan, end.unwrap_or(at), style) {
        match case {
            Case::Lower => break,
            Case::Either => either = Some(next),
            Case::Upper => {}
        }
        end = Some(next);
    }
    (end, either)
}

/// End of `L+`.
fn lower(scan: Scan<'_, PLAIN>, at: usize, style: Style) -> Option<usize> {
    let mut end = None;
    while let Some((Case::Lower | Case::Either, next)) = case_at(scan, end.unwrap_or(at), style) {
        end = Some(next);
    }
    end
}

/// The case of the character at `at` and where it ends; `None` if it is no letter and no mark.
fn case_at(scan: Scan<'_, PLAIN>, at: usize, style: Style) -> Option<(Case, usize)> {
    let (class, next) = scan.class(at)?;
    let c = scan.text.get(at..next)?.chars().next()?;
    if style.han_apart && is_han(c) {
        return None;
    }
    Some((case(c, class)?, next))
}
