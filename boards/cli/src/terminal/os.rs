//! The few system calls that the standard library does not have.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::OnceLock;

/// Signals to wait for.
pub struct SignalSet(libc::sigset_t);

/// Blocks `signals` in this thread and all that it starts, and gives the set to wait for.
///
/// SIGHUP is left alone if it is ignored, as under `nohup`. SIGINT is taken even then:
/// shells start background jobs of a script with it ignored, and whoever sends it to such
/// a job means it.
pub fn block_signals(signals: &[i32]) -> SignalSet {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the set, the others take it initialised; the signals
    // are valid numbers, and SIG_DFL is a valid disposition for each of them.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for &signal in signals {
            if signal == libc::SIGHUP && is_ignored(signal) {
                continue;
            }
            libc::signal(signal, libc::SIG_DFL);
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
        SignalSet(set.assume_init())
    }
}

/// Bytes that the stack of the first thread may grow to.
pub fn stack_bytes() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call fills `limit`.
    unsafe { libc::getrlimit(libc::RLIMIT_STACK, &raw mut limit) };
    limit.rlim_cur
}

/// Ignores a signal.
pub fn ignore(signal: i32) {
    // SAFETY: to ignore a signal runs nothing.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// Lets all signals through to this thread again.
pub fn unblock_signals() {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the set before the mask is read from it.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, set.as_ptr(), std::ptr::null_mut());
    }
}

fn is_ignored(signal: i32) -> bool {
    let mut now = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: with no new action the call only fills `now`, for which zero is valid anyway.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), now.as_mut_ptr());
        now.assume_init().sa_sigaction == libc::SIG_IGN
    }
}

impl SignalSet {
    /// Waits for one of the signals.
    pub fn wait(&self) -> i32 {
        let mut signal = 0;
        // SAFETY: both pointers are valid for the call.
        while unsafe { libc::sigwait(&raw const self.0, &raw mut signal) } != 0 {}
        signal
    }
}

/// Ends the process without running anything that other threads may be in the middle of.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit may be called at any time.
    unsafe { libc::_exit(code) }
}

/// Kills a group of processes, led by a child that has not been waited for.
pub fn kill_group(leader: u32) {
    if let Ok(leader) = i32::try_from(leader) {
        // SAFETY: the call takes no pointer. The number is still the group's, since its
        // leader has not been waited for.
        unsafe { libc::kill(-leader, libc::SIGKILL) };
    }
}

static TERMINAL: OnceLock<libc::termios> = OnceLock::new();

/// Remembers how the terminal is set now, before a line editor changes that.
pub fn remember_terminal() {
    let mut now = MaybeUninit::<libc::termios>::zeroed();
    // SAFETY: the call fills `now`, for which zero is valid anyway.
    if unsafe { libc::tcgetattr(libc::STDIN_FILENO, now.as_mut_ptr()) } == 0 {
        // SAFETY: tcgetattr returned 0, so it filled `now`.
        let _ = TERMINAL.set(unsafe { now.assume_init() });
    }
}

/// Sets the terminal as it was remembered, if it was.
pub fn restore_terminal() {
    if let Some(before) = TERMINAL.get() {
        // SAFETY: the pointer is valid for the call.
        unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, before) };
    }
}

/// Bytes that this user may still write on the file system of `path`.
pub fn free_space(path: &Path) -> Option<u64> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    let mut stat = MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: the path ends in a zero byte and `stat` is valid for the call.
    if unsafe { libc::statvfs(path.as_ptr(), stat.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: statvfs returned 0, so it filled `stat`.
    let stat = unsafe { stat.assume_init() };
    #[allow(clippy::unnecessary_cast, reason = "narrower on macOS")]
    Some((stat.f_bavail as u64).saturating_mul(stat.f_frsize as u64))
}

/// The most memory that this process has had resident so far, in bytes.
pub fn peak_memory() -> u64 {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the call fills `usage`, for which zero is valid anyway.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    // Kilobytes on Linux, bytes on macOS.
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    u64::try_from(usage.ru_maxrss).unwrap_or(0) * unit
}
