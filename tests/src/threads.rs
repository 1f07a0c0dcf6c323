//! An executor simple enough to trust.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use oarlock::Executor;

/// This many threads, started anew for each region: slow, and obviously right.
pub struct Threads(pub usize);

impl Executor for Threads {
    fn threads(&self) -> usize {
        self.0
    }

    fn run(&self, parts: usize, f: &(dyn Fn(usize) + Sync)) {
        let next = AtomicUsize::new(0);
        let work = || {
            oarlock::set_control_word();
            loop {
                let part = next.fetch_add(1, Ordering::Relaxed);
                if part >= parts {
                    break;
                }
                f(part);
            }
        };
        thread::scope(|scope| {
            for _ in 1..self.0.min(parts) {
                scope.spawn(work);
            }
            work();
        });
    }
}
