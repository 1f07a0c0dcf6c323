//! BLOOM's pre-tokenizer, whose matches need not touch, and Viking's, which cuts digits out of them.

use crate::text::tokenizer::unicode::{self, Class};

/// End of the match at `at`; without one, of the text before the next match. With `DIGITS`, digits
/// are cut out of the matches.
pub(super) fn word_end<const DIGITS: bool>(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let begins = |rest: &str| match_len::<DIGITS>(rest) > 0;
    let len = match match_len::<DIGITS>(rest) {
        0 => rest.char_indices().map(|(i, _)| i).find(|&i| rest.get(i..).is_some_and(begins)),
        len => return at + len,
    };
    at + len.unwrap_or(rest.len())
}

/// Bytes of the word with which a text begins; 0 if no match begins there.
fn match_len<const DIGITS: bool>(text: &str) -> usize {
    let word = text.strip_prefix(' ').unwrap_or(text);
    let lead = text.len() - word.len();
    let cut = |c: char| DIGITS && unicode::is_digit(c, unicode::class(c));
    match word.char_indices().find(|&(_, c)| ends_word(c) || cut(c)) {
        Some((0, c)) if cut(c) && lead > 0 => lead,
        Some((0, c)) if cut(c) => c.len_utf8(),
        Some((0, _)) => 0,
        None if word.is_empty() => 0,
        found => lead + found.map_or(word.len(), |(end, _)| end),
    }
}

/// Whether a word ends before this character.
fn ends_word(c: char) -> bool {
    let is_mark = matches!(
        c,
        '(' | ')' | '|' | '.' | ',' | '!' | '?' | '…' | '。' | '，' | '、' | '।' | '۔' | '،'
    );
    is_mark || unicode::class(c) == Class::Space
}
