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
    /// Tokens before the first that is left as it is.
    pub tokens: usize,
    /// Bytes of the answer at the end of the last of them.
    pub tail: usize,
    /// Whether the model has thought before.
    pub thought: bool,
}

/// Finds the answer behind thoughts, or one without, off which so much is stripped; `None` if there
/// is nothing else, or nothing at all.
pub fn answer_start<'t>(
    tags: Tags<'_>,
    bare: Strip,
    said: impl Iterator<Item = (&'t [u8], bool)> + Clone,
) -> Option<AnswerStart> {
    let (mut filter, mut tokens, mut tail) = (TagFilter::new(tags, tags.strip), 0, 0);
    for (bytes, is_special) in said.clone() {
        filter.push(bytes, is_special, &mut |part, bytes| {
            tail += if part == AnswerPart::Answer { bytes.len() } else { 0 };
        });
        // A special token is left as it is.
        tokens += usize::from(!(filter.answers() && is_special));
        if filter.answers() {
            break;
        }
    }
    match () {
        () if filter.closed() => Some(AnswerStart { tokens, tail, thought: true }),
        () if filter.answers() || filter.is_before() => bare_start(bare, said),
        () => None,
    }
}

/// The beginning of an answer without thoughts.
fn bare_start<'t>(
    strip: Strip,
    said: impl Iterator<Item = (&'t [u8], bool)>,
) -> Option<AnswerStart> {
    let mut start = AnswerStart { tokens: 0, tail: 0, thought: false };
    for (bytes, is_special) in said {
        if is_special {
            return Some(start);
        }
        start.tokens += 1;
        let space = bytes.iter().take_while(|&&byte| strip.takes_first(byte)).count();
        start.tail = bytes.len() - space;
        if start.tail > 0 {
            return Some(start);
        }
    }
    Some(start).filter(|start| start.tokens > 0)
}
