//! Tokens to what people read: the answer on stdout, and what a model thinks before it dimmed on
//! stderr, if somebody watches there.

use std::io::{self, IsTerminal, Write};

use oarlock::chat::{Heard, Listener};
use oarlock::tokenizer::{Tokenizer, Utf8Stream};

use crate::console;
use crate::errors::Outcome;
use crate::text_stream::TextStream;

/// An answer that is being shown.
pub struct Voice<'a> {
    listener: Listener<'a>,
    thoughts: Thoughts,
    text: TextStream<'a>,
    /// Whether anything of the answer has come.
    answers: bool,
}

impl<'a> Voice<'a> {
    /// An answer behind this mark, which ends before the first of `stops`.
    pub fn new(mark: Option<&'a str>, stops: &'a [String]) -> Self {
        let (listener, text) = (Listener::new(mark), TextStream::new(stops));
        Self { listener, thoughts: Thoughts::new(), text, answers: mark.is_none() }
    }

    /// Shows a token, or keeps it to itself; `begins_text` if it begins a text of its own.
    pub fn say(&mut self, tokenizer: &Tokenizer<'_>, id: u32, begins_text: bool) -> Outcome {
        let bytes = tokenizer.bytes(id);
        match self.listener.hear(bytes, tokenizer.is_special(id)) {
            Heard::Answer => {
                self.thoughts.end();
                self.answers = true;
                let bytes = if begins_text { tokenizer.first_bytes(id) } else { bytes };
                show(&self.text.push(bytes))
            }
            Heard::Thought => {
                self.thoughts.push(bytes);
                Ok(())
            }
            Heard::Markup => Ok(()),
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
        show(&self.text.finish())
    }
}

fn show(text: &str) -> Outcome {
    if text.is_empty() { Ok(()) } else { console::put(text.as_bytes()) }
}

/// Thoughts on their way to whoever watches.
struct Thoughts {
    utf8: Utf8Stream,
    watched: bool,
    begun: bool,
}

impl Thoughts {
    fn new() -> Self {
        Self { utf8: Utf8Stream::new(), watched: io::stderr().is_terminal(), begun: false }
    }

    fn push(&mut self, bytes: &[u8]) {
        if !self.watched {
            return;
        }
        self.begun = true;
        let mut text = String::new();
        self.utf8.push(bytes, &mut |part| text.push_str(part));
        // Each piece by itself, so that a program that is ended leaves no dimmed terminal.
        let _ = io::stderr().write_all(format!("\x1b[2m{text}\x1b[0m").as_bytes());
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.begun) {
            let _ = io::stderr().write_all(b"\n");
        }
    }
}
