//! A file that appears under its name only when it is complete.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, Shown};
use crate::replacement::Replacement;

/// Refuses to write over what is read.
pub fn refuse_inputs<'p>(out: &Path, mut inputs: impl Iterator<Item = &'p Path>) -> Result<()> {
    if inputs.any(|input| same_file(input, out)) {
        let (what, todo) = ("the output is one of the inputs", "give another name with -o");
        return Err(Error::new(out.shown(), what, todo));
    }
    Ok(())
}

/// Whether both paths lead to the same file, through links of either kind.
fn same_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (Ok(a), Ok(b)) = (fs::metadata(a), fs::metadata(b)) else { return false };
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// A file that appears under its name only when it is complete, with this module's errors.
#[derive(Debug)]
pub struct Output {
    replacement: Replacement,
    /// The name that the user gave.
    named: PathBuf,
}

impl Output {
    /// Begins the file for `target`.
    pub fn create(target: &Path) -> Result<Self> {
        let replacement = Replacement::begin(target, MODE).map_err(|e| match e.kind() {
            io::ErrorKind::IsADirectory => {
                Error::new(target.shown(), "a directory", "give a file with -o")
            }
            io::ErrorKind::InvalidFilename => {
                Error::new(target.shown(), "not the name of a file", "give a file with -o")
            }
            io::ErrorKind::InvalidInput => {
                let what = "not a regular file, so it cannot be replaced when complete";
                Error::new(target.shown(), what, "give a file with -o")
            }
            _ => Error::write(target, &e),
        })?;
        Ok(Self { replacement, named: target.into() })
    }

    /// The temporary file.
    pub const fn file(&self) -> &File {
        self.replacement.file()
    }

    /// Makes the file a program.
    pub fn make_program(&mut self) {
        self.replacement.make_program();
    }

    /// The place where the file will be.
    pub fn target(&self) -> &Path {
        &self.named
    }

    /// Puts the file in its place, on disk for good.
    pub fn commit(self) -> Result<()> {
        let Self { replacement, named } = self;
        replacement.commit().map_err(|e| Error::write(&named, &e))
    }
}

/// Readable by all whom the umask lets: models and images are no secrets.
const MODE: u32 = 0o666;
