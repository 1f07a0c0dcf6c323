//! The program among others: closed pipes, full devices, Ctrl-C, conversations by pipe.

use std::fs;
use std::io::Write;

use oarlock_tests::run_with_input;

#[cfg(target_os = "linux")]
use crate::common::fails;
use crate::common::{Tiny, code, interrupt, read_some, start};

/// Enough tokens never to be reached.
const ENDLESS: &str = "18446744073709551615";

fn endless<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let args = ["-n", ENDLESS, "--seed", "1", "--context", "16"];
    [&args[..], more].concat()
}

#[test]
fn a_reader_that_goes_away_is_a_quiet_end() {
    let tiny = Tiny::new();
    let mut child = start(&mut tiny.command("generate", &endless(&["-p", "x", "--ignore-eos"])));
    let mut stdout = child.stdout.take().unwrap();
    read_some(&mut stdout, 10);
    drop(stdout);
    let mut stderr = child.stderr.take().unwrap();
    assert_eq!(code(child), 0);
    let mut said = String::new();
    std::io::Read::read_to_string(&mut stderr, &mut said).unwrap();
    assert!(!said.contains("error"), "{said}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_device_is_an_error() {
    let tiny = Tiny::new();
    for (command, args) in [
        ("generate", &["-p", "x", "-n", "3"][..]),
        ("tokenize", &["x"]),
        ("inspect", &["--json"]),
        ("chat", &["-p", "x", "-n", "3"]),
    ] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let out = tiny.command(command, args).stdout(full).output().unwrap();
        let stderr = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(2), "{command}: {stderr}");
        assert!(stderr.starts_with("error: standard output: no space"), "{command}: {stderr}");
    }
    fails(&tiny.run("logits", &["--tokens", "1", "-o", "/dev/full"]), 2, "no space");
}

#[test]
fn ctrl_c_ends_with_130() {
    let tiny = Tiny::new();
    let mut child = start(&mut tiny.command("generate", &endless(&["-p", "x", "--ignore-eos"])));
    read_some(child.stdout.as_mut().unwrap(), 10);
    // Its pipe must be emptied, or it would wait there and prove nothing.
    let mut stdout = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
    interrupt(&child);
    assert_eq!(code(child), 130);
    reader.join().unwrap().unwrap();
}

#[test]
fn ctrl_c_leaves_no_file() {
    let tiny = Tiny::new();
    let tokens = vec!["7"; 20_000].join(",");
    let args = ["--tokens", &tokens, "-o", "logits.npy", "--isa", "scalar"];
    let child = start(&mut tiny.command("logits", &args));
    let files = || fs::read_dir(tiny.join(".")).unwrap().count();
    while files() < 2 {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    interrupt(&child);
    assert_eq!(code(child), 130);
    assert_eq!(files(), 1, "only the model is there");
}

#[test]
fn ctrl_c_in_chat_stops_the_answer_alone() {
    let tiny = Tiny::new();
    // This model never comes to an end of this answer.
    let mut child = start(&mut tiny.command("chat", &endless(&["--temp", "0"])));
    let mut stdin = child.stdin.take().unwrap();
    for _ in 0..2 {
        stdin.write_all(b"/clear\nhi\n").unwrap();
        let stdout = child.stdout.as_mut().unwrap();
        read_some(stdout, 50);
        interrupt(&child);
        while read_some(child.stdout.as_mut().unwrap(), 1) != b"\n" {}
    }
    drop(stdin);
    // Newlines of the answers' own may have been taken for their ends.
    let mut stdout = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
    let ended = code(child);
    reader.join().unwrap().unwrap();
    assert_eq!(ended, 0);
}

#[test]
fn ctrl_c_between_answers_ends_with_130() {
    let tiny = Tiny::new();
    let mut child = start(&mut tiny.command("chat", &["-n", "1"]));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"hi\n").unwrap();
    while read_some(child.stderr.as_mut().unwrap(), 1) != b"]" {}
    std::thread::sleep(std::time::Duration::from_millis(50));
    interrupt(&child);
    assert_eq!(code(child), 130);
    drop(stdin);
}

#[test]
fn every_line_is_a_message_and_every_answer_ends_with_a_newline() {
    let tiny = Tiny::new();
    let talk = |input: &str| {
        let mut chat = tiny.command("chat", &["--temp", "0", "-n", "8"]);
        run_with_input(&mut chat, input.as_bytes(), 60).ok()
    };
    let one = talk("hi\n");
    assert!(one.stdout.ends_with(b"\n"));
    assert_eq!(one.stderr.matches("tok/s;").count(), 1, "{}", one.stderr);
    // Without a newline at the end of the input, and with Windows' one.
    assert_eq!(talk("hi").stdout, one.stdout);
    assert_eq!(talk("hi\r\n\r\n").stdout, one.stdout);
    let again = talk("hi\n/clear\nhi\n");
    assert_eq!(again.stdout, [&one.stdout[..], &one.stdout].concat(), "nothing is remembered");
    let regenerated = talk("hi\n/regen\n");
    assert_eq!(regenerated.stdout, again.stdout, "the greedy answer is the same");
    let left = talk("hi\n/exit\nhi\n");
    assert_eq!(left.stdout, one.stdout);
    let other = talk("/system Be brief.\nhi\n");
    assert_ne!(other.stdout, one.stdout);
    assert!(talk("/help\n/stats\n").stdout.is_empty(), "commands talk on stderr");
    assert_eq!(
        talk("hi\n").stdout,
        tiny.run("chat", &["-p", "hi", "--temp", "0", "-n", "8"]).stdout
    );
}
