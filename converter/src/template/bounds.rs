//! Bounds of a template, the same on every machine: length, depth, steps, output, its reasons.
//!
//! The parser of templates descends into operators, filters and `elif` without counting, and so do
//! its code generator and the end of its tree: 30,000 times `not` overflowed the stack. So the
//! tokens of each tag are counted before it is parsed, and all of it runs on a stack that is large enough
//! for as many.

use std::io;
use std::thread;

use super::error::Underivable;

/// Bytes of a template: the longest of the 70 that llama.cpp has of published models has 16,738.
const LENGTH: usize = 256 << 10;
/// Tokens of one tag, and `elif` in a template.
const TOKENS: usize = 3000;
/// Bytes of stack for each of them: a test runs templates that are just not too deep.
const STACK: usize = TOKENS * (16 << 10);
/// Steps of one rendering.
pub(super) const FUEL: u64 = 200_000;
/// Steps of all renderings of a derivation, of which there are some hundred.
pub(super) const ALL_FUEL: u64 = 40_000_000;
/// Characters of a reason, which is kept in the file: it may quote what the template writes.
const REASON: usize = 2000;
/// Bytes of one rendering.
pub(super) const OUTPUT: usize = 1 << 20;

/// Refuses what is too long or too deep to be parsed.
pub(super) fn check(template: &str) -> Result<(), Underivable> {
    if template.len() > LENGTH {
        return Err(Underivable(format!("the template has {} bytes", template.len())));
    }
    if template.matches("elif").count().max(longest_tag(template)) > TOKENS {
        return Err(Underivable("the template is nested too deep".into()));
    }
    Ok(())
}

/// Tokens of the longest tag, at most: words, strings, and every other byte that is no space.
fn longest_tag(template: &str) -> usize {
    let (mut rest, mut longest) = (template.as_bytes(), 0);
    while let Some((_, after)) = rest.split_first() {
        let (tokens, behind) = match rest {
            [b'{', b'{', inside @ ..] => tag(inside, *b"}}"),
            // Text up to its end, with quotes and brackets that would hide what is behind.
            [b'{', b'%', inside @ ..] if basic_tag(inside, b"raw").is_some() => {
                (0, behind_raw(inside))
            }
            [b'{', b'%', inside @ ..] => tag(inside, *b"%}"),
            [b'{', b'#', inside @ ..] => {
                let end = inside.windows(2).position(|two| two == b"#}");
                (0, end.map_or(&[][..], |end| &inside[end + 2..]))
            }
            _ => (0, after),
        };
        (rest, longest) = (behind, longest.max(tokens));
    }
    longest
}

/// Skips a tag that is this name alone.
fn basic_tag<'t>(inside: &'t [u8], name: &[u8]) -> Option<&'t [u8]> {
    let sign = |text: &'t [u8]| match text {
        [b'-' | b'+', rest @ ..] => rest,
        rest => rest,
    };
    let word = sign(inside).trim_ascii_start().strip_prefix(name)?;
    sign(word.trim_ascii_start()).strip_prefix(b"%}")
}

/// Skips a raw block with its end.
fn behind_raw(inside: &[u8]) -> &[u8] {
    let mut rest = inside;
    while let Some(at) = rest.windows(2).position(|two| two == b"{%") {
        rest = &rest[at + 2..];
        if let Some(behind) = basic_tag(rest, b"endraw") {
            return behind;
        }
    }
    &[]
}

/// The tokens of a tag, and what is behind its end: the first that is in no string and no brackets.
fn tag(inside: &[u8], end: [u8; 2]) -> (usize, &[u8]) {
    let (mut tokens, mut depth, mut at) = (0, 0_usize, 0);
    while at < inside.len() {
        let byte = inside[at];
        if depth == 0 && inside[at..].starts_with(&end) {
            return (tokens, &inside[at + 2..]);
        }
        at = match byte {
            b'\'' | b'"' => string(inside, at),
            byte if is_word(byte) => {
                at + inside[at..].iter().take_while(|byte| is_word(**byte)).count()
            }
            _ => at + 1,
        };
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        tokens += usize::from(!byte.is_ascii_whitespace());
    }
    (tokens, &[])
}

/// The place behind the string that begins at `at`.
fn string(inside: &[u8], at: usize) -> usize {
    let (quote, mut end) = (inside[at], at + 1);
    while end < inside.len() && inside[end] != quote {
        end += if inside[end] == b'\\' { 2 } else { 1 };
    }
    end + 1
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 128
}

/// The reason, cut where it is longer than one reads.
pub(super) fn shorten(Underivable(why): Underivable) -> Underivable {
    match why.char_indices().nth(REASON) {
        Some((end, _)) => Underivable(format!("{} …", &why[..end])),
        None => Underivable(why),
    }
}

/// Runs `work` on a stack for what [`check`] lets through.
///
/// # Errors
/// If the machine has no such thread.
pub(super) fn on_large_stack<R: Send>(
    work: impl FnOnce() -> Result<R, Underivable> + Send,
) -> io::Result<Result<R, Underivable>> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work)?;
        let panicked = |_| Err(Underivable("the template cannot be run".into()));
        Ok(thread.join().unwrap_or_else(panicked))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_end_where_a_template_s_do() {
        for (template, tokens) in [
            ("plain", 0),
            ("{{ a }} not not not not", 1),
            ("{{ '}}' ~ b }}", 3),
            ("{{ {'a': {}} }} {% if a.b[0] %}", 7),
            ("{# not not not not not #}{% set a = \"\\\"%}\" %}x y z", 4),
            ("{{ not not not", 3),
            ("{% raw %}{{ '{% endraw %}{{ not not 1 }}", 3),
            ("{%- raw -%}{{ not ({%+ endraw +%}{{ 1 }}", 1),
            ("{% raw x %}{{ not 1 }}{% endraw %}", 2),
        ] {
            assert_eq!(longest_tag(template), tokens, "{template}");
        }
    }
}
