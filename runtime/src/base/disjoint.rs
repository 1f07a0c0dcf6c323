//! Outputs that the parts of a loop write at the same time, each its own piece.
//!
//! The one place where a buffer is shared between threads. Everything above it cuts
//! its outputs into pieces with safe code and gets each piece back exactly once.
#![allow(unsafe_code)]

use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::exec::Executor;

/// Pieces that one region can hand out: enough for 16 threads to even out what takes
/// longer, few enough for the stack of a small board.
pub(crate) const MAX_PIECES: usize = 64;

/// Pieces waiting to be taken, each by whoever comes first.
struct Pool<P> {
    pieces: heapless::Vec<UnsafeCell<Option<P>>, MAX_PIECES>,
    taken: AtomicUsize,
}

// SAFETY: `take` gives every index to one caller only: a counter far past the end is set back to it,
// long before it could come round to 0. No two threads touch the same cell, and a piece moves to the
// thread that takes it, which `P: Send` allows.
unsafe impl<P: Send> Sync for Pool<P> {}

impl<P> Pool<P> {
    fn take(&self) -> Option<P> {
        // Relaxed: what the pieces point to was written before the region began, and the
        // executor orders that with its parts.
        let next = self.taken.fetch_add(1, Ordering::Relaxed);
        let Some(piece) = self.pieces.get(next) else {
            // Whoever asks for more and more brings a counter of 32 bits there in a second.
            if next > usize::MAX / 2 {
                self.taken.store(self.pieces.len(), Ordering::Relaxed);
            }
            return None;
        };
        // SAFETY: this index came to this call alone.
        unsafe { (*piece.get()).take() }
    }
}

/// Pieces that were dealt out: part `p` of `parts` has the pieces `p`, `p + parts`, …
struct Hands<P> {
    pieces: heapless::Vec<UnsafeCell<Option<P>>, MAX_PIECES>,
    /// Whether a part has its hand already.
    dealt: [AtomicBool; MAX_PIECES],
    parts: usize,
}

// SAFETY: `hand` gives the pieces of a part to one caller only, whatever the executor does,
// and no piece belongs to two parts. It moves to that thread, which `P: Send` allows.
unsafe impl<P: Send> Sync for Hands<P> {}

impl<P> Hands<P> {
    /// Takes the pieces of a part; none the second time that it is asked for.
    fn hand(&self, part: usize) -> impl Iterator<Item = P> {
        let parts = self.parts.max(1);
        // Whatever the executor asks for: a part that there is not has no pieces, or it would
        // have some of another part's.
        let dealt = self.dealt.get(part).filter(|_| part < parts);
        let first = dealt.is_some_and(|dealt| !dealt.swap(true, Ordering::Relaxed));
        let pieces = self.pieces.get(part..self.pieces.len() * usize::from(first));
        let pieces = pieces.unwrap_or_default().iter().step_by(parts);
        // SAFETY: these cells came to this call alone.
        pieces.filter_map(|piece| unsafe { (*piece.get()).take() })
    }
}

/// Runs `f` as [`for_each`] does, on the first [`MAX_PIECES`], each part with its share.
fn deal<P: Send>(
    exec: &dyn Executor,
    pieces: &mut impl Iterator<Item = P>,
    f: &(dyn Fn(P) + Sync),
) {
    let dealt = [const { AtomicBool::new(false) }; MAX_PIECES];
    let mut hands = Hands { pieces: heapless::Vec::new(), dealt, parts: 0 };
    fill(&mut hands.pieces, pieces);
    hands.parts = hands.pieces.len().min(exec.threads());
    let parts = hands.parts;
    if parts <= 1 {
        return hands.hand(0).for_each(f);
    }
    exec.run(parts, &|part| exec.note(part, hands.hand(part).map(f).count()));
    // Parts that were forgotten, if any: an output that nobody wrote may hold anything.
    (0..parts).for_each(|part| hands.hand(part).for_each(f));
}

/// Fills `waiting` where it lies: it is some 20 KiB, and moving it took half a microsecond of
/// each of the 150 regions of a token.
fn fill<P>(
    waiting: &mut heapless::Vec<UnsafeCell<Option<P>>, MAX_PIECES>,
    pieces: &mut impl Iterator<Item = P>,
) {
    while !waiting.is_full() {
        let Some(piece) = pieces.next() else { return };
        drop(waiting.push(UnsafeCell::new(Some(piece))));
    }
}

/// Runs `f` once on each piece, on as many threads as there are, and returns when all
/// are done. Which thread gets which piece is left open.
///
/// Pieces beyond [`MAX_PIECES`] are run by the caller alone, so callers stay below it.
///
/// Nothing is asked of the executor: one that runs a part twice, or one that there is not, finds no
/// piece left; what is left by one that forgets parts, or all of them, is run by the caller.
pub(crate) fn for_each<P: Send>(
    exec: &dyn Executor,
    pieces: impl IntoIterator<Item = P>,
    f: impl Fn(P) + Sync,
) {
    let mut pieces = pieces.into_iter();
    // One copy of its code, which has kernels in it, for all the ways to it.
    let f: &(dyn Fn(P) + Sync) = &f;
    if exec.threads() <= 1 {
        return pieces.for_each(f);
    }
    if exec.deals() {
        deal(exec, &mut pieces, f);
        return pieces.for_each(f);
    }
    let mut pool = Pool { pieces: heapless::Vec::new(), taken: AtomicUsize::new(0) };
    fill(&mut pool.pieces, &mut pieces);
    let len = pool.pieces.len();
    let drain = |_part: usize| {
        while let Some(piece) = pool.take() {
            f(piece);
        }
    };
    match len.min(exec.threads()) {
        0 | 1 => drain(0),
        parts => {
            exec.run(parts, &drain);
            // As in `deal`.
            drain(0);
        }
    }
    pieces.for_each(f);
}

/// An exclusive view of a row-major matrix, `(rows, cols)`, rows a stride apart: cut by rows and by
/// columns, until each piece is what one part of a loop writes.
pub(crate) struct MatrixMut<'a, T> {
    first: *mut T,
    rows: usize,
    cols: usize,
    stride: usize,
    owner: PhantomData<&'a mut [T]>,
}

// SAFETY: a view is an exclusive borrow of its elements, as `&mut [T]` is.
unsafe impl<T: Send> Send for MatrixMut<'_, T> {}

impl<'a, T> MatrixMut<'a, T> {
    /// Views the first `rows` rows of `stride` elements; as many as `data` holds whole.
    pub(crate) fn new(data: &'a mut [T], rows: usize, stride: usize) -> Self {
        let rows = data.len().checked_div(stride).unwrap_or(0).min(rows);
        Self { first: data.as_mut_ptr(), rows, cols: stride, stride, owner: PhantomData }
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Cuts into the columns before `col` and the rest.
    pub(crate) fn split_cols(self, col: usize) -> (Self, Self) {
        let col = col.min(self.cols);
        // `wrapping_add`: with no rows left the pointer may pass the end; nothing is
        // read through it then.
        let right =
            Self { first: self.first.wrapping_add(col), cols: self.cols - col, ..self.alias() };
        (Self { cols: col, ..self }, right)
    }

    /// Cuts into the rows before `row` and the rest.
    pub(crate) fn split_rows(self, row: usize) -> (Self, Self) {
        let row = row.min(self.rows);
        let first = self.first.wrapping_add(row * self.stride);
        let lower = Self { first, rows: self.rows - row, ..self.alias() };
        (Self { rows: row, ..self }, lower)
    }

    /// Cuts into strips of `width` columns, the last perhaps narrower.
    pub(crate) fn columns(self, width: usize) -> impl Iterator<Item = Self> {
        let mut rest = Some(self);
        core::iter::from_fn(move || {
            let (strip, right) = rest.take().filter(|view| view.cols > 0)?.split_cols(width);
            rest = Some(right);
            Some(strip)
        })
    }

    /// Cuts into strips of `height` rows, the last perhaps lower.
    pub(crate) fn strips(self, height: usize) -> impl Iterator<Item = Self> {
        let mut rest = Some(self);
        core::iter::from_fn(move || {
            let (strip, lower) = rest.take().filter(|view| view.rows > 0)?.split_rows(height);
            rest = Some(lower);
            Some(strip)
        })
    }

    /// A row; empty if there is none of that number.
    pub(crate) fn row(&mut self, row: usize) -> &mut [T] {
        if row >= self.rows {
            return &mut [];
        }
        // SAFETY: `row < rows` and every view lies inside the slice it was made from:
        // `new` counts whole rows only, and the splits only shrink. Two halves of a split
        // share no element, and `&mut self` holds this one.
        unsafe { core::slice::from_raw_parts_mut(self.first.add(row * self.stride), self.cols) }
    }

    /// A second handle on the same elements, of which each split keeps a part.
    fn alias(&self) -> Self {
        Self { owner: PhantomData, ..*self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::exec::Serial;

    /// Runs every part twice and in the wrong order.
    struct Unruly;

    impl Executor for Unruly {
        fn threads(&self) -> usize {
            3
        }

        fn run(&self, parts: usize, f: &(dyn Fn(usize) + Sync)) {
            for part in (0..parts).chain(0..parts).rev() {
                f(part);
            }
        }
    }

    #[test]
    fn every_piece_is_run_once_whatever_the_executor_does() {
        for count in [0, 1, 2, 63, 64, 65, 130] {
            let mut cells = [0_u8; 130];
            for exec in [&Serial as &dyn Executor, &Unruly] {
                for_each(exec, cells.iter_mut().take(count), |cell| *cell += 1);
            }
            assert!(cells.iter().take(count).all(|&c| c == 2));
            assert!(cells.iter().skip(count).all(|&c| c == 0));
        }
    }

    /// Runs nothing, or the last part alone, with work that is dealt or not; no two answers to how
    /// many threads it has are the same.
    struct Idle(bool, bool, AtomicUsize);

    impl Executor for Idle {
        fn threads(&self) -> usize {
            [3, 0, usize::MAX, 2, 64]
                .get(self.2.fetch_add(1, Ordering::Relaxed) % 5)
                .map_or(1, |n| *n)
        }

        fn run(&self, parts: usize, f: &(dyn Fn(usize) + Sync)) {
            if self.1 {
                f(parts - 1);
            }
        }

        fn deals(&self) -> bool {
            self.0
        }
    }

    #[test]
    fn pieces_that_an_executor_forgets_are_run_all_the_same() {
        for count in [2, 7, 64, 65, 130] {
            for (deals, some, from) in (0..20).map(|i| (i & 1 == 1, i & 2 == 2, i >> 2)) {
                let mut cells = [0_u8; 130];
                let exec = Idle(deals, some, AtomicUsize::new(from));
                for_each(&exec, cells.iter_mut().take(count), |cell| *cell += 1);
                assert!(cells.iter().take(count).all(|&c| c == 1));
            }
        }
    }

    #[test]
    fn asking_for_more_brings_nothing_back() {
        let mut pool = Pool { pieces: heapless::Vec::new(), taken: AtomicUsize::new(0) };
        fill(&mut pool.pieces, &mut (0..3));
        assert!(core::iter::from_fn(|| pool.take()).eq(0..3));
        pool.taken.store(usize::MAX, Ordering::Relaxed);
        assert!((0..9).all(|_| pool.take().is_none()));
    }

    /// Two parts, one after the other, that count what they got.
    #[derive(Default)]
    struct Dealer([AtomicUsize; 2]);

    impl Executor for Dealer {
        fn threads(&self) -> usize {
            2
        }

        fn run(&self, parts: usize, f: &(dyn Fn(usize) + Sync)) {
            // Some twice, and some that there are not.
            for part in (0..parts).chain(0..2 * MAX_PIECES) {
                f(part);
            }
        }

        fn deals(&self) -> bool {
            true
        }

        fn note(&self, part: usize, pieces: usize) {
            if let Some(count) = self.0.get(part) {
                count.fetch_add(pieces, Ordering::Relaxed);
            }
        }
    }

    #[test]
    fn what_is_dealt_is_dealt_evenly_and_once() {
        for count in [0, 1, 2, 7, 64, 65] {
            let (mut cells, exec) = ([0_u8; 65], Dealer::default());
            for_each(&exec, cells.iter_mut().take(count), |cell| *cell += 1);
            assert_eq!(cells.iter().filter(|&&c| c == 1).count(), count);
            let Dealer(counts) = exec;
            let dealt = if count > 1 { count.min(MAX_PIECES) } else { 0 };
            assert_eq!(counts.map(AtomicUsize::into_inner), [dealt.div_ceil(2), dealt / 2]);
        }
    }

    #[test]
    fn a_view_is_cut_both_ways_without_overlap() {
        let mut data = [0_u8; 5 * 7 + 3];
        let (left, right) = MatrixMut::new(&mut data, 5, 7).split_cols(3);
        let (upper, lower) = left.split_rows(2);
        for (mark, mut view) in [(1, upper), (2, lower), (3, right)] {
            for row in 0..view.rows() {
                view.row(row).fill(mark);
            }
            assert!(view.row(5).is_empty());
        }
        for (i, row) in data.chunks_exact(7).enumerate() {
            let mark = if i < 2 { 1 } else { 2 };
            assert_eq!(row, [mark, mark, mark, 3, 3, 3, 3]);
        }
        assert_eq!(data.last_chunk(), Some(&[0; 3]));
    }

    #[test]
    fn a_part_that_there_is_not_has_no_pieces_of_another() {
        let mut hands = Hands {
            pieces: heapless::Vec::new(),
            dealt: [const { AtomicBool::new(false) }; MAX_PIECES],
            parts: 2,
        };
        fill(&mut hands.pieces, &mut (0..8));
        assert_eq!(hands.hand(2).count() + hands.hand(usize::MAX).count(), 0);
        assert!(hands.hand(0).eq([0, 2, 4, 6]) && hands.hand(1).eq([1, 3, 5, 7]));
    }
}
