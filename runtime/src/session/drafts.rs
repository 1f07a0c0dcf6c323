//! Speculative decoding (arXiv 2211.17192) with drafts from the text itself: tokens that went
//! through the layers before anyone asked for them.
//!
//! Drafts lie in the cache behind the end of the stream, where no query sees them, with the
//! logits after each. Feeding the token that was drafted moves the end past it and costs
//! nothing; feeding another one overwrites them. So a stream with drafts is at every moment
//! the stream without them: the sampler, the penalty and `truncate` need not know.

use core::mem::take;

use super::error::FeedError;
use super::lookup::{Text, copy, repeat};
use super::speculation::{Drafts, Speculation};
use super::stream::Session;
use crate::base::checked::{part, part_mut};
use crate::kernels::Machine;

impl Session<'_> {
    /// As [`Session::feed`] of one token, which also drafts up to `most` of those that may
    /// follow, at most [`Options::draft`](crate::Options::draft): where the text repeats
    /// itself, feeding them then takes no time. Logits, and so every later choice of a token, are the
    /// same as without.
    ///
    /// # Errors
    /// As [`Session::feed`].
    pub fn feed_speculative(
        &mut self,
        machine: &Machine<'_>,
        token: u32,
        most: usize,
    ) -> Result<(), FeedError> {
        self.check(&[token])?;
        if self.memory.draft_tokens.is_empty() {
            // An executor has panicked in here, and somebody goes on nevertheless.
            return self.feed(machine, &[token]);
        }
        if self.accept(&[token]) == 0 {
            let draft_tokens = take(&mut self.memory.draft_tokens);
            let drafted = self.draft(token, most, draft_tokens);
            let batch = part(draft_tokens, ..=drafted);
            self.forward(machine, batch);
            if drafted > 0 {
                self.score(machine, 0, batch.len());
                self.roll_back(drafted);
            }
            self.speculation.tokens = drafted;
            self.speculation.count.drafted += drafted as u64;
            self.memory.draft_tokens = draft_tokens;
        }
        Ok(())
    }

    /// Drafted and accepted tokens since the session was made.
    pub fn drafts(&self) -> Drafts {
        self.speculation.count
    }

    /// Moves the end of the stream past those of `tokens` that are there already; returns how
    /// many. The first that differs ends the drafts.
    pub(super) fn accept(&mut self, tokens: &[u32]) -> usize {
        let drafts = (self.len..).take(self.speculation.tokens).map(|i| self.rings.whole.slot(i));
        let drafts = drafts.filter_map(|slot| self.memory.tokens.get(slot));
        let known = drafts.zip(tokens).take_while(|(draft, token)| draft == token).count();
        self.len += known as u64;
        self.last = self.last.map(|row| row + known);
        self.scored = self.scored.map(|row| row + known);
        self.speculation.tokens -= known;
        self.speculation.accepted += known;
        self.speculation.count.accepted += known as u64;
        if known < tokens.len() {
            self.drop_drafts();
        }
        known
    }

    /// Forgets the drafts that were not accepted.
    pub(super) fn drop_drafts(&mut self) {
        let Speculation { tokens, accepted, pace, .. } = &mut self.speculation;
        pace.learn(*accepted, *tokens);
        (*tokens, *accepted) = (0, 0);
    }

    /// Puts `token` and what may follow it into `draft_tokens`; returns how many follow.
    fn draft(&mut self, token: u32, most: usize, draft_tokens: &mut [u32]) -> usize {
        let Some((first, rest)) = draft_tokens.split_first_mut() else { return 0 };
        *first = token;
        if let Some(slot) = self.memory.tokens.get_mut(self.rings.whole.slot(self.len)) {
            *slot = token;
        }
        let text = Text(
            self.rings.whole.slots_seen(self.len).map(|slots| part(self.memory.tokens, slots)),
        );
        let Some(repeat) = repeat(text) else { return 0 };
        let most = most.min(self.positions_left().saturating_sub(1));
        let n = self.speculation.pace.drafts(repeat.len).min(most).min(rest.len());
        copy(text, repeat, part_mut(rest, ..n));
        n
    }

    /// Moves the end of the stream back to where it was before the drafts.
    fn roll_back(&mut self, drafted: usize) {
        self.len -= drafted as u64;
        (self.last, self.scored) = (Some(0), Some(0));
    }
}
