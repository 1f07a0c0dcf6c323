//! o200k's pre-tokenizer, which begins words within words: `camelCase` is two.

use super::llama3::{from_space, numbers};
use super::scan::Scan;
use crate::text::tokenizer::unicode::{Case, Class, case};

/// End of the word at `at`, with numbers of `max_digits` digits, with contractions or without.
pub(super) fn word_end(text: &str, at: usize, max_digits: usize, contractions: bool) -> usize {
    let scan = Scan::<false> { text };
    let Some((class, next)) = scan.class(at) else { return text.len() };
    if let Some(end) = letters(scan, at, class, next) {
        let contraction = contractions.then(|| scan.contraction(end, true)).flatten();
        return contraction.unwrap_or(end);
    }
    match class {
        Class::Number => numbers(scan, at, max_digits),
        Class::Space => match scan.class(next) {
            Some((Class::Other, after)) if scan.byte(at) == Some(b' ') => others(scan, after),
            _ => from_space(scan, at, next),
        },
        Class::Letter | Class::Other => others(scan, next),
    }
}

/// End of `[^\s\p{L}\p{N}]*[\r\n/]*` from `at`.
fn others(scan: Scan<'_, false>, at: usize) -> usize {
    let mut at = scan.run(at, Class::Other);
    while matches!(scan.byte(at), Some(b'\r' | b'\n' | b'/')) {
        at += 1;
    }
    at
}

/// End of the match of the first two alternatives at `at`; `None` if there is none.
fn letters(scan: Scan<'_, false>, at: usize, class: Class, next: usize) -> Option<usize> {
    let newline = matches!(scan.byte(at), Some(b'\r' | b'\n'));
    let is_lead = matches!(class, Class::Space | Class::Other) && !newline;
    if is_lead {
        // A mark can be what leads or what is led.
        let led = ending_low(scan, next).or_else(|| ending_low(scan, at));
        return led.or_else(|| upper(scan, next).0);
    }
    ending_low(scan, at).or_else(|| upper(scan, at).0)
}

/// End of `U*L+`: `U*` ends before the last character that is L too.
fn ending_low(scan: Scan<'_, false>, at: usize) -> Option<usize> {
    let (end, either) = upper(scan, at);
    let low = lower(scan, end.unwrap_or(at));
    low.or(either)
}

/// Ends of `U+`, and of the last character in it that is L too.
fn upper(scan: Scan<'_, false>, at: usize) -> (Option<usize>, Option<usize>) {
    let (mut end, mut either) = (None, None);
    while let Some((case, next)) = case_at(scan, end.unwrap_or(at)) {
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
fn lower(scan: Scan<'_, false>, at: usize) -> Option<usize> {
    let mut end = None;
    while let Some((Case::Lower | Case::Either, next)) = case_at(scan, end.unwrap_or(at)) {
        end = Some(next);
    }
    end
}

/// The case of the character at `at` and where it ends; `None` if it is no letter and no mark.
fn case_at(scan: Scan<'_, false>, at: usize) -> Option<(Case, usize)> {
    let (class, next) = scan.class(at)?;
    let c = scan.text.get(at..next)?.chars().next()?;
    Some((case(c, class)?, next))
}
