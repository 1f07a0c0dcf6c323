//! Files as memory.
#![allow(unsafe_code)]

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

use crate::error::{Error, Result};

/// Maps the file at `path` for reading.
///
/// Another process that truncates the file meanwhile makes reading it a SIGBUS: that
/// cannot be turned into an error, and ends the conversion without its output.
pub fn map(path: &Path) -> Result<Mmap> {
    let file = File::open(path).map_err(|e| Error::read(path, &e))?;
    let meta = file.metadata().map_err(|e| Error::read(path, &e))?;
    if !meta.is_file() {
        return Err(Error::new(path.display(), "not a file", "check the path"));
    }
    // SAFETY: the map is private and only ever read as bytes, of which any value will do;
    // weights that change underneath give other weights.
    unsafe { Mmap::map(&file) }.map_err(|e| Error::read(path, &e))
}
