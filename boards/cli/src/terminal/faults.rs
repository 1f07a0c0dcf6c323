//! Failures of the libraries in the form that this program gives to all of them.

use oarlock::FeedError;
use oarlock_convert::Shown;
use oarlock_hosted::Error;

use super::errors::{Stop, fault, file_fault, reason};

impl From<FeedError> for Stop {
    fn from(error: FeedError) -> Self {
        let (thing, todo) = match error {
            FeedError::UnknownToken { .. } => ("tokens", "convert the model again"),
            FeedError::NoPositions { .. } => {
                ("context", "begin anew, or take a model that rotates")
            }
        };
        fault(thing, error, todo)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        match error {
            Error::File { path, error } => file_fault(&path, &error),
            Error::NotAFile(path) => fault(path.shown(), "is not a file", "name an .oar file"),
            Error::Empty(path) => fault(path.shown(), "is empty", CONVERT),
            Error::CutShort { ref path, bytes, wanted } => {
                let what = format!("its end is missing: {bytes} of {wanted} bytes are here");
                fault(path.shown(), what, "copy it again, all of it")
            }
            Error::Model { path, error } => fault(path.shown(), error, CONVERT),
            Error::Threads { threads, error } => {
                fault(format!("-t {threads}"), reason(&error), "use fewer")
            }
            Error::Memory { bytes, error } => {
                let thing = format!("{bytes} bytes for the session");
                fault(thing, reason(&error), "use a smaller --context")
            }
            Error::Options(error) => fault("options", error, "change them"),
            Error::Feed(error) => error.into(),
            Error::NoChat { path, reason } => {
                let what = format!("this model cannot chat: {reason}");
                fault(path.shown(), what, "use oarlock generate")
            }
            Error::Turn(error) => fault("message", error, "say it in other words"),
            Error::NoTokens => fault("prompt", "has no tokens", "give a text to continue"),
            Error::TextTooLong => fault(
                "tokenizer",
                "the text is too long for the memory that there is",
                "give less at once",
            ),
        }
    }
}

const CONVERT: &str = "convert the model again";
