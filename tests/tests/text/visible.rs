//! Text of strangers on a terminal, character by character against Unicode's tables.

use oarlock::visible::{Visible, VisibleStream, is_hidden};
use oarlock_tests::hidden;

#[test]
fn unicode_says_the_same_of_every_character() {
    let table = hidden();
    for c in '\0'..=char::MAX {
        let listed = table.iter().any(|range| range.contains(&c));
        assert_eq!(is_hidden(c), listed, "{:?}", c.escape_unicode());
    }
}

/// Each character alone, between letters, and cut off from them by a token's end.
#[test]
fn every_character_of_the_table_is_spelled_out() {
    for c in hidden().into_iter().flatten() {
        let spelled = c.escape_unicode().to_string();
        let (line, lines) = match c {
            '\n' | '\t' => (" ".to_owned(), c.to_string()),
            _ => (spelled.clone(), spelled),
        };
        let text = format!("a{c}b");
        assert_eq!(Visible::line(&text).to_string(), format!("a{line}b"));
        assert_eq!(Visible::lines(&text).to_string(), format!("a{lines}b"));
        let (mut stream, mut shown) = (VisibleStream::new(), String::new());
        for piece in ["a", &c.to_string(), "b"] {
            stream.push(piece, &mut |part| shown.push_str(part));
        }
        assert_eq!(shown, format!("a{lines}b"));
    }
}

/// A terminal that reads bytes finds no control among them, whatever they were.
#[test]
fn no_byte_is_left_that_a_terminal_obeys() {
    for a in 0..=255_u8 {
        for b in 0..=255_u8 {
            let shown = Visible::line(&[a, b, b'x']).to_string();
            assert!(!shown.chars().any(is_hidden), "{a:x} {b:x}: {shown:?}");
        }
    }
}
