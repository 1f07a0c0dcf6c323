//! Limits that the system sets to a process that runs a template.
#![allow(unsafe_code)]

/// Bounds memory (bytes) and time on the CPU (seconds), lets no file grow and leaves no core behind.
///
/// Limits that the system does not know bound nothing: the time that is waited for is bounded besides.
pub fn set(memory: u64, seconds: u64) {
    let limits = [
        (libc::RLIMIT_AS, memory),
        (libc::RLIMIT_DATA, memory),
        (libc::RLIMIT_CPU, seconds),
        (libc::RLIMIT_FSIZE, 0),
        (libc::RLIMIT_CORE, 0),
    ];
    for (resource, most) in limits {
        let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
        // SAFETY: the pointer is valid for the call, which changes nothing but this process's limits.
        unsafe { libc::setrlimit(resource, &raw const limit) };
    }
}
