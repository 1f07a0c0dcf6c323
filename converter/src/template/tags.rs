//! Tags between which a model thinks, and what of its thoughts a template leaves in past answers.
//!
//! A template shows them in one of three ways: it writes thoughts that stand in a field of their own
//! (`reasoning_content`) between them; it cuts thoughts out of an answer that has them; or it
//! writes the first one before a new answer, which then says what the other one is.

use std::collections::BTreeSet;

use oarlock::chat::{Step, Strip};

use super::error::Underivable;
use super::program::{ChatProgram, OwnedTags};
use super::render::{Message, Template};

/// Names of the field with an answer's thoughts.
const FIELDS: [&str; 4] = ["reasoning_content", "reasoning", "thinking", "thoughts"];

/// Contents that are in no template.
const QUESTION: &str = "\u{E000}q\u{E001}";
const THOUGHT: &str = "\u{E000}t\u{E001}";
const ANSWER: &str = "\u{E000}a\u{E001}";

/// Bytes at most before an answer, for which the runtime has room.
const BEFORE: usize = 240;
/// Bytes of text in a template that may be a tag.
const TAG: std::ops::RangeInclusive<usize> = 3..=48;
/// Texts in a template that are tried.
const TRIED: usize = 64;

/// Finds the tags, where there is use for them.
///
/// # Errors
/// If the template begins new answers otherwise than past ones, and nothing says why.
pub(super) fn tags(
    template: &Template,
    source: &str,
    program: &ChatProgram,
) -> Result<Option<OwnedTags>, Underivable> {
    let gap = |to| program.gap(Step::User, to).unwrap_or_default();
    let forms = Forms::new(gap(Step::Generation), gap(Step::Assistant));
    let probe = Probe { template, forms };
    let found = probe.by_field().or_else(|| probe.by_content(source));
    if forms.past.strip_prefix(forms.new).is_some_and(|more| more.trim().is_empty()) {
        // Both are one: what has ended in them is over.
        return Ok(found.filter(|tags| !tags.begun && !forms.new.contains(&*tags.close)));
    }
    if forms.new.len().max(forms.past.len()) > BEFORE {
        return Err(Underivable(format!(
            "the template writes more than {BEFORE} bytes before answers"
        )));
    }
    found.or_else(|| forms.tags()).map(Some).ok_or_else(|| forms.differ())
}

/// The text before a new answer and that before a past one.
#[derive(Clone, Copy)]
struct Forms<'g> {
    new: &'g str,
    past: &'g str,
    /// Bytes that both begin with, up to no half of a tag.
    same: usize,
}

impl<'g> Forms<'g> {
    fn new(new: &'g str, past: &'g str) -> Self {
        let same = new.bytes().zip(past.bytes()).take_while(|(a, b)| a == b).count();
        let head = &new.as_bytes()[..same];
        let opened = head.iter().rposition(|byte| b"<[".contains(byte));
        let half = opened.filter(|&at| !head[at..].iter().any(|byte| b">]".contains(byte)));
        let same = (0..=half.unwrap_or(same)).rev().find(|&at| new.is_char_boundary(at));
        Self { new, past, same: same.unwrap_or(0) }
    }

    /// Text that a new answer alone begins with.
    fn new_alone(&self) -> &'g str {
        &self.new[self.same..]
    }

    fn past_alone(&self) -> &'g str {
        &self.past[self.same..]
    }

    /// The tags that the texts themselves show.
    fn tags(&self) -> Option<OwnedTags> {
        if let Some(more) = self.past.strip_prefix(self.new) {
            let tags = self.written_by_model(more);
            // A line that says whom the answer is for, or thoughts that there are none of.
            let line = more.strip_suffix('\n').is_some_and(is_word);
            return Some(tags).filter(|tags| line || !tags.begun);
        }
        let alone = self.new_alone().trim();
        if alone.is_empty() {
            return Some(OwnedTags::default());
        }
        let open = alone.rfind(['<', '[']).map(|at| &alone[at..]).and_then(first_tag)?;
        let strip = Strip::START;
        match closing(open) {
            Some(close) => Some(self.opened(OwnedTags { close, strip, ..OwnedTags::default() })),
            None => {
                // It may be what ends them.
                let (before, _) = alone.rsplit_once(open)?;
                let first = before.find(['<', '[']).and_then(|at| first_tag(&before[at..]))?;
                let close = closing(first).filter(|close| close == open)?;
                Some(self.opened(OwnedTags { close, strip, ..OwnedTags::default() }))
            }
        }
    }

    /// The tags, with whether they are open where a new answer begins.
    fn opened(&self, tags: OwnedTags) -> OwnedTags {
        let alone = self.new_alone();
        if !tags.open.is_empty() && self.new.trim_end().ends_with(&*tags.open) {
            return OwnedTags { begun: true, ..tags };
        }
        if alone.trim().is_empty() {
            return OwnedTags { begun: false, ..tags };
        }
        if !alone.contains(&*tags.close) {
            return OwnedTags { begun: true, ..tags };
        }
        let past = self.past_alone().trim();
        // Thoughts are over; what a past answer has besides, the model writes.
        if past.is_empty() || self.new.trim_end().ends_with(past) || past.contains(&*tags.close) {
            return OwnedTags { begun: false, ..tags };
        }
        self.written_by_model(past)
    }

    /// Text that the model writes itself before what is to be read.
    fn written_by_model(&self, more: &str) -> OwnedTags {
        let pair = first_tag(more.trim_start()).and_then(|open| Some((open, closing(open)?)));
        if let Some((open, close)) = pair.filter(|(_, close)| more.contains(close)) {
            // Thoughts that there are none of.
            let (open, strip) = (open.to_owned(), Strip::START);
            return OwnedTags { open, close, strip, ..OwnedTags::default() };
        }
        let close = more.trim_start().to_owned();
        OwnedTags { close, begun: true, ..OwnedTags::default() }
    }

    fn differ(&self) -> Underivable {
        Underivable(format!(
            "the template writes {:?} before a new answer, but {:?} before a past one",
            self.new, self.past
        ))
    }
}

struct Probe<'t, 'g> {
    template: &'t Template<'t>,
    forms: Forms<'g>,
}

impl Probe<'_, '_> {
    /// A conversation of a question, this answer, and another question if it is past.
    fn render(&self, answer: Message, past: bool) -> Option<String> {
        let question = || Message::new(Step::User, QUESTION);
        let messages = [question(), answer, question()];
        self.template.render(&messages[..if past { 3 } else { 2 }], past).ok()
    }

    fn past(&self, content: &str) -> Option<String> {
        self.render(Message::new(Step::Assistant, content), true)
    }

    /// From a field of their own.
    fn by_field(&self) -> Option<OwnedTags> {
        FIELDS.into_iter().find_map(|field| self.by_this_field(field))
    }

    fn by_this_field(&self, field: &'static str) -> Option<OwnedTags> {
        let beside = Some((field, THOUGHT.to_owned()));
        let answer = || Message { beside: beside.clone(), ..Message::new(Step::Assistant, ANSWER) };
        let last = self.render(answer(), false)?;
        let (_, last) = last.split_once(QUESTION)?;
        let (before, behind) = last.split_once(THOUGHT)?;
        let close = behind.split_once(ANSWER)?.0.trim();
        let past = self.render(answer(), true)?;
        let kept = past.contains(THOUGHT);
        if close.is_empty() || !(kept || Some(past) == self.past(ANSWER)) {
            return None;
        }
        let (before, new) = (before.trim_end(), self.forms.new);
        let mut tags = OwnedTags { close: close.to_owned(), kept, ..OwnedTags::default() };
        tags.strip = self.strip(close).unwrap_or(Strip::START);
        if let Some(open) = before.strip_prefix(new.trim_end()) {
            tags.open = open.trim_start().to_owned();
            tags.begun = open.is_empty();
            // Without thoughts the model writes the end of that alone.
            let more = self.forms.past.strip_prefix(new).unwrap_or_default().trim();
            if !more.is_empty() && tags.close.ends_with(more) {
                tags.close = more.to_owned();
            }
            return Some(tags);
        }
        let behind = new.strip_prefix(before)?;
        let tags = self.forms.opened(tags);
        behind.contains(first_tag(close).unwrap_or(close)).then_some(tags)
    }

    /// From answers that they are cut out of.
    fn by_content(&self, source: &str) -> Option<OwnedTags> {
        let tried: BTreeSet<_> = literals(source).into_iter().take(TRIED).collect();
        let close = tried.into_iter().find(|close| self.strip(close).is_some())?;
        let strip = self.strip(close)?;
        let open = opening(close).unwrap_or_default();
        let tags = OwnedTags { open, close: close.to_owned(), strip, ..OwnedTags::default() };
        Some(self.forms.opened(tags))
    }

    /// The space that is stripped between thoughts and answer; `None` if thoughts that end so are
    /// not cut out.
    fn strip(&self, close: &str) -> Option<Strip> {
        let plain = self.past(ANSWER)?;
        let open = opening(close).unwrap_or_default();
        let cut = |space: &str| {
            let content = format!("{open}{THOUGHT}{close}{space}{ANSWER}");
            self.past(&content).is_some_and(|past| past == plain)
        };
        match () {
            () if !cut("") => None,
            () if cut("\n \n") => Some(Strip::START),
            () if cut("\n\n") => Some(Strip::START_LINES),
            () => Some(Strip::default()),
        }
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// Strings of a template's source that look like a tag.
fn literals(source: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for quote in ['\'', '"'] {
        let strings = source.split(quote);
        found.extend(strings.filter(|text| {
            let ends = text.starts_with(['<', '[']) && text.ends_with(['>', ']']);
            ends && TAG.contains(&text.len()) && !text.contains('\n')
        }));
    }
    found
}

/// The tag that a text begins with.
fn first_tag(text: &str) -> Option<&str> {
    let end = match text.as_bytes().first()? {
        b'<' => '>',
        b'[' => ']',
        _ => return None,
    };
    text.find(end).map(|at| &text[..=at])
}

/// The tag that ends what this one begins.
fn closing(open: &str) -> Option<String> {
    if open.starts_with("</") || open.starts_with("[/") || open.contains("END") {
        return None;
    }
    if open.contains("START") {
        return Some(open.replace("START", "END"));
    }
    let (bracket, name) = open.split_at_checked(1)?;
    match name.strip_prefix('|').and_then(|name| name.strip_suffix('>')) {
        Some(name) if !name.ends_with('|') => Some(format!("<{name}|>")),
        Some(_) => None,
        None if name.ends_with("|>") => None,
        None => Some(format!("{bracket}/{name}")),
    }
}

/// The tag that begins what this one ends.
fn opening(close: &str) -> Option<String> {
    let close = first_tag(close)?;
    if close.contains("END") {
        return Some(close.replace("END", "START"));
    }
    let (bracket, name) = close.split_at_checked(1)?;
    if let Some(name) = name.strip_prefix('/') {
        return Some(format!("{bracket}{name}"));
    }
    let name = name.strip_suffix("|>").filter(|name| !name.starts_with('|'))?;
    Some(format!("<|{name}>"))
}

#[cfg(test)]
mod tests {
    use super::{closing, opening};

    #[test]
    fn tags_come_in_pairs() {
        for (open, close) in [
            ("<think>", "</think>"),
            ("<seed:think>", "</seed:think>"),
            ("[THINK]", "[/THINK]"),
            ("<|START_THINKING|>", "<|END_THINKING|>"),
            ("<|channel>", "<channel|>"),
        ] {
            assert_eq!(closing(open).as_deref(), Some(close));
            assert_eq!(opening(close).as_deref(), Some(open));
            assert_eq!(closing(close), None);
        }
        assert_eq!([closing("<|end|>"), opening("<|end|>"), opening("text")], [None, None, None]);
    }
}
