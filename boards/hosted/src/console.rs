//! The one place that writes to stdout and stderr.
//!
//! `println!` panics when the reader has gone or the disk is full; here the first is
//! a quiet end and the second an error. stderr is for people: if nobody is there to
//! read it, the work goes on.

use std::io::{self, Write};

use crate::errors::{Outcome, Stop, fault, reason, remedy};

/// Writes a line to stderr, like `eprintln!`, but cannot fail.
#[macro_export]
macro_rules! note {
    ($($arg:tt)*) => { $crate::console::stderr_line(&format!($($arg)*)) };
}

/// What [`note!`] calls.
pub fn stderr_line(text: &str) {
    // One write, so that lines of several threads or processes do not mix.
    let _ = io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// Writes all of `bytes` to stdout at once: whoever is reading sees them now.
pub fn put(bytes: &[u8]) -> Outcome {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| stdout_failed(&error))
}

/// Writes `text` and a newline to stdout.
pub fn put_line(text: &str) -> Outcome {
    put(format!("{text}\n").as_bytes())
}

fn stdout_failed(error: &io::Error) -> Stop {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Stop::Unheard,
        _ => fault("standard output", reason(error), remedy(error)),
    }
}
