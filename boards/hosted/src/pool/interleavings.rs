//! The pool in all interleavings of a few threads.
//!
//! Each model is run once for every order of its steps, up to a number of preemptions, and for every
//! value that an atomic may be seen to have (Norris and Demsky, CDSChecker, 2013). A wakeup that is
//! lost is a deadlock there, and so is found. Cells are counted with no order: a part that ran twice,
//! or whose write the caller need not see, is a wrong count in some run.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::*;

/// Parts that count themselves.
struct Cells(Vec<AtomicUsize>);

impl Cells {
    fn new(parts: usize) -> Self {
        Self((0..parts).map(|_| AtomicUsize::new(0)).collect())
    }

    fn count(&self, part: usize) {
        self.0[part].fetch_add(1, Relaxed);
    }

    #[track_caller]
    fn assert_each_ran_once(&self) {
        self.0.iter().for_each(|cell| assert_eq!(cell.load(Relaxed), 1));
    }
}

/// Runs a region, each part of which must have run once when it has returned.
fn region(pool: &Pool, parts: usize) {
    let cells = Cells::new(parts);
    pool.run(parts, &|part| cells.count(part));
    cells.assert_each_ran_once();
}

/// Calls from further down the stack, so that a pointer into one region is none into the next.
#[inline(never)]
fn deeper(f: &mut dyn FnMut()) {
    let room = std::hint::black_box([0_u8; 4096]);
    f();
    std::hint::black_box(room);
}

/// A worker that comes late to the first of two regions takes nothing of it, and nothing of the
/// second for it.
fn two_regions(threads: usize, parts: [usize; 2]) {
    let pool = Pool::new(threads).unwrap();
    let [first, second] = parts.map(Cells::new);
    deeper(&mut || pool.run(parts[0], &|part| first.count(part)));
    pool.run(parts[1], &|part| second.count(part));
    first.assert_each_ran_once();
    second.assert_each_ran_once();
}

/// No part ends before all have begun, so that every worker is needed, asleep or not.
fn all_are_needed(threads: usize) {
    let pool = Pool::new(threads).unwrap();
    let (begun, all) = (Mutex::new(0), Condvar::new());
    pool.run(threads, &|_| {
        let mut begun = begun.lock().unwrap();
        *begun += 1;
        all.notify_all();
        while *begun < threads {
            begun = all.wait(begun).unwrap();
        }
    });
}

fn panic_in(bad: usize) {
    let pool = Pool::new(2).unwrap();
    let cells = Cells::new(2);
    let run = || {
        pool.run(2, &|part| {
            cells.count(part);
            if part == bad {
                resume_unwind(Box::new("of a part"));
            }
        });
    };
    assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
    cells.assert_each_ran_once();
    region(&pool, 2);
}

/// Runs a model in all interleavings of so many preemptions, or of fewer if the environment says so.
fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let start = std::time::Instant::now();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound =
        Some(builder.preemption_bound.map_or(preemptions, |most| most.min(preemptions)));
    builder.max_branches = 100_000;
    let runs = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&runs);
    builder.check(move || {
        counted.fetch_add(1, Relaxed);
        model();
    });
    let runs = runs.load(Relaxed);
    println!("{runs} interleavings in {:.1} s", start.elapsed().as_secs_f32());
}

#[test]
fn each_part_runs_once_and_is_seen() {
    check(4, || region(&Pool::new(2).unwrap(), 2));
}

#[test]
fn each_part_runs_once_on_three_threads() {
    check(1, || region(&Pool::new(3).unwrap(), 3));
}

#[test]
fn more_threads_than_parts() {
    check(2, || region(&Pool::new(3).unwrap(), 2));
}

#[test]
fn a_worker_that_is_late_takes_nothing_of_another_region() {
    check(3, || two_regions(2, [2, 2]));
}

#[test]
fn a_worker_that_is_late_to_regions_of_other_sizes() {
    check(2, || two_regions(2, [2, 3]));
}

#[test]
fn a_worker_wakes() {
    check(3, || all_are_needed(2));
}

#[test]
fn two_workers_wake() {
    check(1, || all_are_needed(3));
}

#[test]
fn a_pool_that_nobody_used_ends() {
    check(4, || drop(Pool::new(2)));
    check(3, || drop(Pool::new(3)));
}

#[test]
fn a_panic_reaches_the_caller_when_all_have_returned() {
    check(2, || panic_in(0));
    check(2, || panic_in(1));
}

#[test]
fn a_region_inside_a_region_runs() {
    check(2, || {
        let pool = Pool::new(2).unwrap();
        let cells = Cells::new(4);
        pool.run(2, &|outer| pool.run(2, &|inner| cells.count(2 * outer + inner)));
        cells.assert_each_ran_once();
    });
}

#[test]
fn regions_beside_each_other_run() {
    check(2, || {
        let pool = Arc::new(Pool::new(2).unwrap());
        let other = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || region(&pool, 2))
        };
        region(&pool, 2);
        other.join().unwrap();
    });
}
