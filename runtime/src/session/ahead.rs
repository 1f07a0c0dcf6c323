//! Tokens that went through the layers before anyone asked for them.
//!
//! Drafts lie in the cache behind the end of the stream, where no query sees them, with the
//! logits after each. Feeding the token that was drafted moves the end past it and costs
//! nothing; feeding another one overwrites them. So a stream with drafts is at every moment
//! the stream without them: the sampler, the penalty and `truncate` need not know.

use core::mem::take;

use super::{FeedError, Session};
use crate::kernels::Machine;
use crate::lookup::{Pace, Text, copy, repeat};

/// What drafting has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Drafts {
    /// Tokens that were drafted and computed.
    pub drafted: u64,
    /// Those of them that then were fed.
    pub accepted: u64,
}

/// Drafts behind the end of the stream.
#[derive(Default)]
pub(super) struct Ahead {
    /// How many are there still.
    pub(super) tokens: usize,
    /// How many of the same step were accepted.
    accepted: usize,
    pace: Pace,
    count: Drafts,
}

impl Ahead {
    /// No drafts, and nothing known about how they fare.
    pub(super) fn anew(&self) -> Self {
        Self { count: self.count, ..Self::default() }
    }
}

impl Session<'_> {
    /// As [`Session::feed`] of one token, which also drafts up to `most` of those that may
    /// follow, at most [`Options::draft`](crate::Options::draft): where the text repeats
    /// itself, feeding them then takes no time. Logits, and so every later choice, are the
    /// same as without.
    pub fn feed_ahead(
        &mut self,
        machine: &Machine<'_>,
        token: u32,
        most: usize,
    ) -> Result<(), FeedError> {
        self.check(&[token])?;
        if self.accept(&[token]) == 0 {
            let guesses = take(&mut self.memory.guesses);
            let drafted = self.draft(token, most, guesses);
            let step = guesses.get(..=drafted).unwrap_or_default();
            self.forward(machine, step);
            if drafted > 0 {
                self.score(machine, 0, step.len());
                self.settle(drafted);
            }
            self.ahead.tokens = drafted;
            self.ahead.count.drafted += drafted as u64;
            self.memory.guesses = guesses;
        }
        Ok(())
    }

    /// What drafting has come to since the session was made.
    pub fn drafts(&self) -> Drafts {
        self.ahead.count
    }

    /// Moves the end of the stream past those of `tokens` that are there already; returns how
    /// many. The first that differs ends the drafts.
    pub(super) fn accept(&mut self, tokens: &[u32]) -> usize {
        let drafts = (self.len..).take(self.ahead.tokens).map(|i| self.rings.whole.slot(i));
        let drafts = drafts.filter_map(|slot| self.memory.tokens.get(slot));
        let known = drafts.zip(tokens).take_while(|(draft, token)| draft == token).count();
        self.len += known as u64;
        self.last = self.last.map(|row| row + known);
        self.scored = self.scored.map(|row| row + known);
        self.ahead.tokens -= known;
        self.ahead.accepted += known;
        self.ahead.count.accepted += known as u64;
        if known < tokens.len() {
            self.drop_drafts();
        }
        known
    }

    /// Forgets the drafts that were not accepted.
    pub(super) fn drop_drafts(&mut self) {
        let Ahead { tokens, accepted, pace, .. } = &mut self.ahead;
        pace.learn(*accepted, *tokens);
        (*tokens, *accepted) = (0, 0);
    }

    /// Puts `token` and what may follow it into `guesses`; returns how many follow.
    fn draft(&mut self, token: u32, most: usize, guesses: &mut [u32]) -> usize {
        let Some((first, rest)) = guesses.split_first_mut() else { return 0 };
        *first = token;
        if let Some(slot) = self.memory.tokens.get_mut(self.rings.whole.slot(self.len)) {
            *slot = token;
        }
        let text = Text(
            self.rings
                .whole
                .slots_seen(self.len)
                .map(|slots| self.memory.tokens.get(slots).unwrap_or_default()),
        );
        let Some(repeat) = repeat(text) else { return 0 };
        let most = most.min(self.positions_left().saturating_sub(1));
        let n = self.ahead.pace.drafts(repeat.len).min(most).min(rest.len());
        copy(text, repeat, rest.get_mut(..n).unwrap_or_default());
        n
    }

    /// The stream ends where it did before the drafts.
    fn settle(&mut self, drafted: usize) {
        self.len -= drafted as u64;
        (self.last, self.scored) = (Some(0), Some(0));
    }
}
