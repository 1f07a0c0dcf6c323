//! Limits of a process that runs a template.
#![allow(unsafe_code)]

use std::os::unix::process::parent_id;
use std::process::exit;
use std::thread;
use std::time::Duration;

use crate::memory;

/// The time between two looks at this process.
const LOOK: Duration = Duration::from_millis(10);

/// Whether the system keeps a process within `RLIMIT_AS` from outside; macOS does not.
///
/// The peak must not be looked at where it does: on Linux `ru_maxrss` outlives `exec`, and a process that
/// was started by `vfork` begins with the peak of its parent, who may have a whole model in memory.
const IS_BOUNDED: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// Ends this process when the one that asked for it has ended, or when it takes more memory (bytes)
/// on a system that does not bound that itself. Says whether it can.
pub fn watch(memory: u64) -> bool {
    let parent = parent_id();
    let look = move || {
        while parent_id() == parent {
            if !IS_BOUNDED && peak_memory() > memory {
                exit(memory::EXIT_CODE);
            }
            thread::sleep(LOOK);
        }
        exit(1);
    };
    thread::Builder::new().stack_size(64 << 10).spawn(look).is_ok()
}

/// Whether a process that this one starts may have as much memory (bytes).
pub fn allow(memory: u64) -> bool {
    [libc::RLIMIT_AS, libc::RLIMIT_DATA].into_iter().all(|resource| {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the pointer is valid for the call.
        let known = unsafe { libc::getrlimit(resource, &raw mut limit) } == 0;
        !known || limit.rlim_cur >= memory
    })
}

/// The most memory that this process has held, in bytes.
fn peak_memory() -> u64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is valid for the call, and zeros are a value of this structure of numbers.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    u64::try_from(usage.ru_maxrss).unwrap_or(0).saturating_mul(unit)
}

/// Bounds memory (bytes) and time on the CPU (seconds), lets no file grow and leaves no core behind.
///
/// Limits that the system does not know bound nothing: [`watch`] looks at the memory, and the time that is
/// waited for is bounded besides.
pub fn set(memory: u64, seconds: u64) {
    // SAFETY: runs nothing. A program that ignores it has children that do, and would see them killed.
    unsafe { libc::signal(libc::SIGXCPU, libc::SIG_DFL) };
    let limits = [
        (libc::RLIMIT_AS, memory, memory),
        (libc::RLIMIT_DATA, memory, memory),
        // At the first it is told why, by a signal of its own (SIGXCPU); at the second it is killed.
        (libc::RLIMIT_CPU, seconds, seconds + 1),
        (libc::RLIMIT_FSIZE, 0, 0),
        (libc::RLIMIT_CORE, 0, 0),
    ];
    for (resource, soft, hard) in limits {
        let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
        // SAFETY: the pointer is valid for the call, which changes nothing but this process's limits.
        unsafe { libc::setrlimit(resource, &raw const limit) };
    }
}
