//! Text that follows a prompt, piece by piece.

use oarlock::generator::Generator;
use oarlock::tokenizer::Tokenizer;
use oarlock::{Machine, Sampler, Session};

use crate::error::Error;
use crate::text_stream::TextStream;
use crate::transcript::Transcript;

/// An iterator over text as the model writes it, until the model ends it.
///
/// Each item is a token's characters, or more, if several tokens make one. `take` limits it.
pub struct TextGenerator<'e> {
    generator: Generator<'e, Transcript>,
    machine: Machine<'e>,
    tokenizer: Tokenizer<'e>,
    sampler: Sampler,
    text: TextStream<'static>,
    ended: bool,
}

impl<'e> TextGenerator<'e> {
    /// Feeds the prompt's ids, at least one, to an empty session.
    pub(crate) fn new(
        session: Session<'e>,
        machine: Machine<'e>,
        tokenizer: Tokenizer<'e>,
        sampler: Sampler,
        ids: Vec<u32>,
    ) -> Result<Self, Error> {
        if ids.is_empty() {
            return Err(Error::NoTokens);
        }
        let tokens = Transcript { ids, ..Transcript::default() };
        let (mut generator, text) = (Generator::new(session, tokens), TextStream::new(&[]));
        while !generator.feed(&machine)? {}
        Ok(Self { generator, machine, tokenizer, sampler, text, ended: false })
    }

    /// Chooses tokens by another sampler from here on.
    pub fn sampler(self, sampler: Sampler) -> Self {
        Self { sampler, ..self }
    }

    /// The text that the next token completes, which may be none yet.
    fn step(&mut self) -> Result<String, Error> {
        let Self { generator, machine, tokenizer, sampler, text, ended } = self;
        match generator.next(machine, sampler, u64::MAX, &|id| tokenizer.is_end(id))? {
            // Special tokens are no text.
            Some(id) if tokenizer.is_special(id) => Ok(String::new()),
            Some(id) => Ok(text.push(tokenizer.bytes(id))),
            None => {
                *ended = true;
                Ok(text.finish())
            }
        }
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
