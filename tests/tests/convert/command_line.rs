//! The binary: messages, exit codes, interrupts, full disks, memory.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use oarlock_convert::{ConvertOptions, Error, Progress, convert};
use oarlock_tests::{Finished, TempDir, bin, run};

use crate::published::from_directory;
use crate::source::Source;

/// Stops at the n-th question.
struct Impatient(AtomicUsize);

impl Progress for Impatient {
    fn cancelled(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_err()
    }
}

#[test]
fn a_cancelled_conversion_leaves_what_was_there() {
    let source = Source::of("gqa");
    let folder = TempDir::new();
    let out = folder.join("model.oar");
    std::fs::write(&out, "before").unwrap();
    for patience in [0, 1, 6, 10, 20] {
        let progress = Impatient(AtomicUsize::new(patience));
        let error = convert(source.path(), &out, &ConvertOptions::default(), &progress);
        assert!(matches!(error, Err(Error::Cancelled)), "{patience}");
        assert_eq!(std::fs::read(&out).unwrap(), b"before");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

fn command(args: &[&str], folder: &TempDir) -> Finished {
    run(Command::new(bin("oarlock-convert")).args(args).current_dir(folder.path()), 120)
}

#[test]
fn the_command_line_says_one_line_and_names_its_output() {
    let (source, folder) = (Source::of("sharded-v4"), TempDir::new());
    let path = source.path().to_str().unwrap();
    let done = command(&["convert", path], &folder).ok();
    assert_eq!(done.text(), "");
    assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
    assert!(done.stderr.ends_with("bits per weight: 15 BF16 as int4n, 1 BF16 as int8\n"));
    let name = format!("{}.oar", source.path().file_name().unwrap().to_str().unwrap());
    assert!(folder.join(&name).exists(), "no {name}");
    let gguf = folder.join("a.b.gguf");
    from_directory(&Source::of("gqa")).write(&gguf);
    command(&["a.b.gguf"], &folder).ok();
    assert!(folder.join("a.b.oar").exists());
}

#[test]
fn errors_are_one_line_and_exit_2() {
    let folder = TempDir::new();
    let cases: [&[&str]; 6] = [
        &[],
        &["nowhere"],
        &["convert"],
        &["x", "--weights", "int3"],
        &["x", "-o"],
        &["x", "--bits", "4"],
    ];
    for args in cases {
        let done = command(args, &folder);
        assert_eq!((done.code(), done.text().as_str()), (2, ""), "{args:?}");
        let line = done.stderr.trim_end();
        assert!(line.starts_with("error: ") && line.ends_with(')'), "{line}");
        assert_eq!(line.lines().count(), 1, "{line}");
    }
    let help = command(&["--help"], &folder).ok();
    assert!(help.text().contains("--weights") && help.stderr.is_empty());
}

#[test]
fn an_interrupt_leaves_nothing() {
    let (source, folder) = (Source::large(65536), TempDir::new());
    let mut convert = Command::new(bin("oarlock-convert"));
    convert.arg(source.path()).args(["-o", "m.oar"]).current_dir(folder.path());
    let mut child = convert.spawn().unwrap();
    let begun = || std::fs::read_dir(folder.path()).unwrap().next().is_some();
    while !begun() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    run(Command::new("kill").args(["-INT", &child.id().to_string()]), 10).ok();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!begun(), "something is left");
}

/// Anonymous memory is limited by the system while 256 MB are converted: the bound of
/// three times the largest tensor and more is never nearly used.
#[test]
#[cfg(target_os = "linux")]
fn memory_stays_small_however_large_the_tensors() {
    let (source, folder) = (Source::large(65536), TempDir::new());
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -d 65536; exec \"$@\"", "sh"]).arg(bin("oarlock-convert"));
    limited.arg(source.path()).args(["-o", "m.oar"]).current_dir(folder.path());
    run(&mut limited, 120).ok();
    assert!(folder.join("m.oar").exists());
}

/// Needs a user who may mount: a disk of 64 KiB, and a model that is larger.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_said_and_nothing_is_left() {
    let (source, folder) = (Source::of("gqa"), TempDir::new());
    let script = "mount -t tmpfs -o size=64k none \"$1\" || exit 77; \
        \"$2\" \"$3\" -o \"$1/m.oar\" --weights f32; code=$?; ls -A \"$1\"; exit $code";
    let mut shell = Command::new("unshare");
    shell.args(["-rm", "sh", "-c", script, "sh"]).arg(folder.path());
    let done = run(shell.arg(bin("oarlock-convert")).arg(source.path()), 60);
    if done.code() == 77 || done.stderr.starts_with("unshare") {
        eprintln!("this system lets users mount nothing: not tried");
        return;
    }
    assert_eq!((done.code(), done.text().as_str()), (2, ""), "{}", done.stderr);
    assert!(done.stderr.contains("the disk is full"), "{}", done.stderr);
}

/// A system without room for another thread: the calling one does the work, to the same bytes.
#[test]
fn threads_that_cannot_start_are_done_without() {
    let (source, folder) = (Source::of("gqa"), TempDir::new());
    let path = source.path().to_str().unwrap();
    command(&[path, "-o", "plain.oar"], &folder).ok();
    let mut alone = Command::new(bin("oarlock-convert"));
    alone.args([path, "-o", "alone.oar"]).current_dir(folder.path());
    run(alone.env("RUST_MIN_STACK", "18446744073709551615"), 120).ok();
    let [a, b] = ["plain.oar", "alone.oar"].map(|name| std::fs::read(folder.join(name)).unwrap());
    assert!(a == b);
}
