//! Executors that do as they like.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::{self, ScopedJoinHandle};

use oarlock::Executor;
use oarlock_hosted::Pool;

use crate::hostile::{Hostile, Meant};

/// Ways to run parts.
#[derive(Clone, Copy, Debug)]
enum Way {
    InTurn,
    /// All of them twice, the last first.
    Twice,
    Nothing,
    EverySecond,
    /// On three threads at once each of them, and some that there are not.
    AllAtOnce,
    Panics,
    PanicsHalfway,
    /// A thread panics, when it has run its parts.
    ThreadPanics,
    /// Each part while another one runs.
    Nested,
    /// All parts on one thread, while others sleep: nobody asks how it ended.
    Elsewhere,
    /// The pool of hosted boards.
    Pool,
}

const WAYS: [Way; 11] = [
    Way::InTurn,
    Way::Twice,
    Way::Nothing,
    Way::EverySecond,
    Way::AllAtOnce,
    Way::Panics,
    Way::PanicsHalfway,
    Way::ThreadPanics,
    Way::Nested,
    Way::Elsewhere,
    Way::Pool,
];

/// An executor of one of these ways, of which nothing can be believed.
#[derive(Debug)]
pub struct Liar {
    way: Way,
    /// Whether threads and schedule change from question to question.
    fickle: bool,
    deals: bool,
    /// Whether taking note panics now and then.
    notes_panic: bool,
    questions: AtomicUsize,
    pool: Pool,
}

impl Liar {
    pub fn new(hostile: &mut Hostile) -> Self {
        let pool = Pool::new(1 + hostile.random.below(3)).expect("threads");
        Self {
            way: hostile.pick(&WAYS),
            fickle: hostile.one_in(3),
            deals: hostile.one_in(2),
            notes_panic: hostile.one_in(6),
            questions: AtomicUsize::new(hostile.random.below(100)),
            pool,
        }
    }

    fn question(&self) -> usize {
        self.questions.fetch_add(1, Relaxed)
    }

    /// Three threads begin together, each with all parts.
    fn all_at_once(parts: usize, f: &(dyn Fn(usize) + Sync)) {
        let barrier = Barrier::new(3);
        let all = &|first: usize| {
            oarlock::set_control_word();
            barrier.wait();
            (0..parts + 2).for_each(|part| f((part + first) % (parts + 2)));
            [parts, 63, 64, usize::MAX].into_iter().for_each(f);
        };
        thread::scope(|scope| {
            let others = [0, 1].map(|first| scope.spawn(move || all(first)));
            let own = catch_unwind(AssertUnwindSafe(|| all(0)));
            others.into_iter().for_each(joined);
            own.unwrap_or_else(|panic| resume_unwind(panic));
        });
    }
}

/// Waits for a thread, and panics as it has.
fn joined(thread: ScopedJoinHandle<'_, ()>) {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic));
}

impl Executor for Liar {
    fn threads(&self) -> usize {
        const THREADS: [usize; 8] = [3, 0, 2, usize::MAX, 1, 64, 7, usize::MAX / 4 + 1];
        if self.fickle { THREADS[self.question() % THREADS.len()] } else { 3 }
    }

    fn run(&self, parts: usize, f: &(dyn Fn(usize) + Sync)) {
        match self.way {
            Way::InTurn => (0..parts).for_each(f),
            Way::Twice => (0..parts).chain(0..parts).rev().for_each(f),
            Way::Nothing => {}
            Way::EverySecond => (0..parts).step_by(2).for_each(f),
            Way::AllAtOnce => Self::all_at_once(parts, f),
            Way::Panics => resume_unwind(Box::new(Meant)),
            Way::PanicsHalfway => {
                (0..parts / 2).for_each(f);
                resume_unwind(Box::new(Meant));
            }
            Way::ThreadPanics => thread::scope(|scope| {
                let thread = scope.spawn(|| {
                    (0..parts).for_each(f);
                    resume_unwind(Box::new(Meant));
                });
                (0..parts).for_each(f);
                let Err(panic) = thread.join();
                resume_unwind(panic);
            }),
            Way::Nested => self.pool.run(parts, &|part| {
                self.pool.run(2, &|_| f(part));
            }),
            Way::Elsewhere => thread::scope(|scope| joined(scope.spawn(|| (0..parts).for_each(f)))),
            Way::Pool => self.pool.run(parts, f),
        }
    }

    fn deals(&self) -> bool {
        if self.fickle { self.question().is_multiple_of(2) } else { self.deals }
    }

    fn note(&self, _part: usize, _pieces: usize) {
        if self.notes_panic && self.question().is_multiple_of(5) {
            resume_unwind(Box::new(Meant));
        }
    }
}
