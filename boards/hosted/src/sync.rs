//! The means by which the pool's threads meet: those of the standard library, in one place, so that
//! `tests/safety/pool` can put others there, which it runs through all interleavings.

pub(crate) use std::hint::spin_loop;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, fence};
pub(crate) use std::sync::{Arc, Condvar, Mutex, MutexGuard};
pub(crate) use std::thread::{self, JoinHandle};
pub(crate) use std::time::Instant;

/// Looks for work between two looks at the clock.
pub(crate) const LOOKS: u32 = 32;
