//! Runs a program with a time limit, so that a hang is a failure and not a hang.

use std::io::{ErrorKind, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A program that has ended.
pub struct Finished {
    /// Its exit status.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error, as text.
    pub stderr: String,
}

impl Finished {
    /// The exit code, or −1 if a signal ended it.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }

    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// This, if the exit code is 0; a failure of the test otherwise.
    pub fn ok(self) -> Self {
        assert!(self.status.success(), "{}: {}", self.status, self.stderr);
        self
    }
}

/// Runs `command` with nothing on its standard input; fails the test after `seconds`.
pub fn run(command: &mut Command, seconds: u64) -> Finished {
    run_with_input(command, b"", seconds)
}

/// Runs `command` with `input` on its standard input; fails the test after `seconds`.
pub fn run_with_input(command: &mut Command, input: &[u8], seconds: u64) -> Finished {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = start(command);
    let mut stdin = child.stdin.take().expect("piped");
    let (out, err) = (drain(child.stdout.take()), drain(child.stderr.take()));
    let input = input.to_vec();
    // A program that does not read its input closes the pipe: no concern of this thread's.
    let writer = thread::spawn(move || stdin.write_all(&input));
    let status = wait(&mut child, Duration::from_secs(seconds))
        .unwrap_or_else(|| panic!("{command:?}: still running after {seconds} s"));
    let _ = writer.join();
    let stdout = out.join().expect("reading a pipe does not panic");
    let stderr = err.join().expect("reading a pipe does not panic");
    Finished { status, stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() }
}

/// Starts a program, again for as long as it is busy: if this process wrote it, a child that
/// another test has just forked holds it open for a moment.
fn start(command: &mut Command) -> Child {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        match command.spawn() {
            Err(e) if e.kind() == ErrorKind::ExecutableFileBusy && Instant::now() < end => {
                thread::sleep(Duration::from_millis(1));
            }
            child => return child.unwrap_or_else(|e| panic!("{command:?}: {e}")),
        }
    }
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    let mut pipe = pipe.expect("piped");
    thread::spawn(move || {
        let mut all = Vec::new();
        let _ = pipe.read_to_end(&mut all);
        all
    })
}

/// The status once the child ends; `None`, with the child killed, if it does not.
fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let start = Instant::now();
    while start.elapsed() < limit {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return Some(status);
        }
        thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}
