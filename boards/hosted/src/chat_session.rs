//! A conversation of text: messages in, answers out.

use oarlock::chat::{AnswerFilter, AnswerPart};
use oarlock::conversation::Conversation;
use oarlock::{Machine, Sampler};

use crate::error::Error;
use crate::snapshot::Snapshot;
use crate::text_encoder::TextEncoder;
use crate::text_stream::TextStream;
use crate::transcript::Transcript;

/// A conversation with a model, by its own chat template.
pub struct ChatSession<'e> {
    conversation: Conversation<'e, TextEncoder<'e>, Transcript>,
    machine: Machine<'e>,
    sampler: Sampler,
    system: Option<String>,
    /// The session before the answer, of a model that thinks before it answers.
    before: Snapshot,
}

impl<'e> ChatSession<'e> {
    /// Begins a conversation with this system prompt, which is never forgotten.
    pub(crate) fn start(
        mut conversation: Conversation<'e, TextEncoder<'e>, Transcript>,
        machine: Machine<'e>,
        sampler: Sampler,
        system: Option<&str>,
    ) -> Result<Self, Error> {
        conversation.start(system)?;
        let (system, before) = (system.map(str::to_owned), Snapshot::default());
        Ok(Self { conversation, machine, sampler, system, before })
    }

    /// Chooses tokens by another sampler from here on.
    pub fn sampler(self, sampler: Sampler) -> Self {
        Self { sampler, ..self }
    }

    /// The turns so far: take some back, look at the session, save it.
    pub fn conversation(&mut self) -> &mut Conversation<'e, TextEncoder<'e>, Transcript> {
        &mut self.conversation
    }

    /// Puts a message to the model and gives its answer, piece by piece, thoughts left out.
    ///
    /// # Errors
    /// [`Error::Turn`] of a message that the template has no place for, or [`Error::Feed`].
    pub fn ask(&mut self, message: &str) -> Result<ChatAnswer<'_, 'e>, Error> {
        self.conversation.turn(self.system.as_deref(), message)?;
        while !self.conversation.feed(&self.machine)? {}
        let thinking = self.conversation.chat().thinking();
        self.before.clear();
        let session = self.conversation.generator_mut().session_mut();
        if thinking.wants_state(session.len(), session.options().context) {
            // Without memory for it the thoughts stay in the stream, which does no harm.
            let _ = self.before.take(session);
        }
        let (filter, text) = (AnswerFilter::new(thinking), TextStream::new(&[]));
        Ok(ChatAnswer { chat: self, filter, text, begun: false, ended: false })
    }
}

/// An iterator over the text of an answer, until the model ends it.
///
/// Dropped before, it leaves the answer as it is: the next message closes it.
pub struct ChatAnswer<'c, 'e> {
    chat: &'c mut ChatSession<'e>,
    filter: AnswerFilter<'e>,
    text: TextStream<'static>,
    /// Whether a token of the answer has come.
    begun: bool,
    ended: bool,
}

impl ChatAnswer<'_, '_> {
    /// The text that the next token completes, which may be none yet.
    fn step(&mut self) -> Result<String, Error> {
        let ChatSession { conversation, machine, sampler, .. } = &mut *self.chat;
        let Some(id) = conversation.next(machine, sampler, u64::MAX)? else {
            self.ended = true;
            let (filter, text) = (&mut self.filter, &mut self.text);
            let mut last = String::new();
            filter.finish(&mut |part, bytes| last += &shown(text, part, bytes));
            return Ok(last + &text.finish());
        };
        let tokenizer = conversation.tokenizer();
        let bytes = if self.begun { tokenizer.bytes(id) } else { tokenizer.first_bytes(id) };
        let (filter, text, begun) = (&mut self.filter, &mut self.text, &mut self.begun);
        let mut out = String::new();
        filter.push(bytes, tokenizer.is_special(id), &mut |part, bytes| {
            *begun |= part == AnswerPart::Answer;
            out += &shown(text, part, bytes);
        });
        Ok(out)
    }
}

/// The text that these bytes complete, if they are to be read.
fn shown(text: &mut TextStream<'_>, part: AnswerPart, bytes: &[u8]) -> String {
    if part == AnswerPart::Answer { text.push(bytes) } else { String::new() }
}

impl Iterator for ChatAnswer<'_, '_> {
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

impl Drop for ChatAnswer<'_, '_> {
    fn drop(&mut self) {
        let ChatSession { conversation, before, .. } = &mut *self.chat;
        // The snapshot is of this session; what cannot be taken out stays in the stream.
        let _ = before.forget_thoughts(conversation);
    }
}
