//! Lines as the line editor draws them: one that was pasted, or comes from the file of the
//! history, may hold what a terminal obeys.

use std::borrow::Cow;

use oarlock::visible::{Visible, is_hidden};
use rustyline::Helper;
use rustyline::completion::Completer;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::validate::Validator;

/// Draws such characters as signs; the line itself stays as it was pasted.
pub struct Pasted;

impl Highlighter for Pasted {
    /// The editor counts columns by the line itself: a sign for what takes one there, nothing for
    /// what takes none.
    fn highlight<'l>(&self, line: &'l str, _pos: usize) -> Cow<'l, str> {
        if !acts(line) {
            return Cow::Borrowed(line);
        }
        line.chars().filter_map(sign).collect::<String>().into()
    }

    fn highlight_char(&self, line: &str, _pos: usize, _kind: CmdKind) -> bool {
        acts(line)
    }
}

/// Whether a terminal would do more with the line than show it.
fn acts(line: &str) -> bool {
    line.contains(is_hidden) && Visible::lines(line).to_string() != line
}

fn sign(c: char) -> Option<char> {
    match c {
        '\n' | '\t' => Some(c),
        '\0'..='\x1F' => char::from_u32(0x2400 + u32::from(c)),
        '\x7F' => Some('\u{2421}'),
        '\u{80}'..='\u{9F}' | '\u{2028}' | '\u{2029}' => Some('\u{FFFD}'),
        c if is_hidden(c) => None,
        c => Some(c),
    }
}

impl Completer for Pasted {
    type Candidate = String;
}

impl Hinter for Pasted {
    type Hint = String;
}

impl Validator for Pasted {}

impl Helper for Pasted {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pasted_controls_are_drawn_as_signs() {
        let drawn = Pasted.highlight("a\x07\x1b[2J\x7F\u{9B}1m\u{202E}z\n", 0);
        assert_eq!(drawn, "a\u{2407}\u{241B}[2J\u{2421}\u{FFFD}1mz\n");
        for line in ["plain", "two\nlines\tand", "👩\u{200D}🚀"] {
            assert_eq!(Pasted.highlight(line, 0), line);
            assert!(!Pasted.highlight_char(line, 0, CmdKind::Other));
        }
    }
}
