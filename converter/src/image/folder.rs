//! A folder that appears under its name only when it is complete.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, Shown};
use crate::replacement::{hidden_name, hold, remove_leftovers};

/// A folder that `fill` fills, and that appears when it is complete.
pub(super) fn write_folder(out: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) || out.is_file() {
        return Err(Error::new(out.shown(), "it exists already", "remove it, or give another"));
    }
    let staging = Staging::create(out)?;
    fill(&staging.path)?;
    fs::rename(&staging.path, out).map_err(|e| Error::write(out, &e))
}

/// A folder in the making, removed unless it was renamed.
struct Staging {
    path: PathBuf,
    /// The folder, open: its lock tells others that this process lives.
    _held: Option<File>,
}

impl Staging {
    /// Makes one beside `out`, and removes those of processes that were killed.
    fn create(out: &Path) -> Result<Self> {
        let name = out.file_name().ok_or_else(|| {
            Error::new(out.shown(), "not the name of a folder", "give one with -o")
        })?;
        let above = out.parent().filter(|above| !above.as_os_str().is_empty());
        remove_leftovers(above.unwrap_or(Path::new(".")), name);
        Self::make(out, name).map_err(|e| Error::write(out, &e))
    }

    fn make(out: &Path, name: &OsStr) -> io::Result<Self> {
        loop {
            let path = out.with_file_name(hidden_name(name));
            fs::create_dir(&path)?;
            let mut staging = Self { path, _held: None };
            let held = match File::open(&staging.path) {
                // Somebody has taken it for a leftover.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened?,
            };
            if hold(&held)? {
                staging._held = Some(held);
                return Ok(staging);
            }
        }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_killed_processes_go_and_those_of_living_ones_stay() {
        let above = std::env::temp_dir().join(format!("oarlock-folder-{}", std::process::id()));
        let [dead, living, other] =
            [".x.0123456789abcdef.part", ".x.fedcba9876543210.part", ".y.0123456789abcdef.part"]
                .map(|name| above.join(name));
        for folder in [&dead, &living, &other] {
            fs::create_dir_all(folder.join("half")).unwrap();
        }
        let held = File::open(&living).unwrap();
        held.lock().unwrap();
        let fill = |folder: &Path| fs::write(folder.join("a"), "a").map_err(|_| Error::Cancelled);
        write_folder(&above.join("x"), fill).unwrap();
        assert!(!dead.exists() && living.exists() && other.exists());
        assert!(above.join("x/a").is_file());
        assert!(write_folder(&above.join("z"), |_| Err(Error::Cancelled)).is_err());
        assert_eq!(fs::read_dir(&above).unwrap().count(), 3, "nothing of z is left");
        fs::remove_dir_all(above).unwrap();
    }
}
