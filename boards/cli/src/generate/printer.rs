//! Tokens to what people read: the answer on stdout, and what a model thinks before it dimmed on
//! stderr, if somebody watches there.

use std::io::{self, IsTerminal, Write};

use oarlock::chat::{AnswerFilter, AnswerPart, Thinking};
use oarlock::tokenizer::{Tokenizer, Utf8Stream};
use oarlock::visible::VisibleStream;
use oarlock_hosted::TextStream;

use crate::terminal::console;
use crate::terminal::errors::Outcome;

/// An answer that is being shown.
pub struct AnswerPrinter<'a> {
    filter: AnswerFilter<'a>,
    thoughts: Thoughts,
    text: TextStream<'a>,
    out: ModelText,
    /// Whether anything of the answer has come.
    answers: bool,
}

impl<'a> AnswerPrinter<'a> {
    /// An answer behind these thoughts, which ends before the first of `stops`; `raw` if terminals
    /// get it as it is.
    pub fn new(thinking: Thinking<'a>, stops: &'a [String], raw: bool) -> Self {
        let (filter, text) = (AnswerFilter::new(thinking), TextStream::new(stops));
        let (thoughts, out) = (Thoughts::new(raw), ModelText::new(raw));
        Self { filter, thoughts, text, out, answers: thinking == Thinking::No }
    }

    /// Shows a token, or keeps it to itself; `begins_text` if it begins a text of its own.
    pub fn push(&mut self, tokenizer: &Tokenizer<'_>, id: u32, begins_text: bool) -> Outcome {
        let bytes = if begins_text { tokenizer.first_bytes(id) } else { tokenizer.bytes(id) };
        let (mut filter, is_special) = (self.filter, tokenizer.is_special(id));
        let mut done = Ok(());
        filter.push(bytes, is_special, &mut |part, bytes| {
            let shown = self.show(part, bytes);
            done = std::mem::replace(&mut done, Ok(())).and(shown);
        });
        self.filter = filter;
        done
    }

    fn show(&mut self, part: AnswerPart, bytes: &[u8]) -> Outcome {
        match part {
            AnswerPart::Answer => {
                self.thoughts.end();
                self.answers = true;
                return self.out.put(&self.text.push(bytes));
            }
            AnswerPart::Thought => self.thoughts.push(bytes),
            AnswerPart::Markup => self.thoughts.end(), // Another message of them is another line.
        }
        Ok(())
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
        let (mut filter, mut done) = (self.filter, Ok(()));
        filter.finish(&mut |part, bytes| done = self.show(part, bytes));
        self.thoughts.end();
        done?;
        self.out.put(&self.text.finish())?;
        self.out.finish()
    }
}

/// Text of the model on its way to stdout: a pipe gets it as it is, a terminal so that it obeys
/// none of it.
struct ModelText(Option<VisibleStream>);

impl ModelText {
    fn new(raw: bool) -> Self {
        Self((console::is_terminal() && !raw).then(VisibleStream::new))
    }

    fn put(&mut self, text: &str) -> Outcome {
        match &mut self.0 {
            Some(stream) => show(&pushed(stream, text)),
            None => show(text),
        }
    }

    fn finish(&mut self) -> Outcome {
        self.0.as_mut().map_or(Ok(()), |stream| show(&finished(stream)))
    }
}

fn show(text: &str) -> Outcome {
    if text.is_empty() { Ok(()) } else { console::put(text.as_bytes()) }
}

fn pushed(stream: &mut VisibleStream, text: &str) -> String {
    let mut shown = String::new();
    stream.push(text, &mut |part| shown.push_str(part));
    shown
}

fn finished(stream: &mut VisibleStream) -> String {
    let mut shown = String::new();
    stream.finish(&mut |part| shown.push_str(part));
    shown
}

/// Thoughts on their way to whoever watches.
struct Thoughts {
    watched: bool,
    dimmed: Dimmed,
}

impl Thoughts {
    fn new(raw: bool) -> Self {
        let visible = (!raw).then(VisibleStream::new);
        let dimmed = Dimmed { visible, ..Dimmed::default() };
        Self { watched: io::stderr().is_terminal(), dimmed }
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
    visible: Option<VisibleStream>,
    /// Whether something stands on the line.
    begun: bool,
}

impl Dimmed {
    /// Takes the bytes of a token and gives what can be written now.
    fn push(&mut self, bytes: &[u8]) -> String {
        let mut text = String::new();
        self.utf8.push(bytes, &mut |part| text.push_str(part));
        let visible = self.visible.as_mut().map(|stream| pushed(stream, &text));
        self.dim(&visible.unwrap_or(text))
    }

    /// Ends the line, if there is one, with what waits.
    fn end(&mut self) -> String {
        let mut text = String::new();
        self.utf8.finish(&mut |part| text.push_str(part));
        if let Some(stream) = &mut self.visible {
            text = pushed(stream, &text) + &finished(stream);
        }
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
        format!("\x1b[2m{text}\x1b[0m")
    }
}

#[cfg(test)]
mod tests {
    use super::{Dimmed, VisibleStream};

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

    #[test]
    fn thoughts_that_a_terminal_would_obey_are_shown() {
        let mut dimmed = Dimmed { visible: Some(VisibleStream::new()), ..Dimmed::default() };
        assert_eq!(dimmed.push(b"a\x1b[0mb"), "\x1b[2ma\\u{1b}[0mb\x1b[0m");
        assert_eq!(dimmed.push(b"\xC2"), "", "half of a control waits");
        assert_eq!(dimmed.push(b"\x9B2J\r"), "\x1b[2m\\u{9b}2J\x1b[0m");
        assert_eq!(dimmed.end(), "\x1b[2m\\u{d}\x1b[0m\n");
    }
}
