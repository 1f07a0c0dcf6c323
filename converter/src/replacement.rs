//! A file that is replaced at once or not at all, whatever happens meanwhile.
//!
//! The new content is written beside the old, under a name that nobody can guess and with a lock
//! that lasts as long as its process. It reaches the disk, takes the name, and then the name
//! reaches the disk: at every moment the name stands for all of the old content or all of the new.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The end of the names of files that are not complete.
const END: &str = ".part";
/// Digits between the name of a file and that end.
const DIGITS: usize = 16;

/// A file beside its final place, removed unless it is committed.
#[derive(Debug)]
pub struct Replacement {
    file: File,
    temporary: PathBuf,
    target: PathBuf,
    /// Those of the file that is there already.
    permissions: Option<Permissions>,
    committed: bool,
}

impl Replacement {
    /// Begins a file that will be at `target`, with the permissions of the one that is there, or with
    /// `mode` (less the umask) if there is none. Through a link, what it points to is replaced.
    ///
    /// Removes what processes that were killed have left of the same file.
    ///
    /// # Errors
    /// If `target` is no regular file ([`io::ErrorKind::IsADirectory`] or
    /// [`io::ErrorKind::InvalidInput`]), or nothing can be written beside it.
    pub fn begin(target: &Path, mode: u32) -> io::Result<Self> {
        let target = followed(target);
        let permissions = match fs::metadata(&target) {
            Ok(meta) if meta.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(meta) if !meta.is_file() => return Err(not_regular()),
            Ok(meta) => Some(meta.permissions()),
            Err(_) => None,
        };
        let name = target.file_name().ok_or(io::ErrorKind::InvalidFilename)?.to_owned();
        remove_leftovers(folder(&target), &name);
        // Never wider than what it replaces, not even for a moment.
        let mode = permissions.as_ref().map_or(mode, |old| old.mode() & mode);
        let (file, temporary) = create(&target, &name, mode)?;
        Ok(Self { file, temporary, target, permissions, committed: false })
    }

    /// The file, to be written.
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// The place of the file until it is complete.
    pub fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Puts the file in its place, on disk for good.
    ///
    /// # Errors
    /// If that fails; the old file is then as it was.
    pub fn commit(mut self) -> io::Result<()> {
        if let Some(permissions) = self.permissions.take() {
            self.file.set_permissions(permissions)?;
        }
        self.file.sync_all()?;
        fs::rename(&self.temporary, &self.target)?;
        self.committed = true;
        // The name is only safe with its folder; where that cannot be synced, so be it.
        let _ = File::open(folder(&self.target)).and_then(|folder| folder.sync_all());
        Ok(())
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if !self.committed {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Refuses what is no regular file before it is opened: a pipe would wait for its other end.
///
/// # Errors
/// If there is nothing, or something else than a file.
pub fn check_regular(path: &Path) -> io::Result<()> {
    let meta = fs::metadata(path)?;
    match meta.is_file() {
        true => Ok(()),
        false if meta.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        false => Err(not_regular()),
    }
}

/// Reads a regular file whole.
///
/// # Errors
/// As [`check_regular`], or if it cannot be read.
pub fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    check_regular(path)?;
    fs::read(path)
}

fn not_regular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")
}

/// Follows links, also to what is not there yet.
fn followed(path: &Path) -> PathBuf {
    if let Ok(found) = fs::canonicalize(path) {
        return found;
    }
    match fs::read_link(path) {
        Ok(to) => folder(path).join(to),
        Err(_) => path.to_path_buf(),
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Creates and locks a file of a name that is free.
fn create(target: &Path, name: &OsStr, mode: u32) -> io::Result<(File, PathBuf)> {
    loop {
        let temporary = target.with_file_name(hidden(name));
        let mut options = OpenOptions::new();
        // Created anew, which follows no link.
        options.write(true).create_new(true).mode(mode).custom_flags(libc::O_NOFOLLOW);
        let file = match options.open(&temporary) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            other => other?,
        };
        // Between the two steps somebody may take it for a leftover: whoever has its lock removes it.
        // (Some file systems have no locks: nothing is ever taken for one there.)
        let taken = matches!(file.try_lock(), Err(TryLockError::WouldBlock));
        if !taken && file.metadata()?.nlink() > 0 {
            return Ok((file, temporary));
        }
    }
}

/// A hidden name that nobody can guess.
fn hidden(name: &OsStr) -> OsString {
    let random = RandomState::new().build_hasher().finish();
    let mut hidden = OsString::from(".");
    // Names have at most 255 bytes.
    hidden.push(OsStr::from_bytes(&name.as_bytes()[..name.len().min(200)]));
    hidden.push(format!(".{random:0DIGITS$x}{END}"));
    hidden
}

/// Removes files of such names that no process holds the lock of.
fn remove_leftovers(folder: &Path, name: &OsStr) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let found = entry.file_name();
        if !is_hidden_name_of(found.as_bytes(), name.as_bytes()) {
            continue;
        }
        let mut options = OpenOptions::new();
        options.write(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let Ok(file) = options.open(entry.path()) else { continue };
        let is_regular = file.metadata().is_ok_and(|meta| meta.is_file());
        if is_regular && file.try_lock().is_ok() {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn is_hidden_name_of(found: &[u8], name: &[u8]) -> bool {
    let middle = found.strip_prefix(b".").and_then(|rest| {
        rest.strip_prefix(&name[..name.len().min(200)])?.strip_suffix(END.as_bytes())
    });
    let digits = middle.and_then(|middle| middle.strip_prefix(b"."));
    digits.is_some_and(|digits| digits.len() == DIGITS && digits.iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_ours_are_leftovers() {
        let name = OsStr::new("a.oar");
        assert!(is_hidden_name_of(hidden(name).as_bytes(), name.as_bytes()));
        for other in ["a.oar", ".a.oar.part", ".a.oar.0123.part", ".b.oar.0123456789abcdef.part"] {
            assert!(!is_hidden_name_of(other.as_bytes(), name.as_bytes()), "{other}");
        }
        let long = OsString::from("x".repeat(255));
        assert!(hidden(&long).len() <= 255);
        assert!(is_hidden_name_of(hidden(&long).as_bytes(), long.as_bytes()));
    }
}
