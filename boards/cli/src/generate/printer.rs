//! Tokens to what people read: the answer on stdout, and what a model thinks before it dimmed on
//! stderr, if somebody watches there.

use std::io::{self, IsTerminal, Write};

use oarlock::chat::{AnswerFilter, AnswerPart};
use oarlock::tokenizer::{Tokenizer, Utf8Stream};
use oarlock_convert::visible;
use oarlock_hosted::TextStream;

use crate::terminal::console;
use crate::terminal::errors::Outcome;

/// An answer that is being shown.
pub struct AnswerPrinter<'a> {
    filter: AnswerFilter<'a>,
    thoughts: Thoughts,
    text: TextStream<'a>,
    /// Whether anything of the answer has come.
    answers: bool,
    /// Whether a terminal gets the text as it is.
    raw: bool,
}

impl<'a> AnswerPrinter<'a> {
    /// An answer behind this mark, which ends before the first of `stops`.
    pub fn new(mark: Option<&'a str>, stops: &'a [String], raw: bool) -> Self {
        let (filter, text) = (AnswerFilter::new(mark), TextStream::new(stops));
        Self { filter, thoughts: Thoughts::new(), text, answers: mark.is_none(), raw }
    }

    /// Shows a token, or keeps it to itself; `begins_text` if it begins a text of its own.
    pub fn push(&mut self, tokenizer: &Tokenizer<'_>, id: u32, begins_text: bool) -> Outcome {
        let bytes = tokenizer.bytes(id);
        match self.filter.push(tokenizer, id) {
            AnswerPart::Answer => {
                self.thoughts.end();
                self.answers = true;
                let bytes = if begins_text { tokenizer.first_bytes(id) } else { bytes };
                self.show(bytes)
            }
            AnswerPart::Thought => {
                self.thoughts.push(bytes);
                Ok(())
            }
            AnswerPart::Markup => {
                self.thoughts.end(); // Another message of them is another line.
                Ok(())
            }
        }
    }

    /// Whether a stop string has come.
    pub fn stopped(&self) -> bool {
        self.text.stopped()
    }

    /// Whether the model has done nothing but think.
    pub fn only_thought(&self) -> bool {
        !self.answers
    }

    /// Shows what was held back, since nothing more comes.
    pub fn finish(&mut self) -> Outcome {
        self.thoughts.end();
        show(&self.text.finish(), self.raw)
    }

    fn show(&mut self, bytes: &[u8]) -> Outcome {
        show(&self.text.push(bytes), self.raw)
    }
}

fn show(text: &str, raw: bool) -> Outcome {
    if text.is_empty() { Ok(()) } else { console::put_model_text(text, raw) }
}

/// Thoughts on their way to whoever watches.
struct Thoughts {
    watched: bool,
    dimmed: Dimmed,
}

impl Thoughts {
    fn new() -> Self {
        Self { watched: io::stderr().is_terminal(), dimmed: Dimmed::default() }
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.watched {
            tell(&self.dimmed.push(bytes));
        }
    }

    fn end(&mut self) {
        tell(&self.dimmed.end());
    }
}

/// Thoughts are not what was asked for: that they cannot be written ends nothing.
fn tell(text: &str) {
    if !text.is_empty() {
        let _ = io::stderr().write_all(text.as_bytes());
    }
}

/// Lines of dimmed text, each piece of which is dimmed by itself, so that a program that is ended
/// leaves no dimmed terminal.
#[derive(Default)]
struct Dimmed {
    utf8: Utf8Stream,
    /// Whether something stands on the line.
    begun: bool,
}

impl Dimmed {
    /// Takes the bytes of a token and gives what can be written now.
    fn push(&mut self, bytes: &[u8]) -> String {
        let mut text = String::new();
        self.utf8.push(bytes, &mut |part| text.push_str(part));
        self.dim(&text)
    }

    /// Ends the line, if there is one, with what waits.
    fn end(&mut self) -> String {
        let mut text = String::new();
        self.utf8.finish(&mut |part| text.push_str(part));
        let mut last = self.dim(&text);
        if std::mem::take(&mut self.begun) {
            last.push('\n');
        }
        last
    }

    fn dim(&mut self, text: &str) -> String {
        if text.is_empty() {
            return String::new();
        }
        self.begun = true;
        format!("\x1b[2m{}\x1b[0m", visible::lines(text))
    }
}

#[cfg(test)]
mod tests {
    use super::Dimmed;

    #[test]
    fn each_thought_is_a_line_of_whole_characters() {
        let mut dimmed = Dimmed::default();
        assert_eq!(dimmed.end(), "", "nothing has begun");
        assert_eq!(dimmed.push(b"a"), "\x1b[2ma\x1b[0m");
        assert_eq!(dimmed.push(&[0xC3]), "", "half a character waits");
        assert_eq!(dimmed.end(), "\x1b[2m\u{FFFD}\x1b[0m\n");
        assert_eq!(dimmed.push(&[0xC3]), "");
        assert_eq!(dimmed.push(&[0xA9]), "\x1b[2m\u{E9}\x1b[0m");
        assert_eq!([dimmed.end(), dimmed.end()], ["\n", ""]);
    }
}
