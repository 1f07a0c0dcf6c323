//! A file that is replaced at once or not at all, whatever happens meanwhile.
//!
//! The new content is written beside the old, under a name that nobody can guess and with a lock
//! that lasts as long as its process. It reaches the disk, takes the name, and then the name
//! reaches the disk: at every moment the name stands for all of the old content or all of the new.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions, Permissions, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::unfinished;

/// The end of the names of files that are not complete.
const END: &str = ".part";
/// Digits between the name of a file and that end.
const DIGITS: usize = 16;
/// Links that are followed to what is not there, as many as systems follow.
const MAX_LINKS: usize = 40;

/// Files of this process that are not complete.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A file beside its final place, removed unless it is committed.
#[derive(Debug)]
pub struct Replacement {
    file: File,
    temporary: PathBuf,
    target: PathBuf,
    /// Those of the file that is there already.
    old: Option<Rights>,
    /// Whether the new file is a program, whatever the old one was.
    program: bool,
}

/// Owner and permissions of a file.
#[derive(Clone, Copy, Debug)]
struct Rights {
    user: u32,
    group: u32,
    mode: u32,
}

impl Rights {
    fn new(meta: &Metadata) -> Self {
        Self { user: meta.uid(), group: meta.gid(), mode: meta.mode() & 0o777 }
    }
}

impl Replacement {
    /// Begins a file that will be at `target`, with owner and permissions of the one that is there,
    /// or with `mode` (less the umask) if there is none. Through a link, what it points to is
    /// replaced.
    ///
    /// Removes what processes that were killed have left of the same file.
    ///
    /// # Errors
    /// If `target` is no regular file ([`io::ErrorKind::IsADirectory`] or
    /// [`io::ErrorKind::InvalidInput`]), or nothing can be written beside it.
    pub fn begin(target: &Path, mode: u32) -> io::Result<Self> {
        let target = followed(target)?;
        let old = match fs::metadata(&target) {
            Ok(meta) if meta.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(meta) if !meta.is_file() => return Err(not_regular()),
            Ok(meta) => Some(Rights::new(&meta)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let name = target.file_name().ok_or(io::ErrorKind::InvalidFilename)?.to_owned();
        remove_leftovers(folder(&target), &name);
        // Nobody reads of the new what he may not read of the old; we come at it as a leftover too.
        let mode = old.map_or(mode, |old| mode & old.mode | 0o600);
        let (file, temporary) = create(&target, &name, mode)?;
        Ok(Self { file, temporary, target, old, program: false })
    }

    /// The file, to be written.
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// Makes the file a program, which all may run who may read it.
    pub fn make_program(&mut self) {
        self.program = true;
    }

    /// Puts the file in its place, on disk for good.
    ///
    /// # Errors
    /// If that fails; the old file is then as it was.
    pub fn commit(self) -> io::Result<()> {
        self.settle_rights()?;
        self.file.sync_all()?;
        fs::rename(&self.temporary, &self.target)?;
        forget(&self.temporary);
        // The name is only safe with its folder; where that cannot be synced, so be it.
        let _ = File::open(folder(&self.target)).and_then(|folder| folder.sync_all());
        Ok(())
    }

    /// Gives the file owner and permissions of the old one, as far as this user may.
    fn settle_rights(&self) -> io::Result<()> {
        let new = Rights::new(&self.file.metadata()?);
        let mut mode = self.old.map_or(new.mode, |old| old.mode);
        if let Some(old) = self.old {
            let (user, group) = (Some(old.user), Some(old.group));
            let is_same = (new.user, new.group) == (old.user, old.group);
            if !is_same
                && fchown(&self.file, user, group).is_err()
                && fchown(&self.file, None, group).is_err()
            {
                // Another group is let do no more than anybody is.
                mode &= !0o070 | (mode & 0o007) << 3;
            }
        }
        if self.program {
            mode |= if self.old.is_some() { (mode & 0o444) >> 2 } else { 0o755 };
        }
        self.file.set_permissions(Permissions::from_mode(mode))
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        // A file that was committed is on the list no more.
        if forget(&self.temporary) {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Removes all files that are not complete, for a program that is about to end; those that are
/// begun or completed later wait for that end. Where `wait` is false, nothing is waited for or allocated.
pub fn remove_unfinished(wait: bool) {
    let list = if wait { Some(list()) } else { UNFINISHED.try_lock().ok() };
    // Without a lock and without memory, which there may be none of.
    unfinished::remove();
    if let Some(list) = list {
        list.iter().filter(|_| wait).for_each(|path| drop(fs::remove_file(path)));
        std::mem::forget(list);
    }
}

fn list() -> MutexGuard<'static, Vec<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a file off the list; whether it was there.
fn forget(temporary: &Path) -> bool {
    let mut list = list();
    unfinished::forget(temporary);
    let at = list.iter().position(|path| path == temporary);
    at.map(|at| list.swap_remove(at)).is_some()
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
fn followed(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_path_buf();
    for _ in 0..MAX_LINKS {
        match fs::canonicalize(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            found => return found,
        }
        match fs::read_link(&path) {
            Ok(to) => path = folder(&path).join(to),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many links"))
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Creates and locks a file of a name that is free.
fn create(target: &Path, name: &OsStr, mode: u32) -> io::Result<(File, PathBuf)> {
    loop {
        let temporary = target.with_file_name(hidden_name(name));
        let mut options = OpenOptions::new();
        // Created anew, which follows no link.
        options.write(true).create_new(true).mode(mode).custom_flags(libc::O_NOFOLLOW);
        // A signal that ends the program finds either none or one that is on the list.
        let mut list = list();
        let file = match options.open(&temporary) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            other => other?,
        };
        if hold(&file)? {
            unfinished::keep(&temporary);
            list.push(temporary.clone());
            return Ok((file, temporary));
        }
    }
}

/// Locks a file or folder that was just made, which tells others that its process lives; false
/// if one of them has taken it for a leftover before that.
pub(crate) fn hold(made: &File) -> io::Result<bool> {
    // Some file systems have no locks: then nothing is ever taken for a leftover there.
    let taken = matches!(made.try_lock(), Err(TryLockError::WouldBlock));
    Ok(!taken && made.metadata()?.nlink() > 0)
}

/// A hidden name that nobody can guess, for what will be called `name`.
pub(crate) fn hidden_name(name: &OsStr) -> OsString {
    let random = RandomState::new().build_hasher().finish();
    let mut hidden = OsString::from(".");
    // Names have at most 255 bytes.
    hidden.push(OsStr::from_bytes(&name.as_bytes()[..name.len().min(200)]));
    hidden.push(format!(".{random:0DIGITS$x}{END}"));
    hidden
}

/// Removes files and folders of such names that no process holds the lock of.
pub(crate) fn remove_leftovers(folder: &Path, name: &OsStr) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (found, path) = (entry.file_name(), entry.path());
        let Ok(kind) = entry.file_type() else { continue };
        let is_ours = kind.is_file() || kind.is_dir();
        if !is_ours || !is_hidden_name_of(found.as_bytes(), name.as_bytes()) {
            continue;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(kind.is_file());
        options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        if !options.open(&path).is_ok_and(|held| held.try_lock().is_ok()) {
            continue;
        }
        let _ = if kind.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
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
        assert!(is_hidden_name_of(hidden_name(name).as_bytes(), name.as_bytes()));
        for other in ["a.oar", ".a.oar.part", ".a.oar.0123.part", ".b.oar.0123456789abcdef.part"] {
            assert!(!is_hidden_name_of(other.as_bytes(), name.as_bytes()), "{other}");
        }
        let long = OsString::from("x".repeat(255));
        assert!(hidden_name(&long).len() <= 255);
        assert!(is_hidden_name_of(hidden_name(&long).as_bytes(), long.as_bytes()));
    }
    #[test]
    fn nobody_reads_of_the_new_file_what_he_may_not_read_of_the_old() {
        let folder = std::env::temp_dir().join(format!("oarlock-replaced-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let target = folder.join("a");
        for mode in [0o600, 0o400, 0o640] {
            fs::write(&target, "old").unwrap();
            fs::set_permissions(&target, Permissions::from_mode(mode)).unwrap();
            let new = Replacement::begin(&target, 0o666).unwrap();
            let mut meta = fs::metadata(&new.temporary).unwrap();
            assert_eq!(meta.mode() & 0o777 & !mode & !0o600, 0, "{mode:o}");
            new.commit().unwrap();
            meta = fs::metadata(&target).unwrap();
            assert_eq!((meta.mode() & 0o777, meta.len()), (mode, 0));
            fs::remove_file(&target).unwrap();
        }
        drop(Replacement::begin(&target, 0o666).unwrap());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        fs::remove_dir_all(folder).unwrap();
    }
}
