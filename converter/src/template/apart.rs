//! Templates in a process of their own: whatever one does there, the program that asked goes on.
//!
//! A template is a program of somebody else's. Steps, depth and output are bounded where it runs
//! ([`bounds`](super::bounds)), but nothing in the process bounds its memory. So a program that calls
//! [`serve`] first in `main` runs templates in a second process of itself, with limits set by the system
//! and a time after which it is killed. Library users that do not call it have the bounds alone.

use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitCode, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::derive::derive;
use super::error::Underivable;
use super::limits;
use crate::memory;

/// The argument that asks a program for this.
const ASKED: &str = "--derive-chat-program";
/// The time after which a template is given up: real ones take some hundredths of a second.
const PATIENCE: Duration = Duration::from_secs(20);
/// The time between two questions whether to stop.
const LOOK: Duration = Duration::from_millis(50);
/// Memory of the process, in MiB.
const MEMORY_MIB: u64 = 1024;

/// This program, once it has said that it serves.
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Does the work of a second process if this is one, and gives its exit code: to be called first in
/// `main`. From then on conversions use such processes.
pub fn serve() -> Option<ExitCode> {
    if std::env::args_os().nth(1).is_some_and(|word| word == ASKED) {
        return Some(answer());
    }
    if let Ok(program) = std::env::current_exe() {
        let _ = PROGRAM.set(program);
    }
    None
}

/// Reads a request from stdin and writes what was derived to stdout.
fn answer() -> ExitCode {
    limits::set(MEMORY_MIB << 20, PATIENCE.as_secs());
    let mut request = String::new();
    if std::io::stdin().read_to_string(&mut request).is_err() {
        return ExitCode::FAILURE;
    }
    let request: Value = serde_json::from_str(&request).unwrap_or_default();
    let template = request["template"].as_str().unwrap_or_default();
    let specials = serde_json::from_value::<Vec<(String, String)>>(request["specials"].clone());
    let derived = derive(template, &specials.unwrap_or_default());
    let answer = match derived {
        Ok(section) => [&[DERIVED][..], &section].concat(),
        Err(why) => [&[UNDERIVABLE][..], why.0.as_bytes()].concat(),
    };
    match std::io::stdout().write_all(&answer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// First bytes of an answer.
const DERIVED: u8 = b'+';
const UNDERIVABLE: u8 = b'-';

/// Derives as [`derive`] does, in a process of its own if this program has them; `None`
/// if `cancelled` says so meanwhile.
pub(crate) fn derive_apart(
    template: &str,
    specials: &[(String, String)],
    cancelled: &dyn Fn() -> bool,
) -> Option<Result<Vec<u8>, Underivable>> {
    let Some(program) = PROGRAM.get() else { return Some(derive(template, specials)) };
    let request = json!({ "template": template, "specials": specials }).to_string();
    let mut command = Command::new(program);
    command.arg(ASKED).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    // A group of its own: an interrupt at the terminal is for this process alone.
    let Ok(mut child) = command.process_group(0).spawn() else {
        return Some(Err(Underivable("no process can be started for its template".into())));
    };
    let waited = ask(&mut child, request).map(|answer| wait(&answer, cancelled));
    if !matches!(waited, Ok(Waited::Answered(_))) {
        let _ = child.kill();
    }
    let status = child.wait();
    match waited {
        Ok(Waited::Cancelled) => None,
        Ok(Waited::Answered(answer)) => Some(read(&answer, status.ok())),
        Ok(Waited::TooLong) => {
            Some(Err(Underivable(format!("the template runs for more than {PATIENCE:?}"))))
        }
        Err(why) => Some(Err(why)),
    }
}

/// Sends the request; what is answered comes through the channel, whole.
fn ask(child: &mut Child, request: String) -> Result<Receiver<Vec<u8>>, Underivable> {
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (sender, receiver) = channel();
    let talk = move |mut stdout: ChildStdout| {
        // A process that has died takes nothing, which its end will say.
        let _ = stdin.map(|mut stdin| stdin.write_all(request.as_bytes()));
        let mut answer = Vec::new();
        let _ = stdout.read_to_end(&mut answer);
        let _ = sender.send(answer);
    };
    let stdout = stdout.ok_or_else(|| Underivable("its template's process is mute".into()))?;
    let started = thread::Builder::new().stack_size(1 << 18).spawn(move || talk(stdout));
    started.map_err(|_| Underivable("no thread can be started for its template".into()))?;
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

fn read(answer: &[u8], status: Option<ExitStatus>) -> Result<Vec<u8>, Underivable> {
    match answer.split_first() {
        Some((&DERIVED, section)) => Ok(section.to_vec()),
        Some((&UNDERIVABLE, why)) => Err(Underivable(String::from_utf8_lossy(why).into_owned())),
        _ if status.is_some_and(is_too_much) => Err(Underivable(format!(
            "the template needs more than {MEMORY_MIB} MiB of memory, or is nested too deep"
        ))),
        _ => Err(Underivable("its template's process said nothing".into())),
    }
}

/// Whether a process has ended by one of its limits.
fn is_too_much(status: ExitStatus) -> bool {
    status.signal().is_some() || status.code() == Some(memory::EXIT_CODE)
}
