//! Text that follows a prompt, piece by piece.

use oarlock::tokenizer::Tokenizer;
use oarlock::{Machine, Sampler, Session};

use crate::error::Error;
use crate::text_stream::TextStream;

/// An iterator over text as the model writes it, until the model ends it.
///
/// Each item is a token's characters, or more, if several tokens make one. `take` limits it.
pub struct TextGenerator<'e> {
    session: Session<'e>,
    machine: Machine<'e>,
    tokenizer: Tokenizer<'e>,
    sampler: Sampler,
    text: TextStream<'static>,
    /// The token that was shown last, which is fed once the next is wanted.
    last: Option<u32>,
    ended: bool,
}

impl<'e> TextGenerator<'e> {
    /// Feeds the prompt's ids, at least one, to an empty session.
    pub fn new(
        mut session: Session<'e>,
        machine: Machine<'e>,
        tokenizer: Tokenizer<'e>,
        sampler: Sampler,
        ids: &[u32],
    ) -> Result<Self, Error> {
        if ids.is_empty() {
            return Err(Error::NoTokens);
        }
        session.feed(&machine, ids)?;
        let text = TextStream::new(&[]);
        Ok(Self { session, machine, tokenizer, sampler, text, last: None, ended: false })
    }

    /// Chooses tokens by another sampler from here on.
    pub fn sampler(self, sampler: Sampler) -> Self {
        Self { sampler, ..self }
    }

    /// The text that the next token completes, which may be none yet.
    fn step(&mut self) -> Result<String, Error> {
        if let Some(last) = self.last.take() {
            self.session.feed_speculative(&self.machine, last, usize::MAX)?;
        }
        let id = self.session.sample(&self.machine, &mut self.sampler);
        if self.tokenizer.is_end(id) {
            self.ended = true;
            return Ok(self.text.finish());
        }
        self.last = Some(id);
        Ok(self.text.push(self.tokenizer.bytes(id)))
    }
}

impl Iterator for TextGenerator<'_> {
    type Item = Result<String, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.step() {
                Ok(text) if text.is_empty() => {}
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
                text => return Some(text),
            }
        }
        None
    }
}
