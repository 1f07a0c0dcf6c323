//! Everything that a chat program knows of the thoughts of its model.

use super::strip::Strip;

/// The place where an answer begins, for a model that thinks before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Thinking<'m> {
    /// The model does not think, or nobody takes out what it thinks.
    #[default]
    No,
    /// Behind a mark of the format called harmony, in a message of its own.
    Mark(&'m str),
    /// Behind the tag that ends the thoughts.
    Tags(Tags<'m>),
}

/// Tags around thoughts, which need not be special tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tags<'m> {
    /// The tag that begins thoughts; empty if the model never writes it.
    pub open: &'m str,
    /// The tag that ends them; empty if there are none, but past answers have another form.
    pub close: &'m str,
    /// Whether an answer begins with thoughts, which the template has opened.
    pub begun: bool,
    /// Whether the template leaves thoughts in past answers.
    pub kept: bool,
    /// Space between thoughts and answer that past answers are without.
    pub strip: Strip,
}

/// The smallest part of the context that is worth a saved state: less is read again.
const WORTH_SAVING: u64 = 2;

impl Thinking<'_> {
    /// Whether the state of a session of this length and context, to which a turn has just been fed, should
    /// be saved for
    /// [`Conversation::forget_thoughts`](crate::text::conversation::Conversation::forget_thoughts).
    /// Up to half of a context is sooner read again, if the ring comes round at all.
    pub fn wants_state(&self, len: u64, context: usize) -> bool {
        match self {
            Self::No => false,
            Self::Mark(_) => true,
            Self::Tags(_) => len >= context as u64 / WORTH_SAVING,
        }
    }
}

impl<'m> From<Option<&'m str>> for Thinking<'m> {
    fn from(mark: Option<&'m str>) -> Self {
        mark.map_or(Self::No, Self::Mark)
    }
}
