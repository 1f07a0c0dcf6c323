//! Limits of the system and of the program: memory, stacks, threads, sizes, numbers.

use std::fs;
use std::process::Command;

use oarlock_tests::{Finished, bin, fixture, run};

use crate::common::{Tiny, fails};

/// A shell's limits, and the program in it.
fn limited(tiny: &Tiny, limit: &str, command: &str) -> Finished {
    let mut shell = Command::new("sh");
    shell.current_dir(tiny.join("."));
    let script = format!("ulimit {limit}; {command}");
    let path = format!("{}:/usr/bin:/bin", bin("oarlock").parent().unwrap().display());
    run(shell.arg("-c").arg(script).env("PATH", path), 120)
}

#[test]
fn a_limit_of_file_size_is_an_error_like_any_other() {
    let tiny = Tiny::new();
    let done = limited(&tiny, "-f 8", "echo hi | oarlock chat -m tiny.oar -n 2 --session s");
    assert_eq!(done.code(), 2);
    assert!(done.stderr.contains("error: s: file too large"), "{}", done.stderr);
    let left: Vec<_> =
        fs::read_dir(tiny.join(".")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{left:?}");
}

#[test]
fn texts_and_lines_without_end_are_refused() {
    let tiny = Tiny::new();
    let endless = "tr '\\0' x </dev/zero |";
    let done = limited(&tiny, "-c 0", &format!("{endless} oarlock chat -m tiny.oar -n 2"));
    fails(&done, 2, "standard input: a line is longer than 16 MiB");
    for command in ["tokenize -f -", "generate -f -"] {
        let done = limited(&tiny, "-c 0", &format!("{endless} oarlock {command} -m tiny.oar"));
        fails(&done, 2, "standard input: longer than 64 MiB");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_text_for_which_there_is_no_memory_is_refused() {
    let tiny = Tiny::new();
    fs::write(tiny.join("long.txt"), "word and ".repeat(1 << 20)).unwrap();
    for command in ["tokenize", "perplexity", "generate -n 1"] {
        let command = format!("oarlock {command} -f long.txt -m tiny.oar");
        let done = limited(&tiny, "-v 200000", &command);
        fails(&done, 2, "too long for the memory");
    }
}

#[test]
fn absurd_numbers_of_tokens_are_refused() {
    let tiny = Tiny::new();
    for (option, number) in
        [("--prompt-tokens", "18446744073709551615"), ("--depth", "100000000000")]
    {
        fails(&tiny.run("bench", &[option, number]), 2, &format!("{option}: {number} is too much"));
    }
}

/// Whatever asks for it, also crates that know no such failure.
#[cfg(target_os = "linux")]
#[test]
fn memory_that_is_not_there_is_a_line_everywhere() {
    let tiny = Tiny::new();
    let ids = "yes 300 | head -c 50000000 | oarlock detokenize -m tiny.oar -";
    let list = "(printf '[{\"role\":\"user\",\"content\":\"'; yes 'a b' | tr '\\n' ' ' | \
        head -c 50000000; printf '\"}]') | oarlock tokenize -m tiny.oar --messages -";
    let line = "yes 'word and' | tr '\\n' ' ' | head -c 9000000 | oarlock chat -m tiny.oar -n 2";
    for (kib, command) in
        [(100_000, ids), (200_000, ids), (200_000, list), (30_000, line), (40_000, line)]
    {
        let done = limited(&tiny, &format!("-v {kib}"), command);
        assert_eq!(done.code(), 2, "{command}: {}", done.stderr);
        let mut lines = done.stderr.lines().filter(|line| !line.contains("roken pipe"));
        assert!(lines.next().is_some_and(|line| line.starts_with("error: ")), "{}", done.stderr);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn small_stacks_are_enough() {
    let tiny = Tiny::new();
    for kib in [16, 64, 256] {
        let command = "oarlock generate -m tiny.oar -p hello -n 3 --temp 0";
        limited(&tiny, &format!("-s {kib}"), command).ok();
    }
    // In bytes: too few for any thread, and more than there are.
    for size in ["1", "1000000000000000"] {
        let mut command = tiny.command("generate", &["-p", "hello", "-n", "3", "-t", "4"]);
        run(command.env("RUST_MIN_STACK", size), 60).ok();
        let mut convert = Command::new(bin("oarlock-convert"));
        convert.arg(fixture("tiny/gqa")).arg("-o").arg(tiny.join("x.oar"));
        run(convert.env("RUST_MIN_STACK", size), 60).ok();
    }
}
