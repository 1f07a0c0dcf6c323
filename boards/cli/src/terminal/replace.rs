//! Files that are replaced at once or not at all, and never left unfinished.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use oarlock_convert::replacement::Replacement;

/// Permissions of a conversation: nobody else's business.
pub const PRIVATE: u32 = 0o600;
/// Permissions of what is measured.
pub const PUBLIC: u32 = 0o666;

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
    let replacement = Replacement::begin(path, mode)?;
    let mut out = BufWriter::with_capacity(1 << 16, replacement.file());
    write(&mut out)?;
    out.into_inner().map_err(io::IntoInnerError::into_error)?;
    replacement.commit()
}
