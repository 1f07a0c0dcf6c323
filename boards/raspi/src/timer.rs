//! The generic timer: microseconds since the board has power (DDI 0487, chapter D12).
#![allow(unsafe_code)]

use core::sync::atomic::{AtomicU64, Ordering};

use crate::registers::system_register;

/// Count of the timer when this program began.
static START: AtomicU64 = AtomicU64::new(0);

/// Begins to count.
pub fn start() {
    START.store(now(), Ordering::Relaxed);
}

/// Microseconds since [`start`].
pub fn micros() -> u64 {
    let ticks = now().wrapping_sub(START.load(Ordering::Relaxed));
    let per_second = u128::from(system_register!("cntfrq_el0").max(1));
    (u128::from(ticks) * 1_000_000 / per_second) as u64
}

/// A number that nobody can foresee, for lack of a better one: how long people took.
pub fn now() -> u64 {
    // SAFETY: a barrier, so that the counter is not read ahead of what it times.
    unsafe { core::arch::asm!("isb", options(nostack, preserves_flags)) };
    system_register!("cntvct_el0")
}

/// Waits until `done`, at most this long; whether it was.
pub fn wait_until(micros_at_most: u64, mut done: impl FnMut() -> bool) -> bool {
    let start = micros();
    loop {
        if done() {
            return true;
        }
        if micros() - start > micros_at_most {
            return false;
        }
        core::hint::spin_loop();
    }
}
