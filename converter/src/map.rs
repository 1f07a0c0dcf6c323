//! Files as memory.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::path::Path;

use memmap2::Mmap;

use crate::error::{Error, Result, Shown};
use crate::replacement::check_regular;

/// Maps the file at `path` for reading.
///
/// Another process that truncates the file meanwhile makes reading it a SIGBUS: that
/// cannot be turned into an error, and ends the conversion without its output.
pub fn map(path: &Path) -> Result<Mmap> {
    check_regular(path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => Error::read(path, &e),
        _ => Error::new(path.shown(), "not a file", "check the path"),
    })?;
    let file = File::open(path).map_err(|e| Error::read(path, &e))?;
    // SAFETY: the map is private and only ever read as bytes, of which any value will do;
    // weights that change underneath give other weights.
    unsafe { Mmap::map(&file) }.map_err(|e| Error::read(path, &e))
}
