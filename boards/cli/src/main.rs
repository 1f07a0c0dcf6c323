//! The command line of Oarlock, described in `docs/reference/cli.md`.
//!
//! One folder for each thing that a person does, and what they stand on; imports run upwards
//! in this list, never down:
//!
//! ```text
//! terminal   output, failures, signals, files: the program's surroundings
//! args       the command line, as clap reads it
//! store      the cache folder: sources converted once; cache
//! fetch      the default model, on the first run
//! model      a model found, opened, set up; inspect, verify
//! generate   the loop that answers come from; generate, tokenize, detokenize
//! chat       turns, commands, conversations in files
//! measure    bench, logits, perplexity, stream
//! ```
//!
//! All output goes through `terminal::console`, every failure through `terminal::errors`, and
//! what a signal must not leave behind is registered with `terminal::signals`.

mod args;
mod chat;
mod fetch;
mod generate;
mod measure;
mod model;
mod store;
mod terminal;

use std::panic;
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;

use args::{Cli, Command};
use generate::{detokenize, tokenize};
use measure::{bench, logits, perplexity, stream};
use model::{inspect, verify};
use oarlock_convert::memory::Allocator;
use terminal::errors::{Outcome, Stop, fault};
use terminal::{console, os, report, signals};

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> ExitCode {
    // A template is run in a process of its own, which is this program again.
    if let Some(done) = oarlock_convert::template::serve() {
        return done;
    }
    signals::install();
    // Nothing here is meant to panic; if something does, that is said in our form too.
    panic::set_hook(Box::new(remember_place));
    let outcome =
        panic::catch_unwind(run_with_room).unwrap_or_else(|payload| Err(internal(&*payload)));
    match outcome {
        Ok(()) => {
            console::flush_asides();
            ExitCode::SUCCESS
        }
        Err(stop) => report::report(&stop),
    }
}

/// Bytes of stack that are enough for every command.
const STACK: usize = 2 << 20;

/// Runs the command, on a stack of its own where the user's limit leaves it too little.
fn run_with_room() -> Outcome {
    if os::stack_bytes() >= STACK as u64 {
        return run();
    }
    match thread::Builder::new().stack_size(STACK).spawn(run) {
        Ok(thread) => thread.join().unwrap_or_else(|payload| Err(internal(&*payload))),
        Err(_) => run(),
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
        Command::Cache(args) => store::run(&args),
    }
}

/// Place of the last panic.
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
