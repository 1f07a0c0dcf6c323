//! The text that a chat template writes around messages, from a program in the model file.
//!
//! The converter has rendered the template on many conversations and found that it
//! writes fixed text between one step and the next. So the program is a table of gaps:
//! the text from each [`Step`] to each other. A prompt is gaps and contents in turn:
//!
//! ```text
//! gap(Start, System) system gap(System, User) message gap(User, Generation) answer
//! gap(Assistant, User) message gap(User, Generation) answer …
//! ```
//!
//! Gaps are the template's own text, in which special tokens are special; contents are
//! not to be trusted. Adjacent pieces are one text to the tokenizer, except that an
//! answer is the ids that were generated. What closes an answer is the beginning of
//! the next gap, so an answer that was cut short is closed like any other.
//!
//! Some models think before they answer ([`Thinking`]): in a message of its own, before a mark
//! that they write themselves where the answer begins, or between tags, of which the template may write the first
//! behind [`Step::User`] where an answer is wanted. An [`AnswerFilter`] tells the one from
//! the other. Some templates ask for the date, which the board knows or does not.

mod filter;
mod mark;
mod part;
mod strip;
mod tags;
mod thinking;

use core::fmt;

use heapless::Vec;

pub use filter::AnswerFilter;
pub(super) use filter::{AnswerStart, answer_start};
pub use part::AnswerPart;
use strip::is_python_space;
pub use strip::{Strip, python_strip};
pub use thinking::{Tags, Thinking};

/// The role of a message, or a boundary of the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Step {
    /// Before the first message.
    Start = 0,
    /// A message that instructs the model.
    System = 1,
    /// A message to the model.
    User = 2,
    /// An answer of the model.
    Assistant = 3,
    /// The place where the model is to begin an answer.
    Generation = 4,
    /// After the last message, when no answer is wanted.
    End = 5,
}

/// A part of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The text.
    pub text: &'a str,
    /// Whether special tokens in it are meant.
    pub trusted: bool,
}

/// The pieces of one turn, to be concatenated.
pub type Pieces<'a> = Vec<Piece<'a>, 7>;

/// The template writes nothing for this order of steps, or refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NoSuchTurn {
    /// The step that came before.
    pub from: Step,
    /// The step that cannot follow.
    pub to: Step,
}

impl fmt::Display for NoSuchTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to } = self;
        write!(f, "the chat template has no place for {to:?} after {from:?}")
    }
}

impl core::error::Error for NoSuchTurn {}

/// The reason why a model cannot chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChatUnavailable<'m> {
    /// The converter's reason: no template, or one that is not of this form.
    Reason(&'m str),
    /// The section is not one that this version reads.
    BadSection,
}

impl fmt::Display for ChatUnavailable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reason(reason) => f.write_str(reason),
            Self::BadSection => f.write_str("its chat program is not one this version reads"),
        }
    }
}

impl core::error::Error for ChatUnavailable<'_> {}

/// Version of the section.
pub const VERSION: u32 = 1;
/// Version of a section with a flag that version 1 did not know.
pub const VERSION_AFTER_SYSTEM: u32 = 2;
/// Version of a section with a flag that version 2 did not know.
pub const VERSION_THINKING: u32 = 3;
/// Version of a section with a flag that version 3 did not know, and with [`MORE`] words.
pub const VERSION_TAGS: u32 = 4;
/// Flag: there is a program; without it the text is the reason why not.
pub const PROGRAM: u32 = 1;
/// Flag: an empty system message is to the template as none.
pub const IGNORES_EMPTY_SYSTEM: u32 = 2;
/// Flag of the role [`Step::System`] that its contents are trimmed; shifted left by one
/// for each later role.
pub const TRIMS_SYSTEM: u32 = 4;
/// Flag: a message right behind a system message, which it is one text with to the template, is
/// trimmed at its end only.
pub const TRIMS_END_AFTER_SYSTEM: u32 = 32;
/// Flag: the model thinks before it answers. The gap before a past answer is that before a new
/// one and then the mark behind which the model itself writes what is meant to be read.
pub const MARKS_ANSWERS: u32 = 64;
/// Flag: [`DATE`] stands in gaps behind [`Step::Start`], the only ones where it is looked for.
pub const ASKS_DATE: u32 = 128;
/// Flag: the model thinks between tags, or its past answers have another form than new ones.
pub const TAGGED: u32 = 256;
/// Flag: the template begins the thoughts of an answer.
pub const BEGINS_THOUGHTS: u32 = 512;
/// Flag: the template leaves thoughts in past answers.
pub const KEEPS_THOUGHTS: u32 = 1024;
/// Flag: the template has no place for a system message without text.
pub const NEEDS_SYSTEM: u32 = 2048;
/// Flag: the template has no place for an answer without text.
pub const NEEDS_ANSWER: u32 = 4096;
/// Words of [`VERSION_TAGS`] behind the gaps: start and length of the tag that begins thoughts and of
/// the one that ends them, then what is stripped ([`Strip`]) off system, user and assistant messages and
/// between thoughts and answer, from the lowest bits on; and one that is 0.
pub const MORE: usize = 6;
/// Stands for the date, of a form like 2026-01-31. Where there is none, its line is left out.
pub const DATE: char = '\u{E002}';
/// Steps, each of which has a row and a column in the table of gaps.
pub const STEPS: usize = 6;
/// Length of a gap that there is not.
pub const NO_GAP: u32 = u32::MAX;

/// Whether sections of [`VERSION_THINKING`] are read.
const THINKING: bool = cfg!(feature = "thinking");

/// A chat program over a section of the model file.
///
/// The section is `version u32, flags u32`, then [`STEPS`] × [`STEPS`] × `{ start u32,
/// len u32 }` (a row for each step before the gap, a column for each one after it), then
/// [`MORE`] words if the version has them, then the text that these speak of.
#[derive(Clone, Copy, Debug)]
pub struct Chat<'m> {
    date: Option<&'m str>,
    flags: u32,
    gaps: &'m [[u8; 8]],
    /// Spans of the tags.
    tags: [u64; 2],
    strips: u32,
    text: &'m [u8],
}

impl<'m> Chat<'m> {
    /// Reads the section.
    ///
    /// # Errors
    /// [`ChatUnavailable`]: the model has no template, or one that this build has no words for.
    pub fn new(section: &'m [u8]) -> Result<Self, ChatUnavailable<'m>> {
        let chat = Self::read(section).ok_or(ChatUnavailable::BadSection)?;
        if chat.flags & PROGRAM == 0 {
            let reason =
                core::str::from_utf8(chat.text).map_err(|_| ChatUnavailable::BadSection)?;
            return Err(ChatUnavailable::Reason(reason));
        }
        // A mark that never comes would make all that is said a thought.
        let marks = THINKING && chat.flags & MARKS_ANSWERS != 0;
        if marks && chat.mark().is_none_or(str::is_empty) {
            return Err(ChatUnavailable::BadSection);
        }
        if chat.flags & TAGGED != 0 && chat.tags().is_none_or(|tags| !is_whole(tags)) {
            return Err(ChatUnavailable::BadSection);
        }
        Ok(chat)
    }

    fn read(section: &'m [u8]) -> Option<Self> {
        let (version, rest) = section.split_first_chunk()?;
        let (flags, rest) = rest.split_first_chunk()?;
        let (gaps, text) = rest.split_at_checked(8 * STEPS * STEPS)?;
        let flags = u32::from_le_bytes(*flags);
        let version = u32::from_le_bytes(*version);
        let tagged = version == VERSION_TAGS;
        let (more, text) = text.split_at_checked(if tagged { 4 * MORE } else { 0 })?;
        let mut words = more.as_chunks().0.iter().map(|&word| u64::from(u32::from_le_bytes(word)));
        let mut word = || words.next().unwrap_or(0);
        let tags = [(); 2].map(|()| word() | word() << 32);
        let (strips, reserved) = (word() as u32, word());
        let known = match version {
            VERSION => flags < TRIMS_END_AFTER_SYSTEM,
            VERSION_AFTER_SYSTEM => {
                flags & TRIMS_END_AFTER_SYSTEM != 0 && flags < 2 * TRIMS_END_AFTER_SYSTEM
            }
            VERSION_THINKING if THINKING => (MARKS_ANSWERS..2 * ASKS_DATE).contains(&flags),
            // A mark and tags exclude each other.
            VERSION_TAGS => {
                let none = if THINKING { MARKS_ANSWERS } else { MARKS_ANSWERS | ASKS_DATE };
                let needed = flags >= TAGGED || strips != 0;
                flags < 2 * NEEDS_ANSWER && flags & none == 0 && needed && reserved == 0
            }
            _ => false,
        };
        let gaps = gaps.as_chunks().0;
        known.then_some(Self { date: None, flags, gaps, tags, strips, text })
    }

    /// The same with a date, for templates that ask for it.
    pub fn dated(self, date: Option<&'m str>) -> Self {
        Self { date, ..self }
    }

    /// The mark before the text of an answer, if the model thinks before it answers.
    pub fn mark(&self) -> Option<&'m str> {
        let past = self.find_gap(Step::User, Step::Assistant)?;
        let new = self.find_gap(Step::User, Step::Generation)?;
        past.strip_prefix(new).filter(|_| self.flags & MARKS_ANSWERS != 0)
    }

    /// The tags or the mark that the model's thoughts stand between, if it thinks before it answers.
    pub fn thinking(&self) -> Thinking<'m> {
        self.tags().map_or_else(|| self.mark().into(), Thinking::Tags)
    }

    fn tags(&self) -> Option<Tags<'m>> {
        let [open, close] = self.tags;
        let flag = |flag| self.flags & flag != 0;
        let tags = Tags {
            open: self.span(open)?,
            close: self.span(close)?,
            begun: flag(BEGINS_THOUGHTS),
            kept: flag(KEEPS_THOUGHTS),
            strip: self.strip(THOUGHTS),
        };
        flag(TAGGED).then_some(tags)
    }

    /// Space that is stripped off the start of answers without thoughts.
    pub(super) fn starts_stripped(&self) -> Strip {
        let place = Step::Assistant as u32 - Step::System as u32;
        let trims = self.flags & TRIMS_SYSTEM << place != 0;
        if trims { Strip::START } else { self.strip(place) }
    }

    /// Space that is stripped off the text with this place in the word for it.
    fn strip(&self, place: u32) -> Strip {
        Strip::from_bits(self.strips >> (place * Strip::WIDTH))
    }

    /// The text before a new answer, and that before a past one.
    pub(super) fn before_answers(&self) -> Option<[&'m str; 2]> {
        let before = |to| self.find_gap(Step::User, to);
        before(Step::Generation).zip(before(Step::Assistant)).map(<[_; 2]>::from)
    }

    /// The text that the template writes between two steps that follow each other.
    fn gap(&self, from: Step, to: Step) -> Result<&'m str, NoSuchTurn> {
        self.find_gap(from, to).ok_or(NoSuchTurn { from, to })
    }

    fn find_gap(&self, from: Step, to: Step) -> Option<&'m str> {
        let entry = u64::from_le_bytes(*self.gaps.get(from as usize * STEPS + to as usize)?);
        self.span(entry)
    }

    /// The text from a start, in the lower half, of a length in the upper one.
    fn span(&self, entry: u64) -> Option<&'m str> {
        let (start, len) = (entry as u32, (entry >> 32) as u32);
        let end = (start as usize).checked_add(len as usize)?;
        let text = self.text.get(start as usize..end).filter(|_| len != NO_GAP)?;
        core::str::from_utf8(text).ok()
    }

    /// A gap in one piece; behind [`Step::Start`] in three with the date, or two without its line.
    fn write(&self, from: Step, gap: &'m str, out: &mut dyn FnMut(Piece<'m>)) {
        let mut out = |text| out(Piece { text, trusted: true });
        if !THINKING || self.flags & ASKS_DATE == 0 || from != Step::Start {
            return out(gap);
        }
        let Some((before, after)) = gap.split_once(DATE) else { return out(gap) };
        let Some(date) = self.date else {
            let before = before.rsplit_once('\n').map_or("", |(lines, _)| lines);
            // The end of the line before stays, and that of this one goes.
            out(before);
            return out(after.find('\n').and_then(|end| after.get(end..)).unwrap_or_default());
        };
        [before, date, after].into_iter().for_each(out);
    }

    /// A message's text as the template writes it: trimmed, if it trims this role.
    pub fn content<'a>(&self, role: Step, text: &'a str) -> &'a str {
        let Some(place) = (role as u32).checked_sub(Step::System as u32) else { return text };
        let trims = self.flags & TRIMS_SYSTEM << place != 0 && place < THOUGHTS;
        let text = if trims { python_strip(text) } else { text };
        if place < THOUGHTS { self.strip(place).apply(text) } else { text }
    }

    /// [`content`](Self::content) of a message that follows that of another role.
    pub fn content_after<'a>(&self, from: Step, role: Step, text: &'a str) -> &'a str {
        let joined = (from, role) == (Step::System, Step::User);
        if joined && self.flags & TRIMS_END_AFTER_SYSTEM != 0 {
            return text.trim_end_matches(is_python_space);
        }
        self.content(role, text)
    }

    /// Whether an empty system message is to the template as none.
    pub fn ignores_empty_system(&self) -> bool {
        self.flags & IGNORES_EMPTY_SYSTEM != 0
    }

    /// The pieces of a whole conversation: messages with their roles, then [`Step::Generation`]
    /// if an answer is wanted or [`Step::End`] if not.
    ///
    /// # Errors
    /// [`NoSuchTurn`] where the template has no place for a message; pieces before it were handed out.
    pub fn conversation<'a>(
        &self,
        messages: impl IntoIterator<Item = (Step, &'a str)>,
        last: Step,
        out: &mut dyn FnMut(Piece<'a>),
    ) -> Result<(), NoSuchTurn>
    where
        'm: 'a,
    {
        let mut from = Step::Start;
        for (role, text) in messages {
            let text = self.content_after(from, role, text);
            if role == Step::System && text.is_empty() && self.ignores_empty_system() {
                continue;
            }
            let needs = match role {
                Step::System => NEEDS_SYSTEM,
                Step::Assistant => NEEDS_ANSWER,
                _ => 0,
            };
            if self.flags & needs != 0 && python_strip(text).is_empty() {
                return Err(NoSuchTurn { from, to: role });
            }
            self.write(from, self.gap(from, role)?, out);
            out(Piece { text, trusted: false });
            from = role;
        }
        self.write(from, self.gap(from, last)?, out);
        Ok(())
    }

    /// The first turn, up to where the answer begins.
    ///
    /// # Errors
    /// [`NoSuchTurn`] if the template begins no conversation so.
    pub fn first_turn<'a>(
        &self,
        system: Option<&'a str>,
        message: &'a str,
    ) -> Result<Pieces<'a>, NoSuchTurn>
    where
        'm: 'a,
    {
        let mut pieces = Pieces::new();
        let messages = system.map(|text| (Step::System, text)).into_iter();
        let messages = messages.chain([(Step::User, message)]);
        self.conversation(messages, Step::Generation, &mut |piece| {
            let _ = pieces.push(piece); // Two messages, three gaps, a date that parts one: seven.
        })?;
        Ok(pieces)
    }

    /// The part of the first turn that a pinned prompt keeps: the whole system turn; without a system
    /// message all that the template writes before the first message, its own one included.
    ///
    /// # Errors
    /// [`NoSuchTurn`] if the template has no system turn.
    pub fn system_turn<'a>(&self, system: Option<&'a str>) -> Result<Pieces<'a>, NoSuchTurn>
    where
        'm: 'a,
    {
        let mut pieces = Pieces::new();
        let mut out = |piece| {
            let _ = pieces.push(piece); // A message, two gaps, a date that parts one: five.
        };
        let text = system.map(|text| self.content(Step::System, text));
        let Some(text) = text.filter(|text| !(text.is_empty() && self.ignores_empty_system()))
        else {
            self.write(Step::Start, self.gap(Step::Start, Step::User)?, &mut out);
            return Ok(pieces);
        };
        let before = self.gap(Step::Start, Step::System)?;
        // What closes it is also where a conversation of nothing else ends.
        let after = self.gap(Step::System, Step::User)?;
        let end = self.find_gap(Step::System, Step::End);
        let after = end.filter(|end| after.starts_with(end)).unwrap_or(after);
        self.write(Step::Start, before, &mut out);
        out(Piece { text, trusted: false });
        self.write(Step::System, after, &mut out);
        Ok(pieces)
    }

    /// A later turn: closes the answer before it, which may have been cut short, and goes
    /// up to where the next answer begins.
    ///
    /// # Errors
    /// [`NoSuchTurn`] if the template ends after one answer.
    pub fn next_turn<'a>(&self, message: &'a str) -> Result<Pieces<'a>, NoSuchTurn>
    where
        'm: 'a,
    {
        let before = self.gap(Step::Assistant, Step::User)?;
        let after = self.gap(Step::User, Step::Generation)?;
        let text = self.content(Step::User, message);
        let pieces = [
            Piece { text: before, trusted: true },
            Piece { text, trusted: false },
            Piece { text: after, trusted: true },
        ];
        Ok(pieces.into_iter().collect())
    }
}

/// Place among what is stripped of the space between thoughts and answer, behind those of the roles.
const THOUGHTS: u32 = 3;

/// Whether tags can be told from one another; one that opens what nothing ends would make all that is said
/// a thought.
fn is_whole(tags: Tags<'_>) -> bool {
    let needs_close = tags.begun || !tags.open.is_empty();
    if tags.close.is_empty() { !needs_close } else { tags.open != tags.close }
}
