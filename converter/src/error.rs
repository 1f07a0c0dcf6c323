//! Errors of conversions, each a line that tells the user what to do.

use std::fmt::{self, Display};
use std::io;
use std::path::Path;

use crate::visible;

/// Why a conversion was not done.
#[derive(Debug)]
pub enum Error {
    /// The user interrupted it; nothing is left behind.
    Cancelled,
    /// Something that the user can mend.
    Fault(Box<Fault>),
}

/// One thing that is wrong.
#[derive(Debug)]
pub struct Fault {
    /// The thing at fault: a file, a tensor, an option.
    pub thing: String,
    /// The fault.
    pub what: String,
    /// Advice to the user.
    pub todo: String,
}

/// The result of a step of a conversion.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// `thing` is at fault: `what`; the user can `todo`.
    pub fn new(thing: impl Display, what: impl Display, todo: impl Display) -> Self {
        let line = |s: &dyn Display| visible::message(&s.to_string());
        Self::Fault(Box::new(Fault { thing: line(&thing), what: line(&what), todo: line(&todo) }))
    }

    /// The file at `path` could not be read.
    pub fn read(path: &Path, error: &io::Error) -> Self {
        let (what, todo) = match error.kind() {
            io::ErrorKind::NotFound => ("no such file".into(), "check the path"),
            io::ErrorKind::PermissionDenied => {
                ("permission denied".into(), "check the file's permissions")
            }
            _ => (error.to_string(), "check the file"),
        };
        Self::new(path.display(), what, todo)
    }

    /// The file at `path` could not be written.
    pub fn write(path: &Path, error: &io::Error) -> Self {
        let (what, todo) = match error.kind() {
            io::ErrorKind::NotFound => ("no such directory".into(), "create it, or give -o"),
            io::ErrorKind::PermissionDenied => {
                ("permission denied".into(), "give another place with -o")
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => (
                "the disk is full".into(),
                "free some space, or give a place on another disk with -o",
            ),
            io::ErrorKind::FileTooLarge => (
                "the file is larger than this process may write".into(),
                "raise the limit with ulimit -f",
            ),
            _ => (error.to_string(), "give another place with -o"),
        };
        Self::new(path.display(), what, todo)
    }

    /// The program's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Cancelled => 130,
            Self::Fault(_) => 2,
        }
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("conversion: interrupted (nothing was written)"),
            Self::Fault(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&visible::message(&format!("{}: {} ({})", self.thing, self.what, self.todo)))
    }
}

impl std::error::Error for Fault {}
