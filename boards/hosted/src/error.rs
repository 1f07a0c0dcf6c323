//! Failures of this crate: the system's, and those that the runtime reports.

use std::fmt;
use std::io;
use std::path::PathBuf;

use oarlock::conversation::TurnError;
use oarlock::{FeedError, OpenError, OptionsError};

/// The reason why a model does not run.
#[derive(Debug)]
pub enum Error {
    /// The system refuses the file.
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
    /// A folder or a device lies where a file should.
    NotAFile(PathBuf),
    /// The file has no bytes.
    Empty(PathBuf),
    /// The file ends before the part of it that is the model.
    CutShort {
        /// The file.
        path: PathBuf,
        /// Bytes that it has.
        bytes: u64,
        /// Bytes that it should have.
        wanted: u64,
    },
    /// The file is no model that this version reads.
    Model {
        /// The file.
        path: PathBuf,
        /// The first thing that is wrong with it.
        error: ModelError,
    },
    /// The system starts no more threads.
    Threads {
        /// Threads that were asked for.
        threads: usize,
        /// The system's reason.
        error: io::Error,
    },
    /// The system has no memory for the session.
    Memory {
        /// Bytes that were asked for.
        bytes: usize,
        /// The system's reason.
        error: io::Error,
    },
    /// The session cannot be as its options ask.
    Options(OptionsError),
    /// The session did not take the tokens.
    Feed(FeedError),
    /// The model cannot chat.
    NoChat {
        /// The file.
        path: PathBuf,
        /// The reason that the converter has found.
        reason: String,
    },
    /// A turn of a conversation cannot be.
    Turn(TurnError),
    /// A text has no tokens, so that nothing can follow it.
    NoTokens,
    /// A text is too long for the tokenizer.
    TextTooLong,
}

/// The first thing that is wrong with a model file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelError {
    /// Its metadata cannot be read.
    Open(OpenError),
    /// This many bytes follow the end of the model.
    Trailing(usize),
    /// Its tokenizer is not one that this version reads.
    Tokenizer,
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => error.fmt(f),
            Self::Trailing(bytes) => write!(f, "{bytes} bytes follow the end of the model"),
            Self::Tokenizer => f.write_str("its tokenizer is not one that this version reads"),
        }
    }
}

impl std::error::Error for ModelError {}

impl Error {
    /// Names the file that an error of the system is about.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::File { path: path.into(), error }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, error } => write!(f, "{}: {error}", path.display()),
            Self::NotAFile(path) => write!(f, "{}: is not a file", path.display()),
            Self::Empty(path) => write!(f, "{}: is empty", path.display()),
            Self::CutShort { path, bytes, wanted } => {
                let path = path.display();
                write!(f, "{path}: its end is missing: {bytes} of {wanted} bytes are here")
            }
            Self::Model { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Threads { threads, error } => write!(f, "{threads} threads: {error}"),
            Self::Memory { bytes, error } => write!(f, "{bytes} bytes for the session: {error}"),
            Self::Options(error) => error.fmt(f),
            Self::Feed(error) => error.fmt(f),
            Self::NoChat { path, reason } => {
                write!(f, "{}: this model cannot chat: {reason}", path.display())
            }
            Self::Turn(error) => error.fmt(f),
            Self::NoTokens => f.write_str("the text has no tokens"),
            Self::TextTooLong => f.write_str("the text is too long for the memory that there is"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File { error, .. } | Self::Threads { error, .. } | Self::Memory { error, .. } => {
                Some(error)
            }
            Self::Model { error, .. } => Some(error),
            Self::Options(error) => Some(error),
            Self::Feed(error) => Some(error),
            Self::Turn(error) => Some(error),
            _ => None,
        }
    }
}

impl From<OptionsError> for Error {
    fn from(error: OptionsError) -> Self {
        Self::Options(error)
    }
}

impl From<FeedError> for Error {
    fn from(error: FeedError) -> Self {
        Self::Feed(error)
    }
}

impl From<TurnError> for Error {
    fn from(error: TurnError) -> Self {
        Self::Turn(error)
    }
}
