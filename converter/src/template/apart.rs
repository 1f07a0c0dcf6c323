//! Templates in a process of their own: whatever one does there, the program that asked goes on.
//!
//! A template is a program of somebody else's. Steps, depth and output are bounded where it runs
//! ([`bounds`](super::bounds)), but nothing in the process bounds its memory, or the time of one step. So
//! a program that calls [`serve`] first in `main` runs templates in a second process of itself, with
//! limits set by the system and a time after which it is killed. Library users that do not call it have the
//! bounds alone.
//!
//! What a template does to its process is a property of the template ([`Underivable`]): the model converts
//! without a chat. A machine that has no process to lend, gives it no time or ends it is an error instead,
//! so that the same source never becomes two files.

use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitCode, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::derive::{derive, derive_without_thread, try_derive};
use super::error::Underivable;
use super::{bounds, limits};
use crate::error::{Error, Result, reason};
use crate::memory;

/// The argument that asks a program for this.
const ASKED: &str = "--derive-chat-program";
/// Seconds on the CPU: real templates take some hundredths of one.
const SECONDS: u64 = 5;
/// The time after which a process is given up that has had less of the CPU than that: no template sleeps.
const PATIENCE: Duration = Duration::from_secs(30);
/// The time between two questions whether to stop.
const LOOK: Duration = Duration::from_millis(50);
/// Memory of the process, in MiB.
const MEMORY_MIB: u64 = 512;
/// Bytes of an answer: a table of gaps, each of them no longer than what a template may write.
const ANSWER: u64 = 64 << 20;
/// Stack of the thread that talks with the process.
const STACK: usize = 256 << 10;

/// First bytes of an answer.
const DERIVED: u8 = b'+';
const UNDERIVABLE: u8 = b'-';

/// This program, once it has said that it serves.
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Does the work of a second process if this is one, and gives its exit code: to be called first in
/// `main`. From then on conversions use such processes.
pub fn serve() -> Option<ExitCode> {
    if std::env::args_os().nth(1).is_some_and(|word| word == ASKED) {
        return Some(answer());
    }
    if let Some(program) = this_program() {
        let _ = PROGRAM.set(program);
    }
    None
}

/// A path to this program: on Linux one that leads to it also after its file was replaced.
fn this_program() -> Option<PathBuf> {
    let running = PathBuf::from("/proc/self/exe");
    let lasts = cfg!(target_os = "linux") && running.exists();
    if lasts { Some(running) } else { std::env::current_exe().ok() }
}

/// Reads a request from stdin and writes what was derived to stdout.
fn answer() -> ExitCode {
    limits::set(MEMORY_MIB << 20, SECONDS);
    let mut request = String::new();
    // Without room for a thread there is none for much else: the limits above do.
    let _ = limits::watch(MEMORY_MIB << 20);
    if std::io::stdin().read_to_string(&mut request).is_err() {
        return ExitCode::FAILURE;
    }
    let Ok(request) = serde_json::from_str::<Value>(&request) else { return ExitCode::FAILURE };
    let template = request["template"].as_str().unwrap_or_default();
    let specials = serde_json::from_value::<Vec<(String, String)>>(request["specials"].clone());
    let specials = specials.unwrap_or_default();
    // What overflows the stack that there is ends this process alone.
    let derived = try_derive(template, &specials)
        .unwrap_or_else(|_| derive_without_thread(template, &specials));
    let answer = match derived {
        Ok(section) => [&[DERIVED][..], &section].concat(),
        Err(why) => [&[UNDERIVABLE][..], why.0.as_bytes()].concat(),
    };
    match std::io::stdout().write_all(&answer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Derives as [`derive`] does, in a process of its own if this program has them.
///
/// # Errors
/// If `cancelled` says so meanwhile, or if the machine cannot run such a process.
pub(crate) fn derive_apart(
    template: &str,
    specials: &[(String, String)],
    cancelled: &dyn Fn() -> bool,
) -> Result<std::result::Result<Vec<u8>, Underivable>> {
    let Some(program) = PROGRAM.get() else { return Ok(derive(template, specials)) };
    if let Err(why) = bounds::check(template) {
        return Ok(Err(why));
    }
    let request = json!({ "template": template, "specials": specials }).to_string();
    let mut command = Command::new(program);
    command.arg(ASKED).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    // A group of its own: an interrupt at the terminal is for this process alone.
    let child = command.process_group(0).spawn();
    let mut child =
        child.map_err(|error| no_room(&format!("no process starts: {}", reason(&error))))?;
    let waited = ask(&mut child, request).map(|answer| wait(&answer, cancelled));
    if !matches!(waited, Ok(Waited::Answered(_))) {
        let _ = child.kill();
    }
    let status = child.wait();
    match waited? {
        Waited::Cancelled => Err(Error::Cancelled),
        Waited::TooLong => Err(no_time()),
        Waited::Answered(answer) => read(&answer, status.ok()),
    }
}

fn no_room(what: &str) -> Error {
    let todo = "end other programs, or raise the limits with ulimit -u and ulimit -v";
    Error::new("chat template", what, todo)
}

/// The system ends who has used up its seconds on the CPU; this one has not had them.
fn no_time() -> Error {
    let what = format!("its process was not let run for {SECONDS} s in {} s", PATIENCE.as_secs());
    Error::new("chat template", what, "end other programs and run again")
}

fn too_long() -> Underivable {
    Underivable(format!("the template runs for more than {SECONDS} s"))
}

/// Sends the request; what is answered comes through the channel, whole.
fn ask(child: &mut Child, request: String) -> Result<Receiver<Vec<u8>>> {
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (sender, receiver) = channel();
    let talk = move |stdout: ChildStdout| {
        // A process that has died takes nothing, which its end will say.
        let _ = stdin.map(|mut stdin| stdin.write_all(request.as_bytes()));
        let mut answer = Vec::new();
        let _ = stdout.take(ANSWER).read_to_end(&mut answer);
        let _ = sender.send(answer);
    };
    let stdout = stdout.ok_or_else(|| no_room("its process is mute"))?;
    // Its own size of stack, whatever RUST_MIN_STACK says.
    let started = thread::Builder::new().stack_size(STACK).spawn(move || talk(stdout));
    started.map_err(|error| no_room(&format!("no thread starts: {}", reason(&error))))?;
    Ok(receiver)
}

enum Waited {
    Answered(Vec<u8>),
    Cancelled,
    TooLong,
}

fn wait(answer: &Receiver<Vec<u8>>, cancelled: &dyn Fn() -> bool) -> Waited {
    let start = Instant::now();
    loop {
        match answer.recv_timeout(LOOK) {
            Ok(answer) => return Waited::Answered(answer),
            Err(RecvTimeoutError::Disconnected) => return Waited::Answered(Vec::new()),
            Err(RecvTimeoutError::Timeout) if cancelled() => return Waited::Cancelled,
            Err(RecvTimeoutError::Timeout) if start.elapsed() > PATIENCE => return Waited::TooLong,
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Signals that a process does not bring upon itself: who runs out of memory gets another.
const FROM_OUTSIDE: [i32; 5] =
    [libc::SIGKILL, libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT];

/// The answer of a process that ended so. One that a limit ended may have written a part of it.
fn read(
    answer: &[u8],
    status: Option<ExitStatus>,
) -> Result<std::result::Result<Vec<u8>, Underivable>> {
    let ended = status.map(|status| (status.code(), status.signal()));
    // What this process itself may not have says nothing of the template.
    let needs = |what: &str| match limits::allow(MEMORY_MIB << 20) {
        true => Ok(Err(Underivable(format!("the template needs more {what}")))),
        false => Err(no_room("its process has too little memory")),
    };
    match (ended, answer.split_first()) {
        (Some((Some(0), _)), Some((&DERIVED, section))) => Ok(Ok(section.to_vec())),
        (Some((Some(0), _)), Some((&UNDERIVABLE, why))) => {
            Ok(Err(Underivable(String::from_utf8_lossy(why).into_owned())))
        }
        (Some((Some(memory::EXIT_CODE), _)), _) => needs(&format!("memory than {MEMORY_MIB} MiB")),
        (Some((_, Some(libc::SIGXCPU))), _) => Ok(Err(too_long())),
        (Some((_, Some(signal))), _) if FROM_OUTSIDE.contains(&signal) => {
            Err(no_room("its process was ended from outside"))
        }
        (Some((_, Some(libc::SIGSEGV | libc::SIGBUS))), _) => needs("depth than a stack has"),
        (Some((_, Some(_))), _) => needs(&format!("memory than {MEMORY_MIB} MiB, or depth")),
        _ => Err(no_room("its process could not do its work")),
    }
}
