//! What a chat template writes around the messages, from a program in the model file.
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

use heapless::Vec;

/// A place in a conversation.
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
    /// Where the model is to begin an answer.
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
pub type Pieces<'a> = Vec<Piece<'a>, 5>;

/// The template writes nothing for this order of steps, or refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NoSuchTurn {
    /// The step that came before.
    pub from: Step,
    /// The step that cannot follow.
    pub to: Step,
}

/// Why a model cannot chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChatUnavailable<'m> {
    /// The converter's reason: no template, or one that is not of this form.
    Reason(&'m str),
    /// The section is not one that this version reads.
    BadSection,
}

/// A chat program over a section of the model file.
#[derive(Clone, Copy, Debug)]
pub struct Chat<'m> {
    section: &'m [u8],
}

impl<'m> Chat<'m> {
    /// Reads the section.
    pub fn new(section: &'m [u8]) -> Result<Self, ChatUnavailable<'m>> {
        let _ = section;
        Err(ChatUnavailable::BadSection)
    }

    /// The text that the template writes between two steps that follow each other.
    pub fn gap(&self, from: Step, to: Step) -> Result<&'m str, NoSuchTurn> {
        let _ = self.section;
        Err(NoSuchTurn { from, to })
    }

    /// A message's text as the template writes it: trimmed, if it trims this role.
    pub fn content<'a>(&self, role: Step, text: &'a str) -> &'a str {
        let _ = role;
        text
    }

    /// Whether an empty system message is to the template as none.
    pub fn ignores_empty_system(&self) -> bool {
        false
    }

    /// The first turn, up to where the answer begins.
    pub fn first_turn<'a>(
        &self,
        system: Option<&'a str>,
        message: &'a str,
    ) -> Result<Pieces<'a>, NoSuchTurn>
    where
        'm: 'a,
    {
        let _ = (system, message);
        Err(NoSuchTurn { from: Step::Start, to: Step::User })
    }

    /// A later turn: closes the answer before it, which may have been cut short, and goes
    /// up to where the next answer begins.
    pub fn next_turn<'a>(&self, message: &'a str) -> Result<Pieces<'a>, NoSuchTurn>
    where
        'm: 'a,
    {
        let _ = message;
        Err(NoSuchTurn { from: Step::Assistant, to: Step::User })
    }
}
