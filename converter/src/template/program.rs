//! The chat program as it is derived, and its section.

use oarlock::chat::{
    ASKS_DATE, BEGINS_THOUGHTS, Chat, DATE, IGNORES_EMPTY_SYSTEM, KEEPS_THOUGHTS, MARKS_ANSWERS,
    NEEDS_ANSWER, NEEDS_SYSTEM, NO_GAP, NoSuchTurn, PROGRAM, STEPS, Step, Strip, TAGGED,
    TRIMS_END_AFTER_SYSTEM, TRIMS_SYSTEM, VERSION, VERSION_AFTER_SYSTEM, VERSION_TAGS,
    VERSION_THINKING, python_strip,
};

use super::error::Underivable;
use super::render::Message;

/// A table of gaps, and habits of the template.
#[derive(Clone, Default)]
pub(super) struct ChatProgram {
    /// Gaps by step before and step after.
    gaps: [[Option<String>; STEPS]; STEPS],
    /// Whether contents are trimmed, by role.
    pub trims: [bool; STEPS],
    pub ignores_empty_system: bool,
    /// Whether the message behind a system message is trimmed at its end only.
    pub trims_end_after_system: bool,
    /// Whether a system message is written as the beginning of the first message.
    pub merges_system: bool,
    /// Whether the model writes a mark before its answer.
    pub marks_answers: bool,
    /// Whether gaps at the beginning have a place for the date.
    pub asks_date: bool,
    /// Tags around thoughts.
    pub tags: Option<OwnedTags>,
    /// Whether system messages and answers need text, without which the template writes something else.
    pub needs_text: [bool; 2],
    /// Bits of [`Strip`]: of system, user, assistant messages, and behind thoughts.
    strips: u32,
}

/// [`Tags`](oarlock::chat::Tags) as they are derived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OwnedTags {
    pub open: String,
    pub close: String,
    pub begun: bool,
    pub kept: bool,
    pub strip: Strip,
}

/// Text between a system message and the message that it is merged into.
pub(super) const MERGED: &str = "\n\n";

impl ChatProgram {
    /// Writes system messages, which the template refuses, as its authors do in those of their
    /// templates that take them: as the beginning of the first message.
    pub fn merge_system(&mut self) {
        if let Some(before) = self.gap(Step::Start, Step::User).map(str::to_owned) {
            self.set_gap(Step::Start, Step::System, &before);
            self.set_gap(Step::System, Step::User, MERGED);
            (self.merges_system, self.ignores_empty_system) = (true, true);
        }
    }

    pub fn gap(&self, from: Step, to: Step) -> Option<&str> {
        self.gaps[from as usize][to as usize].as_deref()
    }

    pub fn set_gap(&mut self, from: Step, to: Step, text: &str) {
        self.gaps[from as usize][to as usize] = Some(text.to_owned());
    }

    /// The same, which ends no conversation with an answer.
    pub fn without_last_answer(mut self) -> Self {
        for to in [Step::Generation, Step::End] {
            self.gaps[Step::Assistant as usize][to as usize] = None;
        }
        self
    }

    /// Sets what is stripped off messages of this role.
    pub fn set_strip(&mut self, role: Step, strip: Strip) {
        let place = (role as u32 - Step::System as u32) * Strip::WIDTH;
        self.strips = self.strips & !(15 << place) | strip.bits() << place;
    }

    /// Whether a message is without the text that it needs.
    pub fn lacks_text(&self, messages: &[Message]) -> bool {
        let [system, answer] = self.needs_text;
        messages.iter().any(|message| {
            let needs = match message.role {
                Step::System => system,
                Step::Assistant => answer,
                _ => false,
            };
            needs && python_strip(&message.content).is_empty()
        })
    }

    /// Finds out whether the date is asked for: once, on a line of its own, at the beginning.
    pub fn find_date(&mut self) -> Result<(), Underivable> {
        let dated = |gap: &&Option<String>| gap.as_ref().is_some_and(|gap| gap.contains(DATE));
        let [first, later @ ..] = &self.gaps;
        self.asks_date = first.iter().any(|gap| dated(&gap));
        let on_its_line = |gap: &String| match gap.split_once(DATE) {
            None => true,
            Some((a, b)) => a.contains('\n') && b.contains('\n') && !b.contains(DATE),
        };
        if later.iter().flatten().any(|gap| dated(&gap)) || !first.iter().flatten().all(on_its_line)
        {
            let what = "the template writes the date elsewhere than on one line at the beginning";
            return Err(Underivable(what.into()));
        }
        Ok(())
    }

    /// The section, of the form that [`Chat`] documents.
    pub fn section(&self) -> Vec<u8> {
        let trims = [Step::System, Step::User, Step::Assistant].into_iter();
        let trims = trims.filter(|&role| self.trims[role as usize]);
        let trims = trims.map(|role| TRIMS_SYSTEM << (role as u32 - Step::System as u32));
        let empty = if self.ignores_empty_system { IGNORES_EMPTY_SYSTEM } else { 0 };
        let end = if self.trims_end_after_system { TRIMS_END_AFTER_SYSTEM } else { 0 };
        let marks = if self.marks_answers { MARKS_ANSWERS } else { 0 };
        let date = if self.asks_date { ASKS_DATE } else { 0 };
        let mut text = String::new();
        let gaps = self.gaps.iter().flatten().map(|gap| match gap {
            Some(gap) => {
                text.push_str(gap);
                [(text.len() - gap.len()) as u32, gap.len() as u32]
            }
            None => [0, NO_GAP],
        });
        let gaps: Vec<[u32; 2]> = gaps.collect();
        let flags = PROGRAM | empty | end | marks | date | self.new_flags();
        let more = self.more(&mut text);
        section(trims.fold(flags, |flags, flag| flags | flag), &gaps, &more, &text)
    }

    /// Flags of the newest version.
    fn new_flags(&self) -> u32 {
        let [system, answer] = self.needs_text;
        let tags = self.tags.as_ref();
        let flags = [
            (tags.is_some(), TAGGED),
            (tags.is_some_and(|tags| tags.begun), BEGINS_THOUGHTS),
            (tags.is_some_and(|tags| tags.kept), KEEPS_THOUGHTS),
            (system, NEEDS_SYSTEM),
            (answer, NEEDS_ANSWER),
        ];
        flags.into_iter().filter(|(set, _)| *set).fold(0, |flags, (_, flag)| flags | flag)
    }

    /// The words behind the gaps; none if an older version has all that there is.
    fn more(&self, text: &mut String) -> Vec<u32> {
        if self.new_flags() == 0 && self.strips == 0 {
            return Vec::new();
        }
        let tags = self.tags.clone().unwrap_or_default();
        let mut span = |tag: &str| {
            text.push_str(tag);
            [(text.len() - tag.len()) as u32, tag.len() as u32]
        };
        let spans = [span(&tags.open), span(&tags.close)];
        let strips = self.strips | tags.strip.bits() << (3 * Strip::WIDTH);
        spans.into_iter().flatten().chain([strips, 0]).collect()
    }

    /// Writes a conversation as the runtime does, with [`DATE`] for the date.
    pub fn write(&self, messages: &[Message], open: bool) -> Result<String, NoSuchTurn> {
        let section = self.section();
        let mut date = [0; 4];
        let date = DATE.encode_utf8(&mut date);
        let chat = Chat::new(&section).expect("a section just written is read").dated(Some(date));
        let last = if open { Step::Generation } else { Step::End };
        let mut text = String::new();
        let messages = messages.iter().map(|message| (message.role, message.content.as_str()));
        chat.conversation(messages, last, &mut |piece| text.push_str(piece.text))?;
        Ok(text)
    }
}

/// The section that holds a reason instead of a program.
pub(super) fn unavailable(reason: &str) -> Vec<u8> {
    section(0, &[[0, NO_GAP]; STEPS * STEPS], &[], reason)
}

fn section(flags: u32, gaps: &[[u32; 2]], more: &[u32], text: &str) -> Vec<u8> {
    let version = match flags {
        _ if !more.is_empty() => VERSION_TAGS,
        _ if flags & (MARKS_ANSWERS | ASKS_DATE) != 0 => VERSION_THINKING,
        _ if flags & TRIMS_END_AFTER_SYSTEM != 0 => VERSION_AFTER_SYSTEM,
        _ => VERSION,
    };
    let numbers = [version, flags].into_iter().chain(gaps.iter().flatten().chain(more).copied());
    let mut section: Vec<u8> = numbers.flat_map(u32::to_le_bytes).collect();
    section.extend(text.as_bytes());
    section
}
