//! The converter's command line.
//!
//! Exit codes: 0 done, 2 something that the user can mend, 130 interrupted. The first
//! line on stderr says which thing is at fault, what is wrong and what to do.

mod args;
mod signals;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use args::Command;
use indicatif::{ProgressBar, ProgressStyle};
use oarlock::visible::Visible;
use oarlock_convert::memory::{self, Allocator};
use oarlock_convert::{
    ConvertOptions, Error, LONGEST_LINE, Progress, Shown, convert, image, replacement, template,
};

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// Said when a source that is mapped was truncated by another process.
const CUT_SHORT: &str = "error: source: another process cut a file short while it was read \
    (replace files by renaming new ones over them, and run again)\n";

fn main() -> ExitCode {
    if let Some(done) = template::serve() {
        return done;
    }
    signals::catch();
    memory::end_on_lost_pages(CUT_SHORT, || ());
    memory::at_end(|| replacement::remove_unfinished(false));
    let command = args::parse(std::env::args_os());
    let done = command.and_then(|command| match command {
        Command::Convert { source, out, options } => run(&source, &out, &options),
        Command::Image(options) => {
            let terminal = Terminal::new();
            let done = image(&options, &terminal);
            terminal.bar.finish_and_clear();
            done.map(|made| {
                if let Some(mib) = made.memory_mib {
                    print(&format!("runs on a board with {mib} MiB of memory or more\n"));
                }
            })
        }
        Command::Print(text) => {
            print(&text);
            Ok(())
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error}"));
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(source: &Path, out: &Path, options: &ConvertOptions) -> Result<(), Error> {
    let terminal = Terminal::new();
    let report = convert(source, out, options, &terminal);
    terminal.bar.finish_and_clear();
    let report = report?;
    let out = out.shown().at_most(LONGEST_LINE / 2);
    say(&format!("{out}: {report}"));
    Ok(())
}

/// Writes a line to stderr, which whoever is there can read: names and messages of files are in it.
fn say(line: &str) {
    let line = Visible::line(line).at_most(LONGEST_LINE);
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Prints to a reader who may have gone away, which is no fault.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(Visible::lines(text).to_string().as_bytes());
}

/// A bar where there is a terminal, else nothing but warnings.
struct Terminal {
    bar: ProgressBar,
}

impl Terminal {
    /// indicatif itself hides a bar whose stderr is no terminal.
    fn new() -> Self {
        let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        Self { bar: ProgressBar::no_length().with_style(style) }
    }
}

impl Progress for Terminal {
    fn start(&self, total: u64) {
        self.bar.set_length(total);
    }

    fn writing(&self) {
        signals::clean_up();
    }

    fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn warn(&self, message: &str) {
        self.bar.suspend(|| say(&format!("warning: {message}")));
    }

    fn cancelled(&self) -> bool {
        signals::interrupted()
    }
}
