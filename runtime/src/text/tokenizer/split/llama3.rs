//! Llama 3's pre-tokenizer; Qwen's is the same but for numbers.

use super::scan::Scan;
use crate::base::checked::part;
use crate::text::tokenizer::unicode::Class;

/// End of the word at `at`, with numbers of `max_digits` digits.
#[inline]
pub(super) fn word_end(scan: Scan<'_, false>, at: usize, max_digits: usize) -> usize {
    let Some((class, next)) = scan.class(at) else { return scan.text.len() };
    match class {
        Class::Letter => scan.run(next, class),
        Class::Number => numbers(scan, at, max_digits),
        Class::Other => scan.contraction(at, true).unwrap_or_else(|| match scan.class(next) {
            Some((Class::Letter, after)) => scan.run(after, Class::Letter),
            _ => scan.newlines(scan.run(next, Class::Other)),
        }),
        Class::Space => from_space(scan, at, next),
    }
}

/// End of `\p{N}{1,max}` at a number.
pub(super) fn numbers(scan: Scan<'_, false>, mut at: usize, max: usize) -> usize {
    for _ in 0..max {
        match scan.class(at) {
            Some((Class::Number, next)) => at = next,
            _ => break,
        }
    }
    at
}

/// End of the word that begins with the space from `at` to `next`.
pub(super) fn from_space(scan: Scan<'_, false>, at: usize, next: usize) -> usize {
    let newline = matches!(scan.byte(at), Some(b'\r' | b'\n'));
    match scan.class(next) {
        Some((Class::Letter, after)) if !newline => return scan.run(after, Class::Letter),
        Some((Class::Other, after)) if scan.byte(at) == Some(b' ') => {
            return scan.newlines(scan.run(after, Class::Other));
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
