//! Text of strangers, made fit for a terminal.
//!
//! Names of files, of architectures and of tensors, messages of templates and what a model writes may
//! hold characters that move the cursor, rename the window, type for the user or turn the
//! direction of what follows. They are shown as `\u{1b}`.

use std::fmt::Write as _;

/// Characters of a message that are shown at most.
const LONGEST: usize = 1000;

/// Text of several lines: newlines and tabs stay.
pub fn lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        match c {
            '\n' | '\t' => out.push(c),
            '\r' if letters.peek() == Some(&'\n') => {}
            c => push(c, &mut out),
        }
    }
    out
}

/// A message: one line, the middle of which is left out if it is too long.
pub fn message(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.trim_end().chars() {
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            c => push(c, &mut out),
        }
    }
    let len = out.chars().count();
    if len <= LONGEST {
        return out;
    }
    let first = out.chars().take(LONGEST / 2);
    first.chain(" … ".chars()).chain(out.chars().skip(len - LONGEST / 2)).collect()
}

/// JSON, whose strings may hold what JSON itself does not want escaped.
pub fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut units = [0; 2];
    for c in text.chars() {
        if is_shown(c) {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

fn push(c: char, out: &mut String) {
    if is_shown(c) {
        out.push(c);
    } else {
        let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
    }
}

/// Whether a character shows what it is: no control (C0, DEL, C1), none that turns the direction of
/// text, breaks lines or is invisible (Unicode's Bidi_Control, Zl, Zp, and of Cf those that are not
/// needed to write: joiners are).
fn is_shown(c: char) -> bool {
    !c.is_control()
        && !matches!(c,
            '\u{061C}' | '\u{180E}' | '\u{200B}' | '\u{200E}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}'
            | '\u{E0000}'..='\u{E001F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_acts_on_a_terminal_is_left() {
        let hostile = "a\u{1b}]0;b\u{7}c\u{9b}2J\u{7f}\u{202e}d\u{2066}e\u{2028}f\rg";
        let shown = message(hostile);
        let kept = "a\\u{1b}]0;b\\u{7}c\\u{9b}2J\\u{7f}\\u{202e}d\\u{2066}e\\u{2028}f g";
        assert_eq!(shown, kept);
        assert_eq!(lines("a\r\nb\tc\rd"), "a\nb\tc\\u{d}d");
        assert_eq!(json("{\"a\":\"\u{9b}\u{e0001}\"}"), "{\"a\":\"\\u009b\\udb40\\udc01\"}");
    }

    #[test]
    fn what_people_write_stays() {
        // Joined emoji, a flag of tags, Persian with a joiner, accents that combine.
        for text in ["👩‍🚀", "🏴\u{E0067}\u{E0062}\u{E007F}", "می\u{200C}خواهم", "e\u{301}", "漢字"]
        {
            assert_eq!(lines(text), text);
        }
    }

    #[test]
    fn messages_end_as_they_begin() {
        let long = format!("thing: {} (what to do)", "x".repeat(100_000));
        let shown = message(&long);
        assert!(shown.starts_with("thing: x") && shown.ends_with("x (what to do)"));
        assert!(shown.chars().count() < 1010);
    }
}
