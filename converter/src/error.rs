//! Errors of conversions, each a line that tells the user what to do.

use std::fmt::{self, Display};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use oarlock::visible::Visible;

/// Characters of the longest line that is said to anybody.
pub const LONGEST_LINE: usize = 1000;

/// Most characters of thing, fault and remedy where all of them do not fit into a line.
const SHARES: [usize; 3] = [300, 400, 280];

/// Names of files as they can be shown; [`Path::display`] hands their controls on.
pub trait Shown {
    /// The name, in which what a terminal would obey is spelled out.
    fn shown(&self) -> Visible<'_>;
}

impl Shown for Path {
    fn shown(&self) -> Visible<'_> {
        Visible::line(self.as_os_str().as_bytes())
    }
}

/// The words of the system for an error, without their number, which helps nobody who has them.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

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
    /// The system's reason, if it is the file to be written that is at fault: another place may do.
    pub output: Option<io::ErrorKind>,
}

/// The result of a step of a conversion.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// `thing` is at fault: `what`; the user can `todo`.
    pub fn new(thing: impl Display, what: impl Display, todo: impl Display) -> Self {
        Self::Fault(Box::new(Fault::new(thing, what, todo)))
    }

    /// The file at `path` could not be read.
    pub fn read(path: &Path, error: &io::Error) -> Self {
        let (what, todo) = match error.kind() {
            io::ErrorKind::NotFound => ("no such file".into(), "check the path"),
            io::ErrorKind::PermissionDenied => {
                ("permission denied".into(), "check the file's permissions")
            }
            _ => (reason(error), "check the file"),
        };
        Self::new(path.shown(), what, todo)
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
            _ => (reason(error), "give another place with -o"),
        };
        let output = Some(error.kind());
        Self::Fault(Box::new(Fault { output, ..Fault::new(path.shown(), what, todo) }))
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

impl Fault {
    /// `thing` is at fault: `what`; the user can `todo`. Each becomes text that is safe to show, on
    /// one line.
    pub fn new(thing: impl Display, what: impl Display, todo: impl Display) -> Self {
        let line = |s: &dyn Display| Visible::line(s.to_string().trim_end()).to_string();
        let [thing, what, todo] = [line(&thing), line(&what), line(&todo)];
        Self { thing, what, todo, output: None }
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [&self.thing, &self.what, &self.todo];
        let fits = parts.iter().map(|part| part.chars().count()).sum::<usize>()
            <= SHARES.iter().sum::<usize>();
        let share = |part, most| Visible::line(part).at_most(if fits { usize::MAX } else { most });
        let [thing, what, todo] = [0, 1, 2].map(|i| share(parts[i], SHARES[i]));
        write!(f, "{thing}: {what} ({todo})")
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_that_no_terminal_obeys() {
        let error = Error::new("a\n\u{202E}b", "it \x1b[1m broke\r\n", "mend\tit");
        assert_eq!(error.to_string(), "a \\u{202e}b: it \\u{1b}[1m broke (mend it)");
        let path = Path::new(std::ffi::OsStr::from_bytes(b"x\x9b31m\xff.gguf"));
        let error = Error::read(path, &io::ErrorKind::NotFound.into());
        assert_eq!(error.to_string(), "x\\x9b31m\\xff.gguf: no such file (check the path)");
        let error = Error::read(Path::new("x"), &io::Error::from_raw_os_error(libc::EIO));
        assert_eq!(error.to_string(), "x: input/output error (check the file)");
    }

    #[test]
    fn a_long_error_keeps_its_thing_its_fault_and_its_remedy() {
        let long = |name: &str| format!("{name} {} end", "\x1b".repeat(2000));
        for parts in [
            [long("thing"), long("what"), long("todo")],
            ["thing end".into(), long("what"), "todo end".into()],
        ] {
            let line = Error::new(&parts[0], &parts[1], &parts[2]).to_string();
            assert!(line.chars().count() + "error: ".len() <= LONGEST_LINE, "{line}");
            for part in ["thing ", " end: what ", " end (todo ", " end)", "…"] {
                assert!(line.contains(part), "no {part} in {line}");
            }
        }
        let path = "x".repeat(900);
        assert_eq!(Error::new(&path, "y", "z").to_string(), format!("{path}: y (z)"));
    }
}
