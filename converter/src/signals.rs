//! An interrupt ends the program: at once while there is nothing to clean up, and by a flag that the
//! conversion asks for once it writes.
//!
//! A source is read, parsed and planned by hundreds of loops over what a file holds, and by a parser
//! that is not ours. None of them has to ask: until [`clean_up`] they may be left where they are. A
//! template's process sees by itself that this one has ended.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicBool, Ordering};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
static WRITES: AtomicBool = AtomicBool::new(false);

/// The words of [`Error::Cancelled`](oarlock_convert::Error::Cancelled).
const LINE: &str = "error: conversion: interrupted (nothing was written)\n";
const EXIT_CODE: libc::c_int = 130;

extern "C" fn interrupt(_: libc::c_int) {
    INTERRUPTED.store(true, Ordering::SeqCst);
    if !WRITES.load(Ordering::SeqCst) {
        // SAFETY: both are allowed in a handler (POSIX, 2.4.3), and the pointer has as many bytes.
        unsafe {
            libc::write(libc::STDERR_FILENO, LINE.as_ptr().cast(), LINE.len());
            libc::_exit(EXIT_CODE);
        }
    }
}

/// Catches what a terminal or a system sends to end a program in order.
pub fn catch() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the handler only uses atomics and what is allowed in one.
        unsafe { libc::signal(signal, interrupt as *const () as libc::sighandler_t) };
    }
    // SAFETY: to ignore a signal runs nothing. A file over the user's limit is then an
    // error like any other.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// From now on something would be left behind: an interrupt waits until it is asked for.
pub fn clean_up() {
    WRITES.store(true, Ordering::SeqCst);
}

/// Whether such a signal came.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}
