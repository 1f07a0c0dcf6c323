//! Helpers that the tests of the command line share.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use oarlock_tests::{Finished, TempDir, bin, fixture, run};
use serde_json::Value;

/// A tiny model with random weights in a folder of its own, and the program to run it.
pub struct Tiny {
    folder: TempDir,
}

impl Tiny {
    /// Converts the model.
    pub fn new() -> Self {
        Self::of("int8")
    }

    /// Converts the model with these weights.
    pub fn of(weights: &str) -> Self {
        Self::family("gqa", weights)
    }

    /// Converts this one of the tiny models.
    pub fn family(name: &str, weights: &str) -> Self {
        Self::made_of(&fixture("tiny").join(name), weights)
    }

    /// Converts the model in a directory.
    pub fn made_of(directory: &Path, weights: &str) -> Self {
        let tiny = Self { folder: TempDir::new() };
        let mut convert = Command::new(bin("oarlock-convert"));
        convert.arg(directory).args(["--weights", weights, "-o"]);
        run(convert.arg(tiny.model()), 60).ok();
        tiny
    }

    /// Converts a tiny Qwen2 whose first key bias is 200.
    pub fn biased_qwen2() -> Self {
        let (from, source) = (fixture("tiny").join("qwen2"), TempDir::new());
        for name in ["config.json", "tokenizer.json"] {
            std::fs::copy(from.join(name), source.join(name)).expect("a fixture");
        }
        let mut weights = std::fs::read(from.join("model.safetensors")).expect("a fixture");
        let start = 8 + u64::from_le_bytes(weights[..8].try_into().expect("8 bytes")) as usize;
        let header: Value = serde_json::from_slice(&weights[8..start]).expect("a header");
        let bias = &header["model.layers.0.self_attn.k_proj.bias"]["data_offsets"][0];
        let at = start + bias.as_u64().expect("an offset") as usize;
        weights[at..at + 4].copy_from_slice(&200_f32.to_le_bytes());
        std::fs::write(source.join("model.safetensors"), weights).expect("room");
        Self::made_of(source.path(), "int8")
    }

    /// Its path.
    pub fn model(&self) -> PathBuf {
        self.folder.join("tiny.oar")
    }

    /// A path beside it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// `oarlock COMMAND -m MODEL ARGS`, in the model's folder.
    pub fn command(&self, command: &str, args: &[&str]) -> Command {
        let mut oarlock = oarlock(self.folder.path());
        oarlock.arg(command).arg("-m").arg(self.model()).args(args);
        oarlock.current_dir(self.folder.path());
        oarlock
    }

    /// Runs that to its end.
    pub fn run(&self, command: &str, args: &[&str]) -> Finished {
        run(&mut self.command(command, args), 60)
    }
}

/// The program, with `home` as its cache folder.
pub fn oarlock(home: &Path) -> Command {
    let mut oarlock = Command::new(bin("oarlock"));
    oarlock.env("OARLOCK_HOME", home);
    oarlock
}

/// Checks an error: the exit code, and a first line on stderr in the one form there is.
#[track_caller]
pub fn fails(done: &Finished, code: i32, what: &str) {
    let first = done.stderr.lines().next().unwrap_or_default();
    assert_eq!(done.code(), code, "{}", done.stderr);
    assert!(first.starts_with("error: ") && first.ends_with(')'), "{}", done.stderr);
    assert!(first.contains(what), "no {what:?} in {first:?}");
}

/// Starts a program whose stdout and stderr go to pipes, with an open stdin.
pub fn start(command: &mut Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("oarlock runs")
}

/// Sends SIGINT, as Ctrl-C does.
pub fn interrupt(child: &Child) {
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(status.expect("kill runs").success());
}

/// Waits for a program that is about to end and gives its exit code.
pub fn code(mut child: Child) -> i32 {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(60) {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return status.code().unwrap_or(-1);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    panic!("still running after a minute");
}

/// Reads at least `n` bytes.
pub fn read_some(pipe: &mut impl Read, n: usize) -> Vec<u8> {
    let mut bytes = vec![0; n];
    pipe.read_exact(&mut bytes).expect("output");
    bytes
}
