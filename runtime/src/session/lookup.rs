//! Draft tokens, looked up in the text that came before.
//!
//! Summaries, edits and quotations repeat their source. Where the last tokens of a text stood
//! before, what followed them there is drafted, all of it is fed in one pass, and the part
//! that the model then says itself is kept: prompt lookup decoding (A. Saxena, 2023; LLMA,
//! arXiv 2304.04487). No second model, no training, and no memory but the text.

/// The visible text, in order, in up to three pieces: sinks, and a window that may wrap.
#[derive(Clone, Copy)]
pub(crate) struct Text<'t>(pub(crate) [&'t [u32]; 3]);

impl<'t> Text<'t> {
    fn len(&self) -> usize {
        self.0.iter().map(|piece| piece.len()).sum()
    }

    fn get(&self, mut i: usize) -> Option<u32> {
        for piece in self.0 {
            match piece.get(i) {
                Some(token) => return Some(*token),
                None => i -= piece.len(),
            }
        }
        None
    }

    pub(crate) fn tokens(&self) -> impl DoubleEndedIterator<Item = u32> + use<'t> {
        self.0.into_iter().flatten().copied()
    }

    /// Number of tokens before index `a` that are also those before `b`, up to `most`.
    fn common(&self, a: usize, b: usize, most: usize) -> usize {
        let same = |back: &usize| {
            let at = |end: usize| end.checked_sub(*back).and_then(|i| self.get(i));
            at(a).is_some_and(|token| at(b) == Some(token))
        };
        (1..=most).take_while(same).count()
    }
}

/// An earlier place in a text that ends as the text does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Repeat {
    /// Index of what followed there.
    pub(crate) next: usize,
    /// Number of tokens before it that are the same.
    pub(crate) len: usize,
}

/// Longer repeats are taken for equal: more agreement promises nothing more.
const LONG: usize = 16;

/// The longest repeat of the end of `text`; of equal ones the latest.
pub(crate) fn repeat(text: Text<'_>) -> Option<Repeat> {
    let end = text.len();
    let last = text.tokens().next_back()?;
    let mut best = None;
    for (next, token) in (1..end).rev().zip(text.tokens().rev().skip(1)) {
        if token != last {
            continue;
        }
        let len = text.common(next, end, LONG);
        if best.is_none_or(|best: Repeat| len > best.len) {
            best = Some(Repeat { next, len });
        }
        if len == LONG {
            break;
        }
    }
    best
}

/// Fills `draft` with what followed the repeat; past the end of the text with what is drafted
/// already, so that a loop goes on as a loop.
pub(crate) fn copy(text: Text<'_>, repeat: Repeat, draft: &mut [u32]) {
    let end = text.len();
    for i in 0..draft.len() {
        let from = repeat.next + i;
        let token = text.get(from).or_else(|| draft.get(from - end).copied());
        if let Some(slot) = draft.get_mut(i) {
            *slot = token.unwrap_or_default();
        }
    }
}

/// The number of tokens to draft: a wrong draft costs a good part of what a right one saves.
///
/// The longer the repeat, the more is drafted, and the more the last drafts have failed, the
/// longer a repeat must be. `docs/internals/decisions.md` has the measurements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Tokens by which a repeat must be longer than [`LEAST`]: grows with failure.
    caution: usize,
    /// Drafts at most: grows with success.
    reach: usize,
}

/// Tokens that must agree for a draft at the best of times.
const LEAST: usize = 2;
/// Caution beyond this would not find its way back.
const MAX_CAUTION: usize = 6;

impl Default for Pace {
    fn default() -> Self {
        Self { caution: 0, reach: 1 }
    }
}

impl Pace {
    /// The number of tokens to draft behind a repeat of `len`.
    pub(crate) fn drafts(&self, len: usize) -> usize {
        match len.checked_sub(LEAST + self.caution) {
            None => 0,
            Some(_) if len >= LONG => self.reach,
            Some(more) => self.reach.min(more + 1),
        }
    }

    /// Takes account of drafts of which these many were right and wrong.
    pub(crate) fn learn(&mut self, accepted: usize, rejected: usize) {
        match (accepted, rejected) {
            (0, 0) => {}
            (_, 0) => {
                self.caution = self.caution.saturating_sub(1);
                self.reach = self.reach.saturating_mul(2).saturating_add(1);
            }
            _ => {
                self.caution = MAX_CAUTION.min(self.caution + usize::from(accepted == 0));
                self.reach = 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The repeat of a text in three pieces, cut at `a` and `b`.
    fn found(text: &[u32], a: usize, b: usize) -> Option<(usize, usize)> {
        let (head, tail) = text.split_at(b);
        let (head, middle) = head.split_at(a);
        repeat(Text([head, middle, tail])).map(|r| (r.next, r.len))
    }

    #[test]
    fn the_longest_repeat_is_found_and_of_equals_the_latest() {
        let text = [7, 1, 2, 3, 9, 2, 3, 8, 4, 2, 3, 6, 1, 2, 3];
        for (a, b) in [(0, 0), (1, 4), (3, 3), (5, 14), (15, 15)] {
            assert_eq!(found(&text, a, b), Some((4, 3)));
            assert_eq!(found(text.split_at(11).0, a.min(11), b.min(11)), Some((7, 2)));
        }
        assert_eq!(found(&[1, 2, 3], 0, 3), None);
        assert_eq!(found(&[], 0, 0), None);
        assert_eq!(found(&[5, 5], 1, 1), Some((1, 1)));
    }

    #[test]
    fn a_loop_is_drafted_on() {
        let text = [&[1, 2, 3, 1, 2][..], &[3, 1, 2], &[]];
        let mut draft = [0; 7];
        if let Some(repeat) = repeat(Text(text)) {
            copy(Text(text), repeat, &mut draft);
        }
        assert_eq!(draft, [3, 1, 2, 3, 1, 2, 3]);
    }

    #[test]
    fn failure_slows_drafting_and_success_speeds_it_up() {
        let mut pace = Pace::default();
        assert_eq!((pace.drafts(1), pace.drafts(2), pace.drafts(LONG)), (0, 1, 1));
        pace.learn(1, 0);
        pace.learn(3, 0);
        assert_eq!((pace.drafts(2), pace.drafts(4), pace.drafts(LONG)), (1, 3, 7));
        for _ in 0..20 {
            pace.learn(0, 1);
        }
        assert_eq!((pace.drafts(7), pace.drafts(8)), (0, 1), "long repeats are always tried");
    }
}
