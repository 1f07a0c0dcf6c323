//! Names of files that are not complete, where a signal's handler can read them.
//!
//! A handler may wait for no lock and ask for no memory, so the names lie in places of their own, each as
//! a C string. One that begins with its end is free. Only one thread at a time writes them.
#![allow(unsafe_code)]

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};

/// Names that are kept; more files than that are not made at once.
const PLACES: usize = 8;
/// Bytes of the longest name that Linux opens, with its end (`PATH_MAX`).
const LONGEST: usize = 4096;

type Place = [AtomicU8; LONGEST];

static NAMES: [Place; PLACES] = [const { [const { AtomicU8::new(0) }; LONGEST] }; PLACES];

/// Keeps the name of a file that was just made; one for which there is no place is not kept.
pub fn keep(path: &Path) {
    let name = path.as_os_str().as_bytes();
    let free = NAMES.iter().find(|place| is_free(place));
    let (Some(place), Some((first, rest))) = (free, name.split_first()) else { return };
    if name.len() >= LONGEST {
        return;
    }
    let end = std::iter::once(&0);
    for (to, byte) in place.iter().skip(1).zip(rest.iter().chain(end)) {
        to.store(*byte, Ordering::Relaxed);
    }
    // Last: until then the place is free.
    store_first(place, *first);
}

/// Forgets the name of a file that is complete or gone.
pub fn forget(path: &Path) {
    let name = path.as_os_str().as_bytes();
    let is_kept = |place: &&Place| {
        let kept = place.iter().map(|byte| byte.load(Ordering::Relaxed));
        kept.take_while(|&byte| byte != 0).eq(name.iter().copied())
    };
    NAMES.iter().filter(is_kept).for_each(|place| store_first(place, 0));
}

/// Removes the files, for a program that ends at once. May be called in a handler.
pub fn remove() {
    for place in NAMES.iter().filter(|place| !is_free(place)) {
        // SAFETY: the bytes are there for good and end with a zero; `unlink` may be called in a
        // handler (POSIX, 2.4.3).
        unsafe { libc::unlink(place.as_ptr().cast()) };
    }
}

fn is_free(place: &Place) -> bool {
    place.first().is_none_or(|first| first.load(Ordering::Acquire) == 0)
}

fn store_first(place: &Place, byte: u8) {
    if let Some(first) = place.first() {
        first.store(byte, Ordering::Release);
    }
}
