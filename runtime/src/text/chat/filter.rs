//! The filter of an answer that tells what is meant to be read: some models think aloud first.

use super::mark::MarkFilter;
use super::part::AnswerPart;
use super::strip::Strip;
use super::tags::TagFilter;
use super::thinking::{Tags, Thinking};

/// Follows an answer token by token and tells its parts: thoughts, the answer to be read, and markup,
/// which comes without bytes.
///
/// Behind a mark special tokens tell one message from the next. Between tags anything else
/// may stand, and a tag may begin in one token and end in another: bytes that may begin one
/// are told with those of a later token. Space behind thoughts is left out.
#[derive(Clone, Copy, Debug)]
pub struct AnswerFilter<'m>(Kind<'m>);

#[derive(Clone, Copy, Debug)]
enum Kind<'m> {
    Mark(MarkFilter<'m>),
    Tags(TagFilter<'m>),
}

impl<'m> AnswerFilter<'m> {
    /// A filter for these thoughts ([`Chat::thinking`](super::Chat::thinking)), or this mark.
    pub fn new(thinking: impl Into<Thinking<'m>>) -> Self {
        Self(match thinking.into() {
            Thinking::No => Kind::Mark(MarkFilter::new(None)),
            Thinking::Mark(mark) => Kind::Mark(MarkFilter::new(Some(mark))),
            Thinking::Tags(tags) => Kind::Tags(TagFilter::new(tags, Strip::START)),
        })
    }

    /// Takes the bytes of the next token of an answer.
    pub fn push(&mut self, bytes: &[u8], is_special: bool, out: &mut dyn FnMut(AnswerPart, &[u8])) {
        match &mut self.0 {
            Kind::Mark(filter) => match filter.push(bytes, is_special) {
                AnswerPart::Markup => out(AnswerPart::Markup, &[]),
                part => out(part, bytes),
            },
            Kind::Tags(filter) => filter.push(bytes, is_special, out),
        }
    }

    /// Gives what was held back, since nothing more comes.
    pub fn finish(&mut self, out: &mut dyn FnMut(AnswerPart, &[u8])) {
        if let Kind::Tags(filter) = &mut self.0 {
            filter.finish(out);
        }
    }
}

/// The place of an answer among the tokens that were generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerStart {
    /// Tokens before the first that is the answer's alone.
    pub tokens: usize,
    /// Bytes of the answer at the end of the last of them.
    pub tail: usize,
    /// Whether the model has thought before.
    pub thought: bool,
}

/// Finds the answer behind thoughts; `None` if there is nothing else, or nothing at all.
pub fn answer_start<'t>(
    tags: Tags<'_>,
    said: impl Iterator<Item = (&'t [u8], bool)>,
) -> Option<AnswerStart> {
    let (mut filter, mut tokens) = (TagFilter::new(tags, tags.strip), 0);
    for (bytes, is_special) in said {
        let mut tail = 0;
        filter.push(bytes, is_special, &mut |part, bytes| {
            tail += if part == AnswerPart::Answer { bytes.len() } else { 0 };
        });
        let thought = filter.closed();
        if filter.answers() && !thought {
            return Some(AnswerStart { tokens: 0, tail: 0, thought });
        }
        if filter.answers() && (is_special || tail == bytes.len()) {
            return Some(AnswerStart { tokens, tail: 0, thought });
        }
        tokens += 1;
        if filter.answers() {
            return Some(AnswerStart { tokens, tail, thought });
        }
    }
    let whole = AnswerStart { tokens: 0, tail: 0, thought: false };
    match () {
        () if tokens == 0 => None,
        () if filter.closed() => Some(AnswerStart { tokens, thought: true, ..whole }),
        () => filter.is_before().then_some(whole),
    }
}
