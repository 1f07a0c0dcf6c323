//! Memory that is not there, in a program: a line and exit code 2 in place of an abort.
//!
//! A program that makes [`Allocator`] its own ends in order wherever memory is refused, also deep
//! in a crate that knows no such failure. Code that can do with less says so by [`fallible`].
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::unfinished;

/// Exit code of a program that has ended for want of memory.
pub const EXIT_CODE: i32 = 2;

/// The system's allocator, which ends the program where that fails.
#[derive(Clone, Copy, Debug)]
pub struct Allocator;

// SAFETY: all of it is the system's; that the program ends in place of a null pointer takes
// nothing from that.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is the one that the system wants.
        checked(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        checked(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        checked(unsafe { System.realloc(old, layout, size) }, size)
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(old, layout) }
    }
}

thread_local! {
    /// Whether this thread can do with less.
    static FALLIBLE: Cell<bool> = const { Cell::new(false) };
}

/// Runs what asks for memory by `try_reserve` and has a way on without it.
pub fn fallible<T>(run: impl FnOnce() -> T) -> T {
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            FALLIBLE.set(self.0);
        }
    }
    let _before = Before(FALLIBLE.replace(true));
    run()
}

thread_local! {
    /// Whether this thread is ending the program.
    static ENDING: Cell<bool> = const { Cell::new(false) };
}

static AT_END: OnceLock<fn()> = OnceLock::new();
static LEAVING: AtomicBool = AtomicBool::new(false);

/// Has `clean` called before the program ends for want of memory. It must not wait for a lock
/// that its own thread may hold.
pub fn at_end(clean: fn()) {
    // The first one stays.
    let _ = AT_END.set(clean);
}

fn checked(given: *mut u8, size: usize) -> *mut u8 {
    if given.is_null() && !FALLIBLE.try_with(Cell::get).unwrap_or(false) {
        end(size);
    }
    given
}

/// Ends the program; allocates nothing itself.
#[cold]
fn end(size: usize) -> ! {
    if ENDING.try_with(|ending| ending.replace(true)).unwrap_or(true) {
        // What is cleaned up wants memory too, in vain: then it stays.
    } else if LEAVING.swap(true, Ordering::SeqCst) {
        // Another thread is at it, and ends this one too.
        std::thread::sleep(Duration::from_secs(1));
    } else if let Some(clean) = AT_END.get() {
        clean();
    }
    let mut line = [0; 128];
    let room = line.len();
    let mut rest = &mut line[..];
    let _ =
        writeln!(rest, "error: memory: the system has no {size} bytes more (give less at once)");
    let len = room - rest.len();
    leave(line.get(..len).unwrap_or_default())
}

/// Says a line and ends the process; may be called in a handler.
fn leave(line: &[u8]) -> ! {
    // SAFETY: the bytes are there; `_exit` runs nothing that may be in the middle of something.
    unsafe {
        libc::write(libc::STDERR_FILENO, line.as_ptr().cast(), line.len());
        libc::_exit(EXIT_CODE)
    }
}

/// A program's way to end when a mapped file has lost pages, because another process truncated it.
struct LostPages {
    line: &'static str,
    clean: fn(),
    before: libc::sigaction,
}

static LOST_PAGES: OnceLock<LostPages> = OnceLock::new();

/// Ends the process with `line` if a mapped file loses its pages. Files that are not complete are
/// removed and `clean` is called before, which must do nothing that a signal's handler may not.
pub fn end_on_lost_pages(line: &'static str, clean: fn()) {
    // SAFETY: zero is a valid action. The handler does nothing but what may be done in one, on a
    // stack of its own where the thread has one.
    unsafe {
        let mut before: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGBUS, std::ptr::null(), &raw mut before);
        if LOST_PAGES.set(LostPages { line, clean, before }).is_err() {
            return;
        }
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_bus_error as *const () as libc::sighandler_t;
        action.sa_flags = libc::SA_ONSTACK | libc::SA_SIGINFO;
        libc::sigemptyset(&raw mut action.sa_mask);
        libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut());
    }
}

extern "C" fn on_bus_error(signal: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let Some(LostPages { line, clean, before }) = LOST_PAGES.get() else { return };
    // SAFETY: the system gives a handler that asks for it (SA_SIGINFO) what happened.
    let (code, address) = unsafe { ((*info).si_code, (*info).si_addr() as usize) };
    // A positive code is the system's own; others are those of processes that sent it.
    let is_sent = code <= 0;
    if !is_sent && !is_below_stack(address) {
        unfinished::remove();
        clean();
        leave(line.as_bytes());
    }
    // SAFETY: all may be called in a handler, and the action is one that the system gave.
    unsafe {
        if is_sent {
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        } else {
            // A fault of another kind is for whoever asked before: it comes again on return.
            libc::sigaction(signal, std::ptr::from_ref(before), std::ptr::null_mut());
        }
    }
}

/// Whether an address lies where this thread's stack overflows to, which is a SIGBUS on macOS.
#[cfg(target_os = "macos")]
fn is_below_stack(address: usize) -> bool {
    const GUARD: usize = 1 << 20;
    // SAFETY: both read what the thread knows of itself.
    let (top, size) = unsafe {
        let this = libc::pthread_self();
        (libc::pthread_get_stackaddr_np(this) as usize, libc::pthread_get_stacksize_np(this))
    };
    (top.saturating_sub(size + GUARD)..top).contains(&address)
}

#[cfg(not(target_os = "macos"))]
fn is_below_stack(_: usize) -> bool {
    false
}
