//! BLOOM's pre-tokenizer, whose matches need not touch.

use crate::text::tokenizer::unicode::{self, Class};

/// End of the match at `at`; without one, of the text before the next match.
pub(super) fn word_end(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let len = match match_len(rest) {
        0 => rest.char_indices().find(|&(i, _)| rest.get(i..).is_some_and(|r| match_len(r) > 0)),
        len => return at + len,
    };
    at + len.map_or(rest.len(), |(i, _)| i)
}

/// Bytes of the match with which a text begins; 0 if there is none.
fn match_len(text: &str) -> usize {
    let word = text.strip_prefix(' ').unwrap_or(text);
    match word.find(ends_word).unwrap_or(word.len()) {
        0 => 0,
        len => text.len() - word.len() + len,
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
