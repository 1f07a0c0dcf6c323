//! Byte pair encoding of one word (arXiv 1508.07909): merges the pair of lowest rank, leftmost
//! first.

use core::ops::Range;

use super::scratch::Symbol;
use super::tables::{NONE, Tables, Units};
use crate::base::checked::{part, part_mut};

/// Symbols of a word that is searched from end to end for each merge, which for so few is faster
/// than keeping an order.
const SHORT: usize = 40;

/// Symbols of which a sweep has to merge one, to be worth its walk over all of them: a merge
/// through the tournament over a long word waits for memory several times.
const SWEPT: usize = 128;

/// Gives the ids of a word and returns the number of its bytes that have no token; `None` if the
/// scratch is shorter than the word.
pub(super) fn merge_word(
    tables: &Tables<'_>,
    word: &[u8],
    scratch: &mut [Symbol],
    out: &mut dyn FnMut(u32),
) -> Option<usize> {
    let (count, dropped) = match tables.units {
        Units::Bytes => bytes(tables, word, scratch.get_mut(..word.len())?),
        Units::Characters => characters(tables, word, scratch, false)?,
        Units::FusedCharacters => characters(tables, word, scratch, true)?,
        // Of these, nothing is merged.
        Units::Scored => return None,
    };
    let symbols = scratch.get_mut(..count)?;
    for at in 0..count {
        rank_pair(tables, symbols, at);
    }
    let symbols = sweep_while_worthwhile(tables, symbols);
    if symbols.len() <= SHORT {
        merge_short(tables, symbols).iter().for_each(|symbol| out(symbol.id));
    } else {
        LongWord { tables, symbols }.merge(out);
    }
    Some(dropped)
}

/// Writes the tokens of a word's bytes; returns their number, and that of bytes without a token.
fn bytes(tables: &Tables<'_>, word: &[u8], symbols: &mut [Symbol]) -> (usize, usize) {
    let mut ids = word.iter().filter_map(|&byte| tables.byte_id(byte));
    let mut count = 0;
    for (place, id) in symbols.iter_mut().zip(&mut ids) {
        *place = Symbol { id, ..Symbol::BARE };
        count += 1;
    }
    (count, word.len() - count)
}

/// Writes the tokens of a word's characters; returns their number, and that of bytes without a
/// token, or `None` if they do not fit.
fn characters(
    tables: &Tables<'_>,
    word: &[u8],
    symbols: &mut [Symbol],
    fused: bool,
) -> Option<(usize, usize)> {
    let (mut count, mut dropped, mut was_unknown) = (0, 0, false);
    let mut push = |id: u32| {
        *symbols.get_mut(count)? = Symbol { id, ..Symbol::BARE };
        count += 1;
        Some(())
    };
    for c in core::str::from_utf8(word).ok()?.chars() {
        let mut utf8 = [0; 4];
        let utf8 = c.encode_utf8(&mut utf8).as_bytes();
        let after_unknown = core::mem::replace(&mut was_unknown, false);
        if let Some(id) = tables.word(utf8) {
            push(id)?;
        } else if utf8.iter().all(|&byte| tables.byte_id(byte).is_some()) {
            utf8.iter().filter_map(|&byte| tables.byte_id(byte)).try_for_each(&mut push)?;
        } else if let Some(id) = tables.unknown {
            was_unknown = true;
            if !(fused && after_unknown) {
                push(id)?;
            }
        } else {
            dropped += utf8.len();
        }
    }
    Some((count, dropped))
}

/// Sweeps over a long word as long as that is worth it; returns the symbols that are left.
fn sweep_while_worthwhile<'s>(
    tables: &Tables<'_>,
    mut symbols: &'s mut [Symbol],
) -> &'s mut [Symbol] {
    while symbols.len() > SHORT {
        let (before, left) = (symbols.len(), sweep(tables, symbols));
        symbols = part_mut(symbols, ..left);
        if (before - left) * SWEPT < before {
            break;
        }
    }
    symbols
}

/// Merges the pair of the lowest rank wherever it stands, from left to right, until a merge
/// makes a pair that comes before it; returns the number of symbols that are left.
fn sweep(tables: &Tables<'_>, symbols: &mut [Symbol]) -> usize {
    let count = symbols.len();
    let Some(first) = lowest(symbols) else { return count };
    let Some(&[left, right]) = symbols.get(first..first + 2) else { return count };
    let Some(merge) = tables.merge(left.id, right.id) else { return count };
    let (mut read, mut write) = (first, first);
    while read < count {
        let pair = symbols.get(read..read + 2);
        if pair.is_some_and(|pair| pair.iter().map(|s| s.id).eq([left.id, right.id])) {
            let behind = symbols.get(read + 2).map_or(NONE, |s| rank(tables, merge.id, s.id));
            let ahead = rank_before(tables, symbols, write, merge.id);
            if let Some(slot) = symbols.get_mut(write) {
                *slot = Symbol { id: merge.id, rank: behind, ..Symbol::BARE };
            }
            (read, write) = (read + 2, write + 1);
            if behind.min(ahead) <= merge.rank {
                break;
            }
        } else {
            move_down(symbols, read..read + 1, write);
            (read, write) = (read + 1, write + 1);
        }
    }
    move_down(symbols, read..count, write);
    write + count - read
}

/// Moves symbols to where others were taken out, if all of it is there.
fn move_down(symbols: &mut [Symbol], from: Range<usize>, to: usize) {
    let len = from.len();
    let Some(both) = symbols.get_mut(to..from.end) else { return };
    both.copy_within(both.len().saturating_sub(len).., 0);
}

/// Ranks the pair of the symbol before `at` and a new one there.
fn rank_before(tables: &Tables<'_>, symbols: &mut [Symbol], at: usize, id: u32) -> u32 {
    let before = at.checked_sub(1).and_then(|before| symbols.get_mut(before));
    before.map_or(NONE, |before| {
        before.rank = rank(tables, before.id, id);
        before.rank
    })
}

/// Rank of a pair of tokens; [`NONE`] if they do not merge.
fn rank(tables: &Tables<'_>, left: u32, right: u32) -> u32 {
    tables.merge(left, right).map_or(NONE, |merge| merge.rank)
}

/// Merges ranked symbols until none merge; returns those that are left.
fn merge_short<'s>(tables: &Tables<'_>, symbols: &'s mut [Symbol]) -> &'s [Symbol] {
    let mut count = symbols.len();
    while let Some(at) = lowest(part(symbols, ..count)) {
        let Some([left, right]) = symbols.get_mut(at..at + 2) else { break };
        let Some(merge) = tables.merge(left.id, right.id) else { break };
        left.id = merge.id;
        move_down(symbols, at + 2..count, at + 1);
        count -= 1;
        let live = part_mut(symbols, ..count);
        rank_pair(tables, live, at);
        if let Some(before) = at.checked_sub(1) {
            rank_pair(tables, live, before);
        }
    }
    part(symbols, ..count)
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

/// A long word: symbols stay in the place of their first byte, and a tournament tree over the
/// places knows the lowest rank, so a merge costs O(log n) (Knuth, TAOCP 3, section 5.4.1).
///
/// A symbol's length is kept in its first and in its last place, which makes both
/// neighbours reachable. Node `i` of the tournament has the children `2i` and `2i + 1`;
/// from `n` on they are the places themselves.
struct LongWord<'t, 's> {
    tables: &'t Tables<'t>,
    /// `(n)`, n ≥ 2: ranked, each one place long
    symbols: &'s mut [Symbol],
}

impl LongWord<'_, '_> {
    /// Merges until none merge, and gives the ids.
    fn merge(mut self, out: &mut dyn FnMut(u32)) {
        for node in (1..self.symbols.len()).rev() {
            self.play(node);
        }
        while let Some(at) = self.lowest() {
            self.merge_at(at);
        }
        let mut at = 0;
        while let Some(symbol) = self.symbols.get(at) {
            out(symbol.id);
            at += symbol.places();
        }
    }

    /// The symbol at `at`; beyond the end one of no token.
    fn get(&self, at: usize) -> Symbol {
        self.symbols.get(at).copied().unwrap_or(Symbol::BARE)
    }

    /// The place that wins the tournament, if a pair begins there.
    fn lowest(&self) -> Option<usize> {
        let at = self.get(1).winner as usize;
        (self.get(at).rank != NONE).then_some(at)
    }

    /// Merges the symbol at `at` with the next one.
    fn merge_at(&mut self, at: usize) {
        let left = self.get(at);
        let next = at + left.places();
        let right = self.get(next);
        let Some(merge) = self.tables.merge(left.id, right.id) else {
            return self.set_rank(at, NONE);
        };
        let len = left.places() + right.places();
        self.update(at, |symbol| (symbol.id, symbol.len) = (merge.id, len as u32));
        self.update(at + len - 1, |symbol| symbol.len = len as u32);
        self.set_rank(next, NONE);
        self.rank(at);
        if let Some(before) = at.checked_sub(1) {
            self.rank((before + 1).saturating_sub(self.get(before).places()));
        }
    }

    /// Changes the symbol at `at`, if there is one.
    fn update(&mut self, at: usize, change: impl FnOnce(&mut Symbol)) {
        if let Some(symbol) = self.symbols.get_mut(at) {
            change(symbol);
        }
    }

    /// Ranks the pair that begins at `at` again.
    fn rank(&mut self, at: usize) {
        let symbol = self.get(at);
        let next = self.symbols.get(at + symbol.places());
        self.set_rank(at, next.map_or(NONE, |next| rank(self.tables, symbol.id, next.id)));
    }

    /// Sets the rank at `at`, and decides all nodes above it.
    fn set_rank(&mut self, at: usize, rank: u32) {
        self.update(at, |symbol| symbol.rank = rank);
        let mut node = (at + self.symbols.len()) / 2;
        while node > 0 {
            self.play(node);
            node /= 2;
        }
    }

    /// Decides a node by its children: lower rank, then further left.
    fn play(&mut self, node: usize) {
        let (a, b) = (self.player(2 * node), self.player(2 * node + 1));
        let key = |at: u32| (self.get(at as usize).rank, at);
        let winner = if key(a) <= key(b) { a } else { b };
        self.update(node, |symbol| symbol.winner = winner);
    }

    /// The place that a node, or a place itself, sends to the next round.
    fn player(&self, node: usize) -> u32 {
        match node.checked_sub(self.symbols.len()) {
            Some(place) => place as u32,
            None => self.get(node).winner,
        }
    }
}
