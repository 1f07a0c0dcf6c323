//! Threads behind the [`Executor`] trait.
//!
//! A token of a small model is some 150 parallel regions of 20 to 100 µs, so a region
//! must be handed over in about a microsecond: no lock and no system call on that way.
//! Workers spin for a moment after a region, since the next one is near; then they
//! offer their core to others; then they sleep, so that a waiting chat costs nothing.
//!
//! Parts are claimed one at a time, by whoever is free, the caller among them. So a
//! worker that is not running (more threads than cores, or a busy machine) is not
//! waited for: it has claimed nothing.
//!
//! The claim is one word, `region << 32 | parts left`, counted down by compare and
//! exchange. A worker that comes late to a region cannot claim in the next one by
//! mistake, and what it read about the region before a successful claim belongs to that
//! region: the caller writes it only while no part of any region is left to claim.
//!
//! `pool/interleavings.rs` runs all of this through every order of steps of a few threads.
#![allow(unsafe_code)]

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::PoisonError;
use std::sync::atomic::Ordering::*;
use std::time::Duration;

use oarlock::Executor;
use oarlock::set_control_word;

use crate::cores::logical_cores;
use crate::error::Error;
use crate::sync::{
    Arc, AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Condvar, Instant, JoinHandle, LOOKS, Mutex,
    MutexGuard, fence, spin_loop, thread,
};

/// Time that a worker spins for the next region, unless there are more threads than cores.
const SPIN: Duration = Duration::from_micros(60);
/// Time that it then lets others run in its place before it sleeps.
const YIELD: Duration = Duration::from_micros(400);
/// Bytes of a worker's stack, whatever the environment says of stacks.
const STACK: usize = 1 << 20;

type Region<'f> = &'f (dyn Fn(usize) + Sync);

/// A pool of threads; the one that calls [`Executor::run`] is one of them.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

/// Keeps what one thread writes often off the lines that others read.
#[derive(Debug)]
#[repr(align(128))]
struct Line<T>(T);

#[derive(Debug)]
struct Shared {
    /// `region << 32 | parts left to claim`.
    ticket: Line<AtomicU64>,
    /// Parts of the region that have not returned.
    pending: Line<AtomicUsize>,
    /// The region's closure: a pointer to the caller's reference to it.
    job: AtomicPtr<()>,
    /// Whether a region is running: another one inside it, or beside it, runs serially.
    busy: AtomicBool,
    /// Workers that sleep or are about to.
    sleepers: AtomicUsize,
    quit: AtomicBool,
    /// Time that a worker spins.
    spin: Duration,
    bed: Mutex<()>,
    wake: Condvar,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

impl Pool {
    /// A pool of `threads`, counting the caller's.
    pub fn new(threads: usize) -> Result<Self, Error> {
        set_control_word();
        // Of more threads than cores only some can run: who spins keeps another from working.
        let spin = if threads > logical_cores() { Duration::ZERO } else { SPIN };
        let mut pool = Self { shared: Arc::new(Shared::new(spin)), workers: Vec::new() };
        for number in 1..threads {
            let shared = Arc::clone(&pool.shared);
            let worker = thread::Builder::new()
                .name(format!("worker {number}"))
                .stack_size(STACK)
                .spawn(move || shared.work())
                .map_err(|error| Error::Threads { threads, error })?;
            pool.workers.push(worker);
        }
        Ok(pool)
    }
}

impl Executor for Pool {
    fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    fn run(&self, parts: usize, f: Region<'_>) {
        let shared = &*self.shared;
        let few = parts <= 1 || self.workers.is_empty() || u32::try_from(parts).is_err();
        if few || shared.busy.swap(true, Acquire) {
            return (0..parts).for_each(f);
        }
        shared.publish(parts, &f);
        while let Some((part, _)) = shared.claim() {
            shared.call(part, f);
        }
        shared.wait_for_others();
        let panic = lock(&shared.panic).take();
        shared.busy.store(false, Release);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Who looks for it before it sleeps does so under the lock that is taken next.
        self.shared.quit.store(true, Relaxed);
        self.shared.wake_sleepers();
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}

impl Shared {
    fn new(spin: Duration) -> Self {
        Self {
            ticket: Line(AtomicU64::new(0)),
            pending: Line(AtomicUsize::new(0)),
            job: AtomicPtr::new(ptr::null_mut()),
            busy: AtomicBool::new(false),
            sleepers: AtomicUsize::new(0),
            quit: AtomicBool::new(false),
            spin,
            bed: Mutex::new(()),
            wake: Condvar::new(),
            panic: Mutex::new(None),
        }
    }

    /// Opens a region: from here on its parts can be claimed.
    fn publish(&self, parts: usize, f: &Region<'_>) {
        self.job.store(ptr::from_ref(f).cast_mut().cast(), Relaxed);
        self.pending.0.store(parts, Relaxed);
        let region = (self.ticket.0.load(Relaxed) >> 32).wrapping_add(1);
        self.ticket.0.store(region << 32 | parts as u64, Release);
        // A worker counts itself before its last look at the ticket, and has a fence between, too:
        // so either it sees this ticket or it is seen here.
        fence(SeqCst);
        if self.sleepers.load(Relaxed) > 0 {
            self.wake_sleepers();
        }
    }

    /// Takes a part that nobody has taken, with the region's closure.
    fn claim(&self) -> Option<(usize, *const ())> {
        let mut ticket = self.ticket.0.load(Acquire);
        loop {
            let left = ticket as u32;
            if left == 0 {
                return None;
            }
            let job = self.job.load(Relaxed);
            match self.ticket.0.compare_exchange_weak(ticket, ticket - 1, AcqRel, Acquire) {
                Ok(_) => return Some((left as usize - 1, job)),
                Err(now) => ticket = now,
            }
        }
    }

    /// Runs one part. A panic is kept for the caller: here it would leave it waiting.
    fn call(&self, part: usize, f: Region<'_>) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| f(part))) {
            lock(&self.panic).get_or_insert(panic);
        }
        self.pending.0.fetch_sub(1, Release);
    }

    /// The caller's end of a region: parts that others have claimed must return.
    fn wait_for_others(&self) {
        let mut looks = 0;
        while self.pending.0.load(Acquire) != 0 {
            looks += 1;
            // A worker in the middle of a part may have lost its core: it can have this one.
            if self.spin.is_zero() || looks > 2000 {
                thread::yield_now();
            } else {
                spin_loop();
            }
        }
    }

    /// A worker's life.
    fn work(&self) {
        set_control_word();
        while !self.quit.load(Relaxed) {
            while let Some((part, job)) = self.claim() {
                // SAFETY: `job` was read for the region of this claim (see above), points to
                // a reference in the frame of `run`, and that frame stays until `pending` is
                // 0, which this part, not having returned, prevents.
                let f = unsafe { *job.cast::<Region<'_>>() };
                self.call(part, f);
            }
            if !self.spin_for_ticket() {
                self.sleep();
            }
        }
    }

    /// Looks for parts to claim for a while; false if none came.
    fn spin_for_ticket(&self) -> bool {
        let start = Instant::now();
        loop {
            for _ in 0..LOOKS {
                if self.has_parts() || self.quit.load(Relaxed) {
                    return true;
                }
                spin_loop();
            }
            let idle = start.elapsed();
            if idle > self.spin + YIELD {
                return false;
            }
            if idle >= self.spin {
                thread::yield_now();
            }
        }
    }

    fn has_parts(&self) -> bool {
        self.ticket.0.load(Acquire) as u32 != 0
    }

    fn sleep(&self) {
        let mut bed = lock(&self.bed);
        self.sleepers.fetch_add(1, Relaxed);
        fence(SeqCst);
        while !self.has_parts() && !self.quit.load(Relaxed) {
            bed = self.wake.wait(bed).unwrap_or_else(PoisonError::into_inner);
        }
        self.sleepers.fetch_sub(1, Relaxed);
    }

    fn wake_sleepers(&self) {
        // Who counted itself but does not sleep yet holds the lock until it does.
        drop(lock(&self.bed));
        self.wake.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[cfg(loom)]
mod interleavings;

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    fn counts(pool: &Pool, parts: usize) -> Vec<usize> {
        let counts: Vec<_> = (0..parts).map(|_| AtomicUsize::new(0)).collect();
        pool.run(parts, &|part| {
            counts[part].fetch_add(1, Relaxed);
        });
        counts.iter().map(|count| count.load(Relaxed)).collect()
    }

    #[test]
    fn every_part_runs_exactly_once() {
        for threads in [1, 2, 3, 9] {
            let pool = Pool::new(threads).unwrap();
            assert_eq!(pool.threads(), threads);
            for round in 0..3000 {
                let parts = round % 23;
                assert_eq!(counts(&pool, parts), vec![1; parts], "{threads} threads");
            }
        }
    }

    #[test]
    fn sleeping_workers_wake_for_a_region() {
        let pool = Pool::new(3).unwrap();
        for _ in 0..20 {
            assert_eq!(counts(&pool, 7), [1; 7]);
            thread::sleep(SPIN + YIELD * 4);
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_goes_on() {
        let pool = Pool::new(2).unwrap();
        for bad in 0..8 {
            let run = || pool.run(8, &|part| assert!(part != bad, "part {part}"));
            assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
            assert_eq!(counts(&pool, 8), [1; 8]);
        }
    }

    #[test]
    fn a_region_inside_a_region_runs() {
        let pool = Pool::new(2).unwrap();
        let count = AtomicUsize::new(0);
        pool.run(4, &|_| {
            pool.run(5, &|_| {
                count.fetch_add(1, Relaxed);
            });
        });
        assert_eq!(count.into_inner(), 20);
    }
}
