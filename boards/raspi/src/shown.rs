//! An answer on the console: whole characters, none of which the terminal obeys, and thoughts dimmed.

use oarlock::chat::{AnswerFilter, AnswerPart, Thinking};
use oarlock::tokenizer::Utf8Stream;
use oarlock::visible::VisibleStream;

use crate::console;

/// An answer that is being shown.
pub struct ShownAnswer<'m> {
    filter: AnswerFilter<'m>,
    text: Text,
}

impl<'m> ShownAnswer<'m> {
    /// An answer behind these thoughts.
    pub fn new(thinking: Thinking<'m>) -> Self {
        Self { filter: AnswerFilter::new(thinking), text: Text::new() }
    }

    /// Shows the bytes of a token.
    pub fn push(&mut self, bytes: &[u8], is_special: bool) {
        let Self { filter, text } = self;
        filter.push(bytes, is_special, &mut |part, bytes| text.push(part, bytes));
    }

    /// Shows what was held back, since nothing more comes.
    pub fn finish(&mut self) {
        let Self { filter, text } = self;
        filter.finish(&mut |part, bytes| text.push(part, bytes));
        text.end();
    }
}

/// Text of one part.
struct Text {
    utf8: Utf8Stream,
    visible: VisibleStream,
    /// Whether it is a thought.
    dimmed: bool,
}

impl Text {
    const fn new() -> Self {
        Self { utf8: Utf8Stream::new(), visible: VisibleStream::new(), dimmed: false }
    }

    fn push(&mut self, part: AnswerPart, bytes: &[u8]) {
        let thought = part == AnswerPart::Thought;
        if self.dimmed && !thought {
            self.end();
            put("\n");
        }
        if !self.dimmed && thought {
            put("\x1b[2m");
            self.dimmed = true;
        }
        let Self { utf8, visible, .. } = self;
        utf8.push(bytes, &mut |text| visible.push(text, &mut put));
    }

    fn end(&mut self) {
        let Self { utf8, visible, dimmed } = self;
        utf8.finish(&mut |text| visible.push(text, &mut put));
        visible.finish(&mut put);
        if core::mem::take(dimmed) {
            put("\x1b[0m");
        }
    }
}

fn put(text: &str) {
    console::put(text.as_bytes());
}
