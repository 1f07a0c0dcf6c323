//! Oarlock on an operating system: what the runtime does not do itself.
//!
//! The runtime wants four things of a board, and each has a file here:
//!
//! ```text
//! the model's bytes     model_file  map; carried or fetched if none is named
//! a scratch slice       scratch     pages that cost nothing until they are touched
//! proof of the CPU      detect      the only place that asks it
//! parallel regions      pool        threads that spin, then sleep
//! ```
//!
//! `engine` puts them together. The commands stand on that, one file each in `commands`;
//! `answer` is the loop that generate and chat share, and `text_stream` turns its tokens into
//! text. All output goes through `console`, every failure through `errors`, and what a
//! signal must not leave behind is registered with `signals`.
//!
//! The command line is described in `docs/reference/cli.md` and defined in `args`.

mod answer;
mod args;
mod available;
mod bandwidth;
mod carried;
mod cgroup;
mod chatting;
mod commands;
mod console;
mod cores;
mod detect;
mod engine;
mod errors;
mod fetch;
mod home;
mod map;
mod model_file;
mod npy;
mod os;
mod plot;
mod pool;
mod replace;
mod sampling;
mod scratch;
mod signals;
mod text_stream;
mod texts;
mod today;
mod voice;
mod words;

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
compile_error!(
    "oarlock runs on Linux and macOS; elsewhere, build a board of its own over `runtime`"
);

use std::panic;
use std::process::ExitCode;
use std::sync::Mutex;

use args::{Cli, Command};
use commands::{
    bench, chat, detokenize, generate, inspect, logits, perplexity, stream, tokenize, verify,
};
use errors::{Outcome, Stop, fault};

fn main() -> ExitCode {
    signals::install();
    // Nothing here is meant to panic; if something does, that is said in our form too.
    panic::set_hook(Box::new(remember_place));
    let outcome = panic::catch_unwind(run).unwrap_or_else(|payload| Err(internal(&*payload)));
    match outcome {
        Ok(()) => {
            console::flush_asides();
            ExitCode::SUCCESS
        }
        Err(stop) => stop.report(),
    }
}

fn run() -> Outcome {
    let Some(Cli { command, chat }) = args::parse(std::env::args_os())? else { return Ok(()) };
    match command.unwrap_or(Command::Chat(chat)) {
        Command::Chat(args) => chat::run(&args),
        Command::Generate(args) => generate::run(&args),
        Command::Tokenize(args) => tokenize::run(&args),
        Command::Detokenize(args) => detokenize::run(&args),
        Command::Logits(args) => logits::run(&args),
        Command::Perplexity(args) => perplexity::run(&args),
        Command::Stream(args) => stream::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Verify(args) => verify::run(&args),
    }
}

/// Where the last panic was.
static PLACE: Mutex<String> = Mutex::new(String::new());

fn remember_place(panic: &panic::PanicHookInfo<'_>) {
    if let (Some(place), Ok(mut last)) = (panic.location(), PLACE.lock()) {
        *last = place.to_string();
    }
}

fn internal(payload: &(dyn std::any::Any + Send)) -> Stop {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let place = PLACE.lock().map(|place| place.clone()).unwrap_or_default();
    let what = format!("{} at {place}", text.unwrap_or("a panic"));
    fault("internal", what, "please report this, with the command line")
}
