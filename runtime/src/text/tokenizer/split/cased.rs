//! o200k's pre-tokenizer, which begins words within words: `camelCase` is two.

use super::{Scan, llama3_space, numbers};
use crate::text::tokenizer::unicode::{Case, Class, case};

/// The end of the word at `at`, with so many digits at most and contractions or without.
pub(super) fn word_end(text: &str, at: usize, most_digits: usize, contractions: bool) -> usize {
    let scan = Scan::<false> { text };
    let Some((class, next)) = scan.class(at) else { return text.len() };
    if let Some(end) = letters(scan, at, class, next) {
        let contraction = contractions.then(|| scan.contraction(end, true)).flatten();
        return contraction.unwrap_or(end);
    }
    match class {
        Class::Number => numbers(scan, at, most_digits),
        Class::Space => match scan.class(next) {
            Some((Class::Other, after)) if scan.byte(at) == Some(b' ') => others(scan, after),
            _ => llama3_space(scan, at, next),
        },
        Class::Letter | Class::Other => others(scan, next),
    }
}

/// `[^\s\p{L}\p{N}]*[\r\n/]*`
fn others(scan: Scan<'_, false>, at: usize) -> usize {
    let mut at = scan.run(at, Class::Other);
    while matches!(scan.byte(at), Some(b'\r' | b'\n' | b'/')) {
        at += 1;
    }
    at
}

/// What of the first two alternatives matches at `at`.
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

/// `U*L+`: what is upper ends before the last that may be lower too.
fn ending_low(scan: Scan<'_, false>, at: usize) -> Option<usize> {
    let (end, either) = upper(scan, at);
    let low = lower(scan, end.unwrap_or(at));
    low.or(either)
}

/// `U+`, and where in it the last ends that is L too.
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

/// `L+`, if it does not begin with what is U too.
fn lower(scan: Scan<'_, false>, at: usize) -> Option<usize> {
    let mut end = None;
    while let Some((Case::Lower | Case::Either, next)) = case_at(scan, end.unwrap_or(at)) {
        end = Some(next);
    }
    end
}

fn case_at(scan: Scan<'_, false>, at: usize) -> Option<(Case, usize)> {
    let (class, next) = scan.class(at)?;
    let c = scan.text.get(at..next)?.chars().next()?;
    Some((case(c, class)?, next))
}
