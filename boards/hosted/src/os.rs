//! The few system calls that the standard library does not have.
#![allow(unsafe_code)]

use crate::cgroup;

/// Bytes of memory that this machine has and lets this process use.
pub fn memory() -> Option<u64> {
    [machine_memory(), cgroup::memory_limit()].into_iter().flatten().min()
}

fn machine_memory() -> Option<u64> {
    // SAFETY: the calls take no pointer.
    let [pages, size] =
        unsafe { [libc::sysconf(libc::_SC_PHYS_PAGES), libc::sysconf(libc::_SC_PAGESIZE)] };
    u64::try_from(pages).ok()?.checked_mul(u64::try_from(size).ok()?)
}

/// The processors that this process may run on.
#[cfg(target_os = "linux")]
pub fn allowed_cpus() -> Vec<usize> {
    let mut set = std::mem::MaybeUninit::<libc::cpu_set_t>::zeroed();
    // SAFETY: the size is that of the set, for which zero is valid.
    unsafe {
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), set.as_mut_ptr()) != 0 {
            return Vec::new();
        }
        let set = set.assume_init();
        (0..libc::CPU_SETSIZE as usize).filter(|&cpu| libc::CPU_ISSET(cpu, &set)).collect()
    }
}

/// A number that the kernel knows by name.
#[cfg(target_os = "macos")]
pub fn sysctl(name: &std::ffi::CStr) -> Option<usize> {
    let (mut value, mut len) = (0_i32, size_of::<i32>());
    // SAFETY: the name ends in a zero byte; value and length describe each other.
    let done = unsafe {
        libc::sysctlbyname(
            name.as_ptr(),
            (&raw mut value).cast(),
            &raw mut len,
            std::ptr::null_mut(),
            0,
        )
    };
    if done == 0 { usize::try_from(value).ok() } else { None }
}
