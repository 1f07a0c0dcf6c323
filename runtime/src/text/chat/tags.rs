//! The filter of an answer behind thoughts between tags, which may lie across tokens.

use super::part::AnswerPart;
use super::strip::Strip;
use super::thinking::Tags;

/// Follows an answer byte by byte:
///
/// ```text
/// before   ─ white space ─ open ─→ thought     else ─→ answer
/// thought  ─ … ─ close ─→ behind
/// behind   ─ stripped space ─→ answer
/// ```
///
/// Bytes that may begin a tag are held back until they do or do not. They need not be stored: they are the
/// tag's own beginning.
#[derive(Clone, Copy, Debug)]
pub struct TagFilter<'m> {
    open: &'m [u8],
    close: &'m [u8],
    strip: Strip,
    state: State,
    /// The tag that may have begun, and bytes of it that have come.
    tag: Tag,
    come: usize,
    /// Whether thoughts have ended.
    closed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Before,
    Thought,
    Behind,
    Answer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tag {
    Open,
    Close,
}

/// Parts of an answer with their bytes, as they come.
type Parts<'p> = dyn FnMut(AnswerPart, &[u8]) + 'p;

impl<'m> TagFilter<'m> {
    /// A filter that takes so much space off the answer behind thoughts.
    pub fn new(tags: Tags<'m>, strip: Strip) -> Self {
        let state = match () {
            () if tags.close.is_empty() => State::Answer,
            () if tags.begun => State::Thought,
            () => State::Before,
        };
        let tag = if state == State::Thought { Tag::Close } else { Tag::Open };
        let (open, close) = (tags.open.as_bytes(), tags.close.as_bytes());
        Self { open, close, strip, state, tag, come: 0, closed: false }
    }

    /// Takes the bytes of a token.
    pub fn push(&mut self, bytes: &[u8], is_special: bool, out: &mut Parts<'_>) {
        let mut rest = bytes;
        loop {
            let state = self.state;
            rest = match state {
                State::Before => self.before(rest, is_special, out),
                State::Thought => self.thought(rest, is_special, out),
                State::Behind => self.behind(rest),
                State::Answer if is_special => return out(AnswerPart::Markup, &[]),
                State::Answer if rest.is_empty() => return,
                State::Answer => return out(AnswerPart::Answer, rest),
            };
            if state == self.state {
                return;
            }
        }
    }

    /// Gives what was held back, since nothing more comes.
    pub fn finish(&mut self, out: &mut Parts<'_>) {
        let part =
            if self.state == State::Before { AnswerPart::Answer } else { AnswerPart::Thought };
        if self.come > 0 {
            out(part, self.held(self.come));
        }
        self.come = 0;
    }

    /// Whether thoughts have ended.
    pub const fn closed(&self) -> bool {
        self.closed
    }

    /// Whether the answer has begun; it may have done so with bytes that were held back.
    pub fn answers(&self) -> bool {
        self.state == State::Answer
    }

    /// Whether it is still open if there are thoughts.
    pub fn is_before(&self) -> bool {
        self.state == State::Before
    }

    /// Looks for a tag at the beginning; gives the bytes behind it, or those of an answer.
    fn before<'b>(&mut self, bytes: &'b [u8], special: bool, out: &mut Parts<'_>) -> &'b [u8] {
        let (earlier, mut rest) = (self.come, bytes);
        while let Some((&byte, after)) = rest.split_first() {
            if self.come == 0 && byte.is_ascii_whitespace() {
                rest = after;
                continue;
            }
            let Some(tag) = self.tag_with(byte) else {
                self.state = State::Answer;
                let come = core::mem::take(&mut self.come);
                let (held, here) = (come.min(earlier), come - come.min(earlier));
                if held > 0 {
                    out(AnswerPart::Answer, self.held(held));
                }
                let behind = bytes.len() - rest.len() - here;
                return if special { &[] } else { bytes.get(behind..).unwrap_or_default() };
            };
            (self.tag, self.come, rest) = (tag, self.come + 1, after);
            if self.come == self.text(tag).len() {
                self.come = 0;
                out(AnswerPart::Markup, &[]);
                match tag {
                    Tag::Open => (self.state, self.tag) = (State::Thought, Tag::Close),
                    Tag::Close => (self.state, self.closed) = (State::Behind, true),
                }
                return rest;
            }
        }
        rest
    }

    /// The tag that begins with what has come and then this byte.
    fn tag_with(&self, byte: u8) -> Option<Tag> {
        let held = self.held(self.come);
        [Tag::Open, Tag::Close].into_iter().find(|&tag| {
            let next = self.text(tag).strip_prefix(held).and_then(<[u8]>::first);
            next == Some(&byte)
        })
    }

    /// Looks for the tag that ends thoughts; gives the bytes behind it.
    fn thought<'b>(&mut self, bytes: &'b [u8], special: bool, out: &mut Parts<'_>) -> &'b [u8] {
        // Bytes held from tokens before this one: those that are let go come first.
        let (mut earlier, mut freed) = (self.come, 0);
        for (at, &byte) in bytes.iter().enumerate() {
            while self.come > 0 && self.close.get(self.come) != Some(&byte) {
                let shorter = border(self.held(self.come));
                let old = earlier.min(self.come - shorter);
                (earlier, freed, self.come) = (earlier - old, freed + old, shorter);
            }
            self.come += usize::from(self.close.get(self.come) == Some(&byte));
            if self.come == self.close.len() {
                self.tell(freed, bytes.get(..at + 1 + earlier - self.come), special, out);
                (self.state, self.closed, self.come) = (State::Behind, true, 0);
                out(AnswerPart::Markup, &[]);
                return bytes.get(at + 1..).unwrap_or_default();
            }
        }
        self.tell(freed, bytes.get(..bytes.len() + earlier - self.come), special, out);
        &[]
    }

    /// Gives thoughts: bytes that were held, then those of this token.
    fn tell(&self, freed: usize, here: Option<&[u8]>, special: bool, out: &mut Parts<'_>) {
        if freed > 0 {
            out(AnswerPart::Thought, self.held(freed));
        }
        match here.filter(|here| !here.is_empty()) {
            Some(_) if special => out(AnswerPart::Markup, &[]),
            Some(here) => out(AnswerPart::Thought, here),
            None => {}
        }
    }

    /// Skips the space that is stripped; gives the answer behind it.
    fn behind<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let space = bytes.iter().take_while(|&&byte| self.strip.takes_first(byte)).count();
        let rest = bytes.get(space..).unwrap_or_default();
        if !rest.is_empty() {
            self.state = State::Answer;
        }
        rest
    }

    fn text(&self, tag: Tag) -> &'m [u8] {
        match tag {
            Tag::Open => self.open,
            Tag::Close => self.close,
        }
    }

    /// The first bytes of the tag that may have begun.
    fn held(&self, len: usize) -> &'m [u8] {
        self.text(self.tag).get(..len).unwrap_or_default()
    }
}

/// The length of the longest text, shorter than this one, that it begins with and ends with.
fn border(text: &[u8]) -> usize {
    let shorter = (1..text.len()).map(|from| text.get(from..).unwrap_or_default());
    shorter.filter(|end| text.starts_with(end)).map(<[u8]>::len).next().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{AnswerPart, Strip, TagFilter, Tags};

    extern crate std;
    use std::string::String;
    use std::vec::Vec;

    const QWEN: Tags<'_> = Tags {
        open: "<think>",
        close: "</think>",
        begun: false,
        kept: false,
        strip: Strip::START_LINES,
    };
    const BEGUN: Tags<'_> = Tags { open: "", begun: true, ..QWEN };

    /// Texts of the answer and the thoughts; special tokens begin with `<|`.
    fn texts(tags: Tags<'_>, tokens: &[&str]) -> [String; 2] {
        let mut filter = TagFilter::new(tags, tags.strip);
        let mut texts = [const { String::new() }; 2];
        let mut out = |part, bytes: &[u8]| match part {
            AnswerPart::Answer => {
                texts[0].push_str(core::str::from_utf8(bytes).unwrap_or("no text"))
            }
            AnswerPart::Thought => {
                texts[1].push_str(core::str::from_utf8(bytes).unwrap_or("no text"))
            }
            AnswerPart::Markup => assert!(bytes.is_empty()),
        };
        for token in tokens {
            filter.push(token.as_bytes(), token.starts_with("<|"), &mut out);
        }
        filter.finish(&mut out);
        texts
    }

    /// However the text is cut into tokens.
    #[test]
    fn tags_may_lie_across_tokens() {
        for (tags, text, expected) in [
            (QWEN, "<think>\nHm. 1<2</think>\n\nHi!", ["Hi!", "\nHm. 1<2"]),
            (QWEN, "\n<think></think>Hi<", ["Hi<", ""]),
            (QWEN, "Hi, <think> is a tag", ["Hi, <think> is a tag", ""]),
            (QWEN, "<thin ice", ["<thin ice", ""]),
            (QWEN, "</think>\n\n x", [" x", ""]),
            (QWEN, "<thi", ["<thi", ""]),
            (BEGUN, "a</</thi</think></think>", ["</think>", "a</</thi"]),
            (BEGUN, "only this </thin", ["", "only this </thin"]),
            (Tags { close: "aab", ..BEGUN }, "aaaabaab", ["aab", "aa"]),
            (Tags { close: "", begun: false, ..BEGUN }, "</think>\n", ["</think>\n", ""]),
        ] {
            let ends: Vec<usize> = (1..text.len()).collect();
            for &first in &ends {
                for &second in ends.iter().filter(|&&second| second >= first) {
                    let tokens = [&text[..first], &text[first..second], &text[second..]];
                    assert_eq!(texts(tags, &tokens), expected, "{tokens:?}");
                }
            }
            let bytes: Vec<&str> = (0..text.len()).map(|at| &text[at..=at]).collect();
            assert_eq!(texts(tags, &bytes), expected, "{text}");
        }
    }

    #[test]
    fn special_tokens_are_tags_or_nothing_that_is_read() {
        let tags = Tags { close: "<|end_thought|>text:", ..BEGUN };
        let tokens = ["a", "<|other|>", "b", "<|end_thought|>", "te", "xt:", "c", "<|end|>", "d"];
        assert_eq!(texts(tags, &tokens), ["cd", "ab"]);
        assert_eq!(texts(QWEN, &["<|tool|>", "<think>"]), ["<think>", ""]);
        let channel = Tags { open: "<|channel>", close: "<channel|>", ..QWEN };
        assert_eq!(texts(channel, &["<|channel>", "hm", "<channel|>", "\n", "Hi"]), ["Hi", "hm"]);
    }
}
