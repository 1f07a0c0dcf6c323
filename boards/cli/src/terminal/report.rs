//! The end of the program: the last line on stderr, and the exit code.

use std::process::ExitCode;

use super::console::flush_asides;
use super::console::note;
use super::errors::Stop;

/// Says on stderr what has to be said and gives the exit code.
pub fn report(stop: &Stop) -> ExitCode {
    let code = match stop {
        Stop::Fault(line) => {
            note!("error: {line}");
            ExitCode::from(2)
        }
        Stop::Refused(line) => {
            note!("error: {line}");
            ExitCode::from(1)
        }
        Stop::Interrupted => ExitCode::from(130),
        Stop::Unheard => ExitCode::SUCCESS,
    };
    flush_asides();
    code
}
