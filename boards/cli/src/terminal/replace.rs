//! Files that are replaced at once or not at all, and never left unfinished.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use oarlock_convert::replacement::Replacement;

use super::signals::Leftover;

/// Permissions of a conversation: nobody else's business.
pub const PRIVATE: u32 = 0o600;
/// Permissions of what is measured.
pub const PUBLIC: u32 = 0o666;

/// A file in the making; a signal that ends the program removes it.
pub struct Unfinished {
    leftover: Leftover,
    replacement: Replacement,
}

impl Unfinished {
    /// Begins a file that will be at `path`.
    pub fn begin(path: &Path, mode: u32) -> io::Result<Self> {
        let replacement = Replacement::begin(path, mode)?;
        let leftover = Leftover::file(replacement.temporary().into());
        Ok(Self { leftover, replacement })
    }

    /// The file, to be written.
    pub fn file(&self) -> &File {
        self.replacement.file()
    }

    /// Puts the file in its place, on disk for good.
    pub fn commit(self) -> io::Result<()> {
        self.replacement.commit()?;
        self.leftover.keep();
        Ok(())
    }
}

/// Gives the file at `path` these bytes; a device takes them as it is.
pub fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(meta) if !meta.is_file() && !meta.is_dir() => fs::write(path, bytes),
        _ => replace(path, PUBLIC, |out| out.write_all(bytes)),
    }
}

/// Gives the file at `path` the content that `write` writes.
pub fn replace(
    path: &Path,
    mode: u32,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let unfinished = Unfinished::begin(path, mode)?;
    let mut out = BufWriter::with_capacity(1 << 16, unfinished.file());
    write(&mut out)?;
    out.into_inner().map_err(io::IntoInnerError::into_error)?;
    unfinished.commit()
}
