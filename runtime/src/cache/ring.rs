//! A ring buffer with attention sinks (arXiv 2309.17453): the slot that each token lies in, and
//! the tokens that each query sees.
//!
//! The visible window and the storage are two things. A query sees the first
//! `sinks` tokens and the newest `window`; the storage holds more, so that a whole
//! chunk can be written before its first query looks, and drafts be taken back.
//!
//! Tokens after the sinks are counted from the first of them: `r = i − sinks`. Tiles
//! and KV splits are aligned in `r`, and the storage is a whole number of tiles, so no
//! tile straddles the wrap and nothing depends on where in the ring it lies.

use core::num::NonZeroU64;
use core::ops::Range;

use crate::format::kv::{KV_SPLIT_KEYS, TILE_KEYS};

const TILE: u64 = TILE_KEYS as u64;
const KV_SPLIT: u64 = KV_SPLIT_KEYS as u64;

/// The geometry of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ring {
    /// First tokens, never overwritten; they lie at slot 0 on.
    pub(crate) sinks: usize,
    /// Newest tokens that a query sees, itself included.
    pub(crate) window: usize,
    /// Slots of the sinks: whole tiles.
    sink_slots: usize,
    /// Slots that tokens after the sinks go round in: whole tiles.
    stored: NonZeroU64,
    /// A query sees no sink that lies this far back, as distances in the cache are counted.
    reach: u64,
}

/// The rings of a session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rings {
    /// The ring of layers that see the whole context.
    pub(crate) whole: Ring,
    /// The ring of layers with a window of their own.
    pub(crate) local: Ring,
}

impl Rings {
    /// Whether both remember, as [`Ring::remembers`] says.
    pub(crate) fn remembers(&self, next: u64, longest: u64) -> bool {
        self.whole.remembers(next, longest) && self.local.remembers(next, longest)
    }
}

/// Tiles next to one another in storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// Slot of the first key of the first tile.
    pub(crate) slot: usize,
    /// Number of slots, whole tiles.
    pub(crate) slots: usize,
    /// `r` of the first key of the first tile.
    pub(crate) first: u64,
}

impl Ring {
    /// A ring of `context` visible tokens with room for `slack` more, or `None` if that
    /// overflows or leaves no room after the sinks.
    pub(crate) fn new(context: usize, sinks: usize, slack: usize) -> Option<Self> {
        let window = context.checked_sub(sinks)?;
        let stored = window.checked_add(slack)?.checked_next_multiple_of(TILE_KEYS)?;
        let stored = NonZeroU64::new(stored as u64)?;
        let sink_slots = sinks.checked_next_multiple_of(TILE_KEYS)?;
        Some(Self { sinks, window, sink_slots, stored, reach: u64::MAX })
    }

    /// The ring of a layer that sees `window` tokens, at least one, in a session of these.
    ///
    /// A key is seen if its distance in the cache is below the window. Where that is no more
    /// than the session's own window, all others could never be seen, and are not kept: not
    /// even sinks.
    pub(crate) fn local(context: usize, sinks: usize, slack: usize, window: usize) -> Option<Self> {
        if window <= context.checked_sub(sinks)? {
            return Self::new(window, 0, slack);
        }
        Some(Self { reach: window as u64, ..Self::new(context, sinks, slack)? })
    }

    /// Slots of the largest ring of a layer that sees `window` tokens, whatever its session's
    /// sinks, which take at most half the context.
    pub(crate) fn max_local_slots(context: usize, slack: usize, window: usize) -> Option<usize> {
        if window <= context - context / 2 {
            return window.checked_add(slack)?.checked_next_multiple_of(TILE_KEYS);
        }
        Self::max_slots(context, slack)
    }

    /// Position of query `i` as the sinks see it: no further from them than a stream reaches
    /// that never grows past the context.
    pub(crate) fn position_for_sinks(&self, i: u64) -> u64 {
        i.min((self.sinks + self.window) as u64 - 1)
    }

    /// Whether the sinks see one of these queries elsewhere than the window does.
    pub(crate) fn is_apart(&self, tokens: Range<u64>) -> bool {
        let last = tokens.end.saturating_sub(1);
        self.sinks > 0 && self.position_for_sinks(last) < last
    }

    /// Slots of the largest ring of this context, whatever its sinks: a reset may
    /// change them. Each of the two regions rounds up by at most a tile less one.
    pub(crate) fn max_slots(context: usize, slack: usize) -> Option<usize> {
        let most = context.checked_add(slack)?.checked_add(2 * (TILE_KEYS - 1))?;
        Some(most - most % TILE_KEYS)
    }

    fn stored(&self) -> usize {
        self.stored.get() as usize
    }

    /// Slot of token `i`.
    pub(crate) fn slot(&self, i: u64) -> usize {
        match i.checked_sub(self.sinks as u64) {
            None => i as usize,
            Some(r) => self.sink_slots + (r % self.stored) as usize,
        }
    }

    /// Number of slots, from the first on, that hold everything left of a stream which was once
    /// `longest` tokens long: whole tiles.
    pub(crate) fn slots_reached(&self, longest: u64) -> usize {
        let reached = match longest.checked_sub(self.sinks as u64) {
            None => longest,
            Some(r) => self.sink_slots as u64 + r.min(self.stored.get()),
        };
        (reached as usize).next_multiple_of(TILE_KEYS)
    }

    /// Whether a stream of `longest` tokens has overwritten none of them.
    pub(crate) fn holds_all(&self, longest: u64) -> bool {
        longest.saturating_sub(self.sinks as u64) <= self.stored.get()
    }

    /// Whether a slot holds a token of a stream of `len`, which was once `longest` tokens long.
    pub(crate) fn is_live(&self, slot: usize, len: u64, longest: u64) -> bool {
        let Some(offset) = slot.checked_sub(self.sink_slots) else {
            return slot < self.sinks && (slot as u64) < len;
        };
        let after_sinks = |i: u64| i.saturating_sub(self.sinks as u64);
        // The newest token of the stream that lies there, if there is one.
        let Some(back) = after_sinks(len).checked_sub(offset as u64 + 1) else { return false };
        let r = offset as u64 + back - back % self.stored;
        r >= after_sinks(longest).saturating_sub(self.stored.get())
    }

    /// The slots of the tokens that query `i` sees, in order: sinks, then the window, which
    /// may wrap.
    pub(crate) fn slots_seen(&self, i: u64) -> [Range<usize>; 3] {
        let seen = self.seen(i);
        let n = (seen.end - seen.start) as usize;
        let first = (seen.start % self.stored) as usize;
        let before_wrap = n.min(self.stored() - first);
        let base = self.sink_slots;
        let window = base + first..base + first + before_wrap;
        [self.sinks_seen(i), window, base..base + n - before_wrap]
    }

    /// The sinks that query `i` sees.
    pub(crate) fn sinks_seen(&self, i: u64) -> Range<usize> {
        let end = (self.sinks as u64).min(i.saturating_add(1));
        let first =
            self.position_for_sinks(i).saturating_add(1).saturating_sub(self.reach).min(end);
        first as usize..end as usize
    }

    /// The `r` of the tokens after the sinks that query `i` sees.
    pub(crate) fn seen(&self, i: u64) -> Range<u64> {
        match i.checked_sub(self.sinks as u64) {
            None => 0..0,
            Some(r) => (r + 1).saturating_sub(self.window as u64)..r + 1,
        }
    }

    /// The `r` that the queries `tokens` see between them.
    pub(crate) fn seen_by(&self, tokens: Range<u64>) -> Range<u64> {
        let newest = self.seen(tokens.end.saturating_sub(1));
        self.seen(tokens.start).start.min(newest.end)..newest.end
    }

    /// Whether everything that query `next` must see is still there, after the stream has
    /// once been `longest` tokens long.
    pub(crate) fn remembers(&self, next: u64, longest: u64) -> bool {
        let after_sinks = |i: u64| i.saturating_sub(self.sinks as u64);
        let overwritten = after_sinks(longest).saturating_sub(self.stored.get());
        // The newest key that it sees is its own.
        let (start, own) = (self.seen(next).start, after_sinks(next));
        start >= overwritten.min(own)
    }

    /// Number of KV splits of the window that the queries `tokens` see between them.
    pub(crate) fn kv_splits(&self, tokens: Range<u64>) -> usize {
        let seen = self.seen_by(tokens);
        if seen.is_empty() {
            0
        } else {
            (kv_split_of(seen.end - 1) - kv_split_of(seen.start)) as usize + 1
        }
    }

    /// The most KV splits that one query can see, that of the sinks included.
    pub(crate) fn max_kv_splits(context: usize) -> usize {
        // A window that is not aligned touches one more than it fills.
        context.div_ceil(KV_SPLIT_KEYS) + 2
    }

    /// The tiles of the sinks, which are a KV split of their own.
    pub(crate) fn sink_run(&self) -> Run {
        Run { slot: 0, slots: self.sink_slots, first: 0 }
    }

    /// The runs of tiles of the `n`th of the KV splits that `tokens` see.
    pub(crate) fn runs(&self, tokens: Range<u64>, n: usize) -> [Option<Run>; 2] {
        let seen = self.seen_by(tokens);
        let kv_split = (kv_split_of(seen.start) + n as u64) * KV_SPLIT;
        let (start, end) = (seen.start.max(kv_split), seen.end.min(kv_split + KV_SPLIT));
        if start >= end {
            return [None, None];
        }
        let first = start / TILE * TILE;
        let slots = ((end - first).div_ceil(TILE) * TILE) as usize;
        let offset = (first % self.stored) as usize;
        // Visible keys are at most as many as are stored, but the tiles they touch may
        // be one more, whose storage is then also that of the first: each tile is read
        // for its own keys only.
        let before_wrap = slots.min(self.stored() - offset);
        let run = |slot, slots, first| Run { slot: self.sink_slots + slot, slots, first };
        let wrapped =
            (slots > before_wrap).then(|| run(0, slots - before_wrap, first + before_wrap as u64));
        [Some(run(offset, before_wrap, first)), wrapped]
    }
}

fn kv_split_of(r: u64) -> u64 {
    r / KV_SPLIT
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rings of odd and even sizes, small enough to be gone round many times.
    fn rings() -> impl Iterator<Item = (usize, usize, Ring)> {
        let shapes = [(2, 0), (2, 1), (33, 4), (64, 32), (65, 32), (100, 50), (1100, 4)];
        let with_slack = shapes.into_iter().flat_map(|(n, s)| [0, 1, 31, 63].map(|k| (n, s, k)));
        with_slack.filter_map(|(n, s, slack)| Some((n, slack, Ring::new(n, s, slack)?)))
    }

    #[test]
    fn what_a_chunk_must_see_is_still_stored() {
        for (_, slack, ring) in rings() {
            for first in 0..3000_u64 {
                let newest = first + slack as u64;
                let seen = ring.sinks_seen(first);
                let sinks = seen.start as u64..seen.end as u64;
                let window = ring.seen(first);
                let (s, end) = (ring.sinks as u64, newest.saturating_sub(ring.sinks as u64) + 1);
                assert!(end - window.start.min(end) <= ring.stored.get());
                assert!(
                    sinks.end <= s
                        && sinks.map(|i| ring.slot(i)).all(|slot| slot < ring.sink_slots || s == 0)
                );
                assert!(ring.remembers(first, newest));
            }
        }
    }

    #[test]
    fn slots_stay_within_the_most_whatever_the_sinks() {
        for context in 2..200 {
            for (sinks, slack) in (0..=context / 2).flat_map(|s| [0, 1, 31, 63].map(|k| (s, k))) {
                let most = Ring::max_slots(context, slack).unwrap_or(0);
                assert!(
                    Ring::new(context, sinks, slack)
                        .is_some_and(|ring| ring.sink_slots + ring.stored() <= most)
                );
            }
        }
    }

    #[test]
    fn slots_reached_are_those_of_all_tokens_and_no_tile_more() {
        for (_, _, ring) in rings() {
            let mut most = 0;
            for longest in 0..3000_u64 {
                assert_eq!(ring.slots_reached(longest), most);
                most = most.max((ring.slot(longest) + 1).next_multiple_of(TILE_KEYS));
            }
        }
    }

    #[test]
    fn live_slots_are_those_of_tokens_that_nothing_has_overwritten() {
        for (_, _, ring) in rings() {
            for longest in (0..3000_u64).step_by(211) {
                for len in [longest / 3, longest.saturating_sub(17), longest] {
                    let first = longest.saturating_sub(ring.sinks as u64 + ring.stored.get());
                    let sinks = 0..len.min(ring.sinks as u64);
                    let kept = (first + ring.sinks as u64).min(len)..len;
                    for slot in 0..ring.slots_reached(longest) {
                        let mut live = sinks.clone().chain(kept.clone()).map(|i| ring.slot(i));
                        let is_live = live.any(|lies| lies == slot);
                        assert_eq!(ring.is_live(slot, len, longest), is_live, "{ring:?} {slot}");
                    }
                }
            }
        }
    }

    #[test]
    fn slots_seen_are_those_of_each_token() {
        for (_, _, ring) in rings() {
            for i in 0..3000_u64 {
                let (sinks, window) = (0..ring.sinks_seen(i).end as u64, ring.seen(i));
                let window = window.start + ring.sinks as u64..window.end + ring.sinks as u64;
                let one_by_one = sinks.chain(window).map(|i| ring.slot(i));
                assert!(ring.slots_seen(i).into_iter().flatten().eq(one_by_one));
            }
        }
    }

    #[test]
    fn runs_cover_what_is_seen_and_lie_where_the_slots_are() {
        for (_, slack, ring) in rings() {
            for first in (0..3000_u64).step_by(7) {
                for span in [first..first + 1, first..first + slack as u64 + 1] {
                    let seen = ring.seen_by(span.clone());
                    let mut next = seen.start / TILE * TILE;
                    for n in 0..ring.kv_splits(span.clone()) {
                        for run in ring.runs(span.clone(), n).into_iter().flatten() {
                            assert_eq!(run.first, next);
                            assert_eq!(run.slot, ring.slot(run.first + ring.sinks as u64));
                            assert!(run.slot + run.slots <= ring.sink_slots + ring.stored());
                            assert_eq!(
                                run.first / KV_SPLIT,
                                (run.first + run.slots as u64 - 1) / KV_SPLIT
                            );
                            next += run.slots as u64;
                        }
                    }
                    assert!(next >= seen.end && next < seen.end.max(1) + TILE);
                }
            }
        }
    }
}
