//! The means by which the pool's threads meet. With `--cfg loom` they are loom's
//! (<https://docs.rs/loom>), whose tests run all interleavings of a few threads.

#[cfg(not(loom))]
pub(crate) use std::{
    hint::spin_loop,
    sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, fence},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread::{self, JoinHandle},
    time::Instant,
};

#[cfg(loom)]
pub(crate) use loom::{
    hint::spin_loop,
    sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, fence},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread::{self, JoinHandle},
};

/// Looks for work between two looks at the clock.
#[cfg(not(loom))]
pub(crate) const LOOKS: u32 = 32;
/// None: who spins is let go on by loom whenever there is something new to see, as a worker is that
/// looks once.
#[cfg(loom)]
pub(crate) const LOOKS: u32 = 0;

/// A clock by which every wait is over, so that workers sleep whenever they can.
#[cfg(loom)]
pub(crate) struct Instant;

#[cfg(loom)]
impl Instant {
    pub(crate) fn now() -> Self {
        Self
    }

    pub(crate) fn elapsed(&self) -> std::time::Duration {
        std::time::Duration::MAX
    }
}
