//! GPT-2's pre-tokenizer, and SmolLM's, which cuts digits out first.

use super::scan::{DIGITS_END, Scan};
use crate::text::tokenizer::unicode::Class;

/// End of the word of [`Splitter::Gpt2`](super::Splitter::Gpt2) at `at`.
#[inline]
pub(super) fn word_end<const MODE: u8>(scan: Scan<'_, MODE>, at: usize) -> usize {
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

/// End of the word of [`Splitter::SmolLm`](super::Splitter::SmolLm) at `at`.
pub(super) fn smollm_word_end(text: &str, at: usize) -> usize {
    let scan = Scan::<DIGITS_END> { text };
    if scan.class(at).is_some() {
        return word_end(scan, at);
    }
    let digit = text.get(at..).and_then(|rest| rest.chars().next());
    at + digit.map_or(0, char::len_utf8)
}
