//! Byte pair encoding of one word: merge the pair of lowest rank, leftmost first.

use super::Symbol;
use super::tables::{NONE, Tables};

/// Words up to this length are searched from end to end for each merge, which for few
/// symbols is faster than keeping an order.
const SHORT: usize = 40;

/// Gives the ids of a word and returns how many of its bytes have no token; `None` if
/// the scratch is shorter than the word.
pub(super) fn merge_word(
    tables: &Tables<'_>,
    word: &[u8],
    scratch: &mut [Symbol],
    out: &mut dyn FnMut(u32),
) -> Option<usize> {
    let places = scratch.get_mut(..word.len())?;
    let mut ids = word.iter().filter_map(|&byte| tables.byte_id(byte));
    let mut count = 0;
    for (place, id) in places.iter_mut().zip(&mut ids) {
        *place = Symbol { id, ..Symbol::BARE };
        count += 1;
    }
    let symbols = places.get_mut(..count)?;
    if count <= SHORT {
        short(tables, symbols).iter().for_each(|symbol| out(symbol.id));
    } else {
        Line { tables, symbols }.merge(out);
    }
    Some(word.len() - count)
}

fn rank(tables: &Tables<'_>, left: u32, right: u32) -> u32 {
    tables.merge(left, right).map_or(NONE, |merge| merge.rank)
}

/// Merges until nothing does; what remains are the first symbols.
fn short<'s>(tables: &Tables<'_>, symbols: &'s mut [Symbol]) -> &'s [Symbol] {
    for at in 0..symbols.len() {
        rank_pair(tables, symbols, at);
    }
    let mut count = symbols.len();
    while let Some(at) = lowest(symbols.get(..count).unwrap_or_default()) {
        let Some([left, right]) = symbols.get_mut(at..at + 2) else { break };
        let Some(merge) = tables.merge(left.id, right.id) else { break };
        left.id = merge.id;
        symbols.copy_within(at + 2..count, at + 1);
        count -= 1;
        let live = symbols.get_mut(..count).unwrap_or_default();
        rank_pair(tables, live, at);
        if let Some(before) = at.checked_sub(1) {
            rank_pair(tables, live, before);
        }
    }
    symbols.get(..count).unwrap_or_default()
}

/// Ranks the pair that begins at `at`; the last symbol begins none.
fn rank_pair(tables: &Tables<'_>, symbols: &mut [Symbol], at: usize) {
    let next = symbols.get(at + 1).map(|next| next.id);
    if let Some(symbol) = symbols.get_mut(at) {
        symbol.rank = next.map_or(NONE, |next| rank(tables, symbol.id, next));
    }
}

/// The first place with the lowest rank, if a pair is there.
fn lowest(symbols: &[Symbol]) -> Option<usize> {
    let (mut at, mut lowest) = (0, NONE);
    for (i, symbol) in symbols.iter().enumerate() {
        if symbol.rank < lowest {
            (at, lowest) = (i, symbol.rank);
        }
    }
    (lowest != NONE).then_some(at)
}

/// A long word: symbols stay in the place of their first byte, and a tournament over the
/// places knows the lowest rank, so a merge costs O(log n).
///
/// A symbol's length is kept in its first and in its last place, which makes both
/// neighbours reachable. Node `i` of the tournament has the children `2i` and `2i + 1`;
/// from `n` on they are the places themselves.
struct Line<'t, 's> {
    tables: &'t Tables<'t>,
    /// (n), n ≥ 2
    symbols: &'s mut [Symbol],
}

impl Line<'_, '_> {
    fn merge(mut self, out: &mut dyn FnMut(u32)) {
        for at in 0..self.symbols.len() {
            rank_pair(self.tables, self.symbols, at);
        }
        for node in (1..self.symbols.len()).rev() {
            self.play(node);
        }
        while let Some(at) = self.lowest() {
            self.merge_run(at);
        }
        let mut at = 0;
        while let Some(symbol) = self.symbols.get(at) {
            out(symbol.id);
            at += symbol.len();
        }
    }

    fn get(&self, at: usize) -> Symbol {
        self.symbols.get(at).copied().unwrap_or(Symbol::BARE)
    }

    /// The place that wins the tournament, if a pair begins there.
    fn lowest(&self) -> Option<usize> {
        let at = self.get(1).winner as usize;
        (self.get(at).rank != NONE).then_some(at)
    }

    /// Merges the pair that begins at `first`, and with it the equal pairs right behind it
    /// that would be next: a long run of spaces is merged in a few sweeps, and not in as
    /// many tournaments as it has spaces.
    fn merge_run(&mut self, first: usize) {
        let left = self.get(first);
        let merge = self.tables.merge(left.id, self.get(first + left.len()).id);
        let before =
            first.checked_sub(1).map(|last| (last + 1).saturating_sub(self.get(last).len()));
        let (from, mut before, mut at) = (before.unwrap_or(first), before, first);
        let Some(merge) = merge else {
            self.set_rank(first, NONE);
            return self.replay(first, first + 1);
        };
        loop {
            let end = self.join(at, merge.id);
            let next = self.get(end).rank;
            let behind = self.rank(at);
            let ahead = before.map_or(NONE, |before| self.rank(before));
            // What has just been made possible may come first.
            if next != merge.rank || behind.min(ahead) <= merge.rank {
                return self.replay(from, end);
            }
            (before, at) = (Some(at), end);
        }
    }

    /// Makes one symbol of the pair that begins at `at`; returns where it ends.
    fn join(&mut self, at: usize, id: u32) -> usize {
        let next = at + self.get(at).len();
        let end = next + self.get(next).len();
        let len = (end - at) as u32;
        self.set_rank(next, NONE);
        self.update(end - 1, |symbol| symbol.len = len);
        self.update(at, |symbol| (symbol.id, symbol.len) = (id, len));
        end
    }

    fn update(&mut self, at: usize, change: impl FnOnce(&mut Symbol)) {
        if let Some(symbol) = self.symbols.get_mut(at) {
            change(symbol);
        }
    }

    /// Ranks the pair that begins at `at` anew.
    fn rank(&mut self, at: usize) -> u32 {
        let symbol = self.get(at);
        let next = self.symbols.get(at + symbol.len());
        let rank = next.map_or(NONE, |next| rank(self.tables, symbol.id, next.id));
        self.set_rank(at, rank);
        rank
    }

    fn set_rank(&mut self, at: usize, rank: u32) {
        self.update(at, |symbol| symbol.rank = rank);
    }

    /// Decides the tournament anew where ranks from `from` to `end` have changed.
    fn replay(&mut self, from: usize, end: usize) {
        let (mut low, mut high) = (from + self.symbols.len(), end - 1 + self.symbols.len());
        while high > 1 {
            (low, high) = ((low / 2).max(1), high / 2);
            for node in (low..=high).rev() {
                self.play(node);
            }
        }
    }

    /// Decides a node by its children: lower rank, then further left.
    fn play(&mut self, node: usize) {
        let (a, b) = (self.player(2 * node), self.player(2 * node + 1));
        let key = |at: u32| (self.get(at as usize).rank, at);
        let winner = if key(a) <= key(b) { a } else { b };
        self.update(node, |symbol| symbol.winner = winner);
    }

    fn player(&self, node: usize) -> u32 {
        match node.checked_sub(self.symbols.len()) {
            Some(place) => place as u32,
            None => self.get(node).winner,
        }
    }
}
