//! Files that are replaced at once or not at all, whatever happens meanwhile.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::signals::Leftover;

/// Gives the file at `path` these bytes; a device takes them as it is.
pub fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(meta) if !meta.is_file() && !meta.is_dir() => fs::write(path, bytes),
        _ => replace(path, |out| out.write_all(bytes)),
    }
}

/// Gives the file at `path` the content that `write` writes.
///
/// It is written beside, reaches the disk, takes the name, and then the name reaches the disk:
/// at every moment the name stands for all of the old content or all of the new.
pub fn replace(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    // What a link points to is replaced, not the link.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let folder = File::open(folder(path))?;
    // Others that replace files here wait, so that one name serves all that are being written,
    // and what a process that was killed has left is overwritten. Some file systems cannot.
    let _ = folder.lock();
    let temporary = Leftover::file(beside(path)?);
    let mut out = BufWriter::with_capacity(1 << 16, File::create(temporary.path())?);
    write(&mut out)?;
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    temporary.rename(path)?;
    folder.sync_all()
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A hidden name in the same folder.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().filter(|_| !path.is_dir());
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name.ok_or(io::ErrorKind::IsADirectory)?);
    temporary.push(".tmp");
    Ok(path.with_file_name(temporary))
}
