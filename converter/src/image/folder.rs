//! A folder that appears under its name only when it is complete.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, Shown};

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
}

impl Staging {
    fn create(out: &Path) -> Result<Self> {
        let name = out.file_name().ok_or_else(|| {
            Error::new(out.shown(), "not the name of a folder", "give one with -o")
        })?;
        let name = format!(".{}.{}.part", name.to_string_lossy(), std::process::id());
        let path = out.with_file_name(name);
        fs::create_dir(&path).map_err(|e| Error::write(out, &e))?;
        Ok(Self { path })
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}
