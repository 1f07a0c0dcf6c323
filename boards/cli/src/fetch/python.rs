//! Runs pip, and Python to unpack what it brings.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::process::{ChildStderr, Command, ExitStatus, Stdio};
use std::thread;

use crate::store::{Progress, TICK};
use crate::terminal::signals::{Running, STACK};

/// Names that Python has, the likelier one first.
const NAMES: [&str; 2] = ["python3", "python"];
/// Exit code of shells and version managers that do not find the program.
const NOT_FOUND: i32 = 127;

/// A Python that has pip.
pub struct Python(&'static str);

/// The reason why it did not work.
#[derive(Debug)]
pub enum Trouble {
    /// None of the names is a program.
    NoPython,
    /// Python is there, but the module is not.
    NoPip,
    /// pip refused what the index gave it.
    WrongHash,
    /// The staging folder cannot take any more.
    DiskFull,
    /// Anything else: offline, mostly.
    Failed {
        /// The step that failed.
        step: &'static str,
        /// The last line of its output.
        last_line: String,
    },
    /// The program could not be started or waited for.
    Io(io::Error),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPython => f.write_str("neither python3 nor python was found"),
            Self::NoPip => f.write_str("Python has no pip"),
            Self::WrongHash => f.write_str("what pip downloaded has the wrong hash"),
            Self::DiskFull => f.write_str("the disk is full"),
            Self::Failed { step, last_line } => write!(f, "{step} failed: {last_line}"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Trouble {}

impl Python {
    /// Downloads what `requirements` names into the staging folder, with the first Python
    /// that has pip.
    pub fn download(staging: &Path, requirements: &Path, bar: &Progress) -> Result<Self, Trouble> {
        let mut missing = Trouble::NoPython;
        for python in NAMES.map(Self) {
            let mut pip = python.command(staging);
            pip.args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:"]);
            pip.args(["--require-hashes", "--no-cache-dir", "-r"]).arg(requirements);
            match run("pip download", &mut pip, &|| bar.set(folder_bytes(staging))) {
                Ok(()) => return Ok(python),
                Err(Trouble::NoPython) => {}
                Err(Trouble::NoPip) => missing = Trouble::NoPip,
                Err(trouble) => return Err(trouble),
            }
        }
        Err(missing)
    }

    /// Unpacks a wheel into the staging folder.
    pub fn unpack(&self, staging: &Path, wheel: &Path, bar: &Progress) -> Result<(), Trouble> {
        let mut unzip = self.command(staging);
        unzip.args([OsStr::new("-m"), OsStr::new("zipfile"), OsStr::new("-e")]);
        unzip.args([wheel, staging]);
        run("unpacking the wheel", &mut unzip, &|| bar.set(0))
    }

    /// Python in the staging folder, which is also where its temporary files go: the usual
    /// place may be small. These two settings of pip would make it refuse to download.
    fn command(&self, staging: &Path) -> Command {
        let mut command = Command::new(self.0);
        command.current_dir(staging).env("TMPDIR", staging);
        command.env_remove("PIP_USER").env_remove("PIP_REQUIRE_VIRTUALENV");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }
}

/// Runs a command to its end, calling `tick` meanwhile.
fn run(step: &'static str, command: &mut Command, tick: &dyn Fn()) -> Result<(), Trouble> {
    let (running, stderr) = Running::start(command).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Trouble::NoPython,
        _ => Trouble::Io(error),
    })?;
    let reader = thread::Builder::new().stack_size(STACK).spawn(move || read(stderr));
    let reader = reader.map_err(Trouble::Io)?;
    let status = loop {
        match running.ended().map_err(Trouble::Io)? {
            Some(status) => break status,
            None => thread::sleep(TICK),
        }
        tick();
    };
    judge(step, status, &reader.join().unwrap_or_default())
}

fn read(pipe: Option<ChildStderr>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        let _ = pipe.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Tells what happened by the exit code and by what Python and pip are known to say.
fn judge(step: &'static str, status: ExitStatus, said: &str) -> Result<(), Trouble> {
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if status.success() {
        Ok(())
    } else if status.code() == Some(NOT_FOUND) {
        Err(Trouble::NoPython)
    } else if says(&["No module named pip"]) {
        Err(Trouble::NoPip)
    } else if says(&["DO NOT MATCH THE HASHES"]) {
        Err(Trouble::WrongHash)
    } else if says(&["No space left on device", "Disk quota exceeded"]) {
        Err(Trouble::DiskFull)
    } else {
        Err(Trouble::Failed { step, last_line: last_line(said, status) })
    }
}

/// The last line that is about what happened: pip ends with advice to upgrade itself.
fn last_line(said: &str, status: ExitStatus) -> String {
    let about_it = |line: &&str| !line.is_empty() && !line.starts_with("[notice]");
    let last = said.lines().map(str::trim).rfind(about_it);
    last.map_or_else(|| status.to_string(), str::to_owned)
}

/// Bytes of all files in a folder, which pip's partial download is one of.
fn folder_bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => folder_bytes(&entry.path()),
            _ => entry.metadata().map_or(0, |meta| meta.len()),
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn the_last_line_is_about_what_happened() {
        let said = "a\nERROR: no route\n\n[notice] A new release of pip is available\n";
        assert_eq!(last_line(said, ExitStatus::from_raw(256)), "ERROR: no route");
        assert_eq!(last_line("", ExitStatus::from_raw(256)), "exit status: 1");
    }
}
