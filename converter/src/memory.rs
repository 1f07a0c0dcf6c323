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
    // What is cleaned up may want memory too, in vain: then it stays.
    let _ = FALLIBLE.try_with(|fallible| fallible.set(true));
    if LEAVING.swap(true, Ordering::SeqCst) {
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
    // SAFETY: the bytes are there; `_exit` runs nothing that may be in the middle of something.
    unsafe {
        libc::write(libc::STDERR_FILENO, line.as_ptr().cast(), len);
        libc::_exit(EXIT_CODE)
    }
}

/// Words of a process under which a mapped file was truncated by another: its pages are gone.
const CUT_SHORT: &[u8] = b"error: model: another process cut the file short while it ran \
    (replace a model by renaming a new file over it)\n";

extern "C" fn say_cut_short(_: libc::c_int) {
    // SAFETY: write and _exit may be called in a handler; the bytes are there.
    unsafe {
        libc::write(libc::STDERR_FILENO, CUT_SHORT.as_ptr().cast(), CUT_SHORT.len());
        libc::_exit(EXIT_CODE);
    }
}

/// Ends the process with a line if a mapped file loses its pages.
pub fn end_on_lost_pages() {
    // SAFETY: zero is a valid action; the handler calls nothing but what may be called in one, on
    // a stack of its own where the thread has one.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = say_cut_short as *const () as libc::sighandler_t;
        action.sa_flags = libc::SA_ONSTACK;
        libc::sigemptyset(&raw mut action.sa_mask);
        libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut());
    }
}
