//! Llama 3's pre-tokenizer; Qwen's and many others are the same but for details.

use super::scan::{LINES_END, NUMBERS_END, PLAIN, Scan};
use crate::base::checked::part;
use crate::text::tokenizer::unicode::Class;

/// Details in which these pre-tokenizers differ.
#[derive(Clone, Copy)]
pub(super) struct Style {
    /// Digits of a number at most.
    pub max_digits: usize,
    /// Whether what English puts after an apostrophe is a word.
    pub contractions: bool,
    /// Whether punctuation takes the newlines after it.
    pub newlines: bool,
}

/// Llama 3's own.
pub(super) const LLAMA3: Style = Style { max_digits: 3, contractions: true, newlines: true };
/// Qwen 2's.
pub(super) const QWEN2: Style = Style { max_digits: 1, ..LLAMA3 };

/// End of the word at `at`.
#[inline]
pub(super) fn word_end<const MODE: u8>(scan: Scan<'_, MODE>, at: usize, style: Style) -> usize {
    let Some((class, next)) = scan.class(at) else { return scan.text.len() };
    match class {
        Class::Letter => scan.run(next, class),
        Class::Number => numbers(scan, at, style.max_digits),
        Class::Other => {
            let contraction = style.contractions.then(|| scan.contraction(at, true)).flatten();
            contraction.unwrap_or_else(|| match scan.class(next) {
                Some((Class::Letter, after)) => scan.run(after, Class::Letter),
                _ => others(scan, next, style.newlines),
            })
        }
        Class::Space => from_space(scan, at, next, style.newlines),
    }
}

/// End of the word of [`Splitter::MiniCpm`](super::Splitter::MiniCpm) at `at`.
pub(super) fn numbers_first(text: &str, at: usize) -> usize {
    let scan = Scan::<PLAIN> { text };
    match scan.class(at) {
        Some((Class::Number, _)) => numbers(scan, at, 3),
        _ => word_end(Scan::<NUMBERS_END> { text }, at, LLAMA3),
    }
}

/// End of the word of [`Splitter::Laguna`](super::Splitter::Laguna) at `at`.
pub(super) fn lines_first(text: &str, at: usize) -> usize {
    let lines = text.as_bytes().get(at..).unwrap_or_default();
    match lines.iter().take_while(|&&byte| byte == b'\n').count() {
        0 => word_end(Scan::<LINES_END> { text }, at, QWEN2),
        lines => at + lines,
    }
}

/// End of `[^\s\p{L}\p{N}]*`, and of `[\r\n]*` if `newlines` says so, from `at`.
fn others<const MODE: u8>(scan: Scan<'_, MODE>, at: usize, newlines: bool) -> usize {
    let end = scan.run(at, Class::Other);
    if newlines { scan.newlines(end) } else { end }
}

/// End of `\p{N}{1,max}` at a number.
pub(super) fn numbers<const MODE: u8>(scan: Scan<'_, MODE>, mut at: usize, max: usize) -> usize {
    for _ in 0..max {
        match scan.class(at) {
            Some((Class::Number, next)) => at = next,
            _ => break,
        }
    }
    at
}

/// End of the word that begins with the space from `at` to `next`.
pub(super) fn from_space<const MODE: u8>(
    scan: Scan<'_, MODE>,
    at: usize,
    next: usize,
    newlines: bool,
) -> usize {
    let newline = matches!(scan.byte(at), Some(b'\r' | b'\n'));
    match scan.class(next) {
        Some((Class::Letter, after)) if !newline => return scan.run(after, Class::Letter),
        Some((Class::Other, after)) if scan.byte(at) == Some(b' ') => {
            return others(scan, after, newlines);
        }
        _ => {}
    }
    let end = scan.run(next, Class::Space);
    let spaces = part(scan.text.as_bytes(), at..end);
    match spaces.iter().rposition(|byte| matches!(byte, b'\r' | b'\n')) {
        Some(last) => at + last + 1,
        None => scan.spaces(at, end),
    }
}
