//! Failures that end the program: one line, one exit code.
//!
//! Every failure reads `error: <thing>: <what> (<what to do>)`. Nothing in this
//! program may end by a panic, so there is no other way out of a command.

use std::fmt::{self, Display};
use std::io;
use std::path::Path;

pub use oarlock_convert::reason;
use oarlock_convert::{Fault, Shown};

/// The reason why a command stopped early.
#[derive(Debug)]
pub enum Stop {
    /// Something the user can mend: exit code 2.
    Fault(String),
    /// The check that was asked for said no: exit code 1.
    Refused(String),
    /// SIGINT: exit code 130, nothing to say.
    Interrupted,
    /// Whoever read our standard output has seen enough (`| head -1`): a quiet 0.
    Unheard,
}

impl Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(line) | Self::Refused(line) => f.write_str(line),
            Self::Interrupted => f.write_str("interrupted"),
            Self::Unheard => f.write_str("nobody reads the output any more"),
        }
    }
}

impl std::error::Error for Stop {}

/// The result of a command.
pub type Outcome<T = ()> = Result<T, Stop>;

/// A failure that the user can mend, in the one form that all of them have: a line, not too long,
/// in which no control of a name or a message is left.
pub fn fault(thing: impl Display, what: impl Display, remedy: impl Display) -> Stop {
    Stop::Fault(Fault::new(thing, what, remedy).to_string())
}

/// The same form, for a check that said no.
pub fn refused(thing: impl Display, what: impl Display, remedy: impl Display) -> Stop {
    Stop::Refused(Fault::new(thing, what, remedy).to_string())
}

/// A failure of the system with a file, with the remedy that suits it.
pub fn file_fault(path: &Path, error: &io::Error) -> Stop {
    fault(path.shown(), reason(error), remedy(error))
}

/// Advises what to do about it.
pub fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "check the path",
        io::ErrorKind::PermissionDenied => "check its permissions",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space and run again"
        }
        io::ErrorKind::IsADirectory
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::InvalidFilename => "name a file",
        io::ErrorKind::FileTooLarge => "raise the limit with ulimit -f",
        io::ErrorKind::OutOfMemory => "give less at once",
        _ => "try again or use another place",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_of_one_form() {
        let Stop::Fault(line) = fault("a\nb", "it \x1b[1m broke", "mend it") else { panic!() };
        assert_eq!(line, "a b: it \\u{1b}[1m broke (mend it)");
    }

    #[test]
    fn the_system_speaks_without_numbers() {
        let error = io::Error::from_raw_os_error(libc::ENOENT);
        assert_eq!(reason(&error), "no such file or directory");
    }
}
