//! The one place that writes to stdout and stderr.
//!
//! `println!` panics when the reader has gone or the disk is full; here the first is
//! a quiet end and the second an error. stderr is for people: if nobody is there to
//! read it, the work goes on. No line of either holds what a terminal would obey; [`put`] alone
//! writes bytes as they are.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use oarlock::visible::Visible;
use oarlock_convert::LONGEST_LINE;
use serde_json::Value;

use super::errors::{Outcome, Stop, fault, reason, remedy};
use super::visible::json;

/// Writes a line to stderr, like `eprintln!`, but cannot fail.
macro_rules! note {
    ($($arg:tt)*) => { $crate::terminal::console::stderr_line(&format!($($arg)*)) };
}
pub(crate) use note;

/// As [`note!`], for what accompanies the work. If nobody watches, it waits until the work
/// has brought something forth, so that a script finds an error on the first line.
macro_rules! aside {
    ($($arg:tt)*) => { $crate::terminal::console::stderr_aside(format!($($arg)*)) };
}
pub(crate) use aside;

/// An aside on one line, however long its parts are and whatever they hold.
macro_rules! warning {
    ($($arg:tt)*) => {
        $crate::terminal::console::stderr_warning(&format!("warning: {}", format_args!($($arg)*)))
    };
}
pub(crate) use warning;

/// Asides that are waiting.
static WAITING: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Writes a line to stderr: [`note!`].
pub fn stderr_line(text: &str) {
    // One write, so that lines of several threads or processes do not mix.
    let _ = io::stderr().write_all(format!("{}\n", Visible::lines(text)).as_bytes());
}

/// As [`stderr_aside`], on one line: [`warning!`].
pub fn stderr_warning(text: &str) {
    stderr_aside(Visible::line(text).at_most(LONGEST_LINE).to_string());
}

/// Writes a line to stderr, or lets it wait: [`aside!`].
pub fn stderr_aside(text: String) {
    if io::stderr().is_terminal() {
        stderr_line(&text);
    } else {
        WAITING.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }
}

/// Says what is waiting.
pub fn flush_asides() {
    let waiting = std::mem::take(&mut *WAITING.lock().unwrap_or_else(PoisonError::into_inner));
    waiting.iter().for_each(|text| stderr_line(text));
}

/// Shows how far the work is, to people only.
pub fn progress(text: impl FnOnce() -> String) {
    if io::stderr().is_terminal() {
        stderr_line(&text());
    }
}

/// Writes all of `bytes` to stdout at once: whoever is reading sees them now.
pub fn put(bytes: &[u8]) -> Outcome {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| stdout_failed(&error))?;
    flush_asides();
    Ok(())
}

/// Writes `text` and a newline to stdout. Names that files gave to things are in it: a pipe gets
/// them spelled out too, since it mostly ends at a terminal.
pub fn put_line(text: &str) -> Outcome {
    put(format!("{}\n", Visible::lines(text)).as_bytes())
}

/// Writes a line of JSON to stdout.
pub fn put_json(value: &Value) -> Outcome {
    put_line(&json(value))
}

/// Whether what is written to stdout is for a terminal.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

fn stdout_failed(error: &io::Error) -> Stop {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Stop::Unheard,
        _ => fault("standard output", reason(error), remedy(error)),
    }
}
