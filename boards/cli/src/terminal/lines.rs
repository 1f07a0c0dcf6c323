//! Sources of messages: a line editor, or the lines of a pipe.

use std::io::{self, BufRead, Read};
use std::path::PathBuf;

use rustyline::Editor;
use rustyline::config::{Behavior, Config};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;

use super::console::note;
use super::errors::{Outcome, fault, reason, remedy};
use super::pasted::Pasted;
use super::{history, home, input, os};

/// In the cache folder.
const HISTORY: &str = "history.txt";

/// A source of lines.
pub enum Lines {
    /// A person at a terminal.
    Terminal(Box<Terminal>),
    /// A script.
    Pipe(u64),
}

/// A line editor with its history.
pub struct Terminal {
    editor: Editor<Pasted, FileHistory>,
    /// The file of the history.
    kept: Option<PathBuf>,
}

impl Lines {
    /// Lines of standard input, edited if a person types them.
    pub fn new(interactive: bool) -> Self {
        os::remember_terminal();
        match interactive.then(Terminal::new) {
            Some(Ok(terminal)) => Self::Terminal(Box::new(terminal)),
            _ => Self::Pipe(0),
        }
    }

    /// Whether a person types them.
    pub fn interactive(&self) -> bool {
        matches!(self, Self::Terminal(_))
    }

    /// The next line without its end; `None` at the end of all.
    pub fn next(&mut self) -> Outcome<Option<String>> {
        match self {
            Self::Terminal(terminal) => terminal.next(),
            Self::Pipe(read) => next_of_pipe(read),
        }
    }
}

/// `read` counts the bytes before the line, so that a bad one can be found in the input.
fn next_of_pipe(read: &mut u64) -> Outcome<Option<String>> {
    let mut line = Vec::new();
    let n = io::stdin()
        .lock()
        .take(input::LONGEST_LINE)
        .read_until(b'\n', &mut line)
        .map_err(|error| fault("standard input", reason(&error), remedy(&error)))?;
    if n == 0 {
        return Ok(None);
    }
    if n as u64 == input::LONGEST_LINE {
        let what = format!("a line is longer than {} MiB", input::LONGEST_LINE >> 20);
        return Err(fault("standard input", what, "break it into several"));
    }
    while line.pop_if(|byte| matches!(byte, b'\n' | b'\r')).is_some() {}
    let text = input::utf8_after("standard input", &line, *read)?.to_owned();
    *read += n as u64;
    Ok(Some(text))
}

impl Terminal {
    fn new() -> rustyline::Result<Self> {
        // Answers alone go to stdout, which may be a file; what is typed is seen on the terminal.
        let config = Config::builder().behavior(Behavior::PreferTerm).auto_add_history(true);
        let mut editor = Editor::with_config(config.build())?;
        editor.set_helper(Some(Pasted));
        let kept = home::folder().ok().map(|folder| folder.join(HISTORY));
        if let Some(path) = &kept {
            history::load(path, editor.history_mut());
        }
        Ok(Self { editor, kept })
    }

    fn next(&mut self) -> Outcome<Option<String>> {
        loop {
            match self.editor.readline("> ") {
                Ok(line) => {
                    self.save();
                    return Ok(Some(line));
                }
                Err(ReadlineError::Eof) => return Ok(None),
                Err(ReadlineError::Interrupted) => note!("(Ctrl-D leaves.)"),
                Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
                    note!("(A byte that is not UTF-8: the line was left out.)");
                }
                Err(ReadlineError::Io(error)) => {
                    return Err(fault("terminal", reason(&error), remedy(&error)));
                }
                Err(error) => return Err(fault("terminal", error, "pipe the messages in")),
            }
        }
    }

    /// After every line, since a terminal may be closed at any time. Without a cache folder
    /// that can be written there is no history, which is no reason not to talk.
    fn save(&mut self) {
        if let Some(path) = &self.kept {
            let _ = history::save(path, self.editor.history());
        }
    }
}
