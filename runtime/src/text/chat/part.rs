//! Parts of an answer.

/// A part of an answer, to which bytes of it belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerPart {
    /// The text that is meant to be read.
    Answer,
    /// Thoughts of the model before it.
    Thought,
    /// Neither of them: a special token, a tag, or a word between two of them.
    Markup,
}
