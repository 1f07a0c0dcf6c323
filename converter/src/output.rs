//! A file that appears under its name only when it is complete.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Refuses to write over what is read.
pub fn refuse_inputs<'p>(out: &Path, mut inputs: impl Iterator<Item = &'p Path>) -> Result<()> {
    if inputs.any(|input| same_file(input, out)) {
        let (what, todo) = ("the output is one of the inputs", "give another name with -o");
        return Err(Error::new(out.display(), what, todo));
    }
    Ok(())
}

/// Whether both paths lead to the same file, through links of either kind.
fn same_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (Ok(a), Ok(b)) = (fs::metadata(a), fs::metadata(b)) else { return false };
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// A temporary file beside its final place, removed unless it is committed.
#[derive(Debug)]
pub struct Output {
    file: File,
    temporary: PathBuf,
    target: PathBuf,
    committed: bool,
}

impl Output {
    /// Creates the temporary file for `target`.
    pub fn create(target: &Path) -> Result<Self> {
        // A link keeps pointing where it points; its target is what gets replaced.
        let target = fs::canonicalize(target).unwrap_or_else(|_| target.into());
        match fs::metadata(&target) {
            Ok(meta) if meta.is_dir() => {
                return Err(Error::new(target.display(), "a directory", "give a file with -o"));
            }
            Ok(meta) if !meta.is_file() => {
                let what = "not a regular file, so it cannot be replaced when complete";
                return Err(Error::new(target.display(), what, "give a file with -o"));
            }
            _ => {}
        }
        let name = target.file_name().ok_or_else(|| {
            Error::new(target.display(), "not the name of a file", "give a file with -o")
        })?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.part", std::process::id()));
        let temporary = target.with_file_name(hidden);
        let file = OpenOptions::new().write(true).create_new(true).open(&temporary);
        let file = file.map_err(|e| Error::write(&target, &e))?;
        Ok(Self { file, temporary, target, committed: false })
    }

    /// The temporary file.
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// The place where the file will be.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Puts the file in its place, on disk for good.
    pub fn commit(mut self) -> Result<()> {
        let fail = |e: io::Error| Error::write(&self.target, &e);
        self.file.sync_all().map_err(fail)?;
        fs::rename(&self.temporary, &self.target).map_err(fail)?;
        self.committed = true;
        // The name is only safe with its directory; where that cannot be synced, so be it.
        let parent = self.target.parent().filter(|p| !p.as_os_str().is_empty());
        if let Ok(directory) = File::open(parent.unwrap_or(Path::new("."))) {
            let _ = directory.sync_all();
        }
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if !self.committed {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}
