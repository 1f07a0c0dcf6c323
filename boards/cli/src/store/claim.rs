//! One process at a time makes what belongs into a folder; what it leaves unfinished is cleaned up.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use oarlock_convert::Shown;

use crate::terminal::console::note;
use crate::terminal::errors::{Outcome, Stop, fault, reason};
use crate::terminal::signals::Leftover;

/// Staging folders are called this, and a process number.
const STAGING: &str = ".staging-";

/// Times that a folder is made again which others remove.
const MAX_TRIES: usize = 5;

/// The time to wait for another process without a word.
const SILENCE: Duration = Duration::from_secs(1);

/// The right to put something into a folder of the cache, held by one process at a time.
///
/// The lock is on the folder itself, so that there is no lock file to be left.
pub struct Claim<'a> {
    folder: &'a Path,
    /// The folder, open: its lock goes with it. `None` on file systems without locks.
    _lock: Option<File>,
    /// Folders that were made for this, innermost first: they go again if nothing comes
    /// into them.
    _made: Vec<Leftover>,
}

impl<'a> Claim<'a> {
    /// Makes the folder if need be and waits until nobody else has it; `others` says what for they
    /// would.
    pub fn take(folder: &'a Path, others: &str) -> Outcome<Self> {
        let mut made = Vec::new();
        loop {
            let file = open_made(folder, &mut made).map_err(|error| unusable(folder, &error))?;
            let locked = wait_for_lock(&file, others);
            // Whoever held the lock may have failed and removed the folder it had made.
            if locked && !is_same(&file, folder) {
                continue;
            }
            made.reverse();
            if locked {
                remove_stale(folder);
            }
            return Ok(Self { folder, _lock: locked.then_some(file), _made: made });
        }
    }

    /// A new folder that goes away with everything in it.
    pub fn staging(&self) -> Outcome<Leftover> {
        let path = self.folder.join(format!("{STAGING}{}", std::process::id()));
        let staging = Leftover::folder(path);
        let made = fs::DirBuilder::new().mode(0o700).create(staging.path());
        made.map_err(|error| unusable(self.folder, &error))?;
        Ok(staging)
    }
}

/// The folder, open and locked, if nobody is at work in it. (Where a file system has no locks nobody
/// can tell: then there is no lock in it.)
pub fn idle(folder: &Path) -> Option<(File, bool)> {
    let file = File::open(folder).ok()?;
    match file.try_lock() {
        Ok(()) => Some((file, true)),
        Err(TryLockError::Error(_)) => Some((file, false)),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// A fault of the cache folder, which another one may not have.
pub fn unusable(folder: &Path, error: &io::Error) -> Stop {
    let thing = format!("cache folder {}", folder.shown());
    fault(thing, reason(error), "set OARLOCK_HOME to a folder that you can write to")
}

/// Makes a folder and opens it: again if a process that had made it, or one above, in vain removes it
/// in between.
fn open_made(folder: &Path, made: &mut Vec<Leftover>) -> io::Result<File> {
    let mut tries = 0;
    loop {
        let file = make_folders(folder).and_then(|more| {
            made.extend(more);
            File::open(folder)
        });
        match file {
            Err(error) if error.kind() == io::ErrorKind::NotFound && tries < MAX_TRIES => {
                tries += 1
            }
            file => return file,
        }
    }
}

/// Makes a folder and those above it, and says which were missing, the outermost first.
fn make_folders(folder: &Path) -> io::Result<Vec<Leftover>> {
    let missing: Vec<_> = folder.ancestors().take_while(|path| !path.exists()).collect();
    let made = missing.iter().rev().map(|path| Leftover::empty_folder(path.to_path_buf()));
    let made = made.collect();
    fs::create_dir_all(folder)?;
    Ok(made)
}

/// Waits for the lock, and says so; false if this file system has none, where two processes would
/// both do the work, in two staging folders, to the same end.
fn wait_for_lock(file: &File, others: &str) -> bool {
    let start = Instant::now();
    let mut said = false;
    loop {
        match file.try_lock() {
            Ok(()) => return true,
            Err(TryLockError::Error(_)) => return false,
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(100)),
        }
        if !said && start.elapsed() > SILENCE {
            note!("Another process {others}: waiting for it");
            said = true;
        }
    }
}

fn is_same(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// Removes what a process that was killed, or lost its power, has left.
fn remove_stale(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(STAGING) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
