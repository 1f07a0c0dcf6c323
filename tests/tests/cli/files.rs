//! Files of the user: whose they are, what is replaced, what is never touched.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::process::Command;

use oarlock_tests::{Finished, bin, fixture, run, run_with_input};

use crate::common::{Tiny, fails, start};

const TALK: [&str; 6] = ["--temp", "0", "-n", "2", "--context", "64"];

fn talk(tiny: &Tiny, args: &[&str], input: &str) -> Finished {
    run_with_input(&mut tiny.command("chat", &[&TALK[..], args].concat()), input.as_bytes(), 60)
}

fn mode(tiny: &Tiny, name: &str) -> u32 {
    fs::metadata(tiny.join(name)).unwrap().permissions().mode() & 0o777
}

#[test]
fn conversations_are_private_and_keep_the_mode_that_a_user_gave() {
    let tiny = Tiny::new();
    talk(&tiny, &["--session", "a"], "hi\n").ok();
    assert_eq!(mode(&tiny, "a"), 0o600);
    for given in [0o640, 0o400, 0o600] {
        fs::set_permissions(tiny.join("a"), fs::Permissions::from_mode(given)).unwrap();
        talk(&tiny, &["--session", "a"], "again\n").ok();
        assert_eq!(mode(&tiny, "a"), given);
    }
}

#[test]
fn a_linked_session_replaces_what_the_link_points_to() {
    let tiny = Tiny::new();
    fs::create_dir(tiny.join("elsewhere")).unwrap();
    symlink("elsewhere/real", tiny.join("link")).unwrap();
    // The first time it points to nothing.
    for _ in 0..2 {
        talk(&tiny, &["--session", "link"], "hi\n").ok();
        assert!(fs::symlink_metadata(tiny.join("link")).unwrap().is_symlink());
        assert!(fs::symlink_metadata(tiny.join("elsewhere/real")).unwrap().is_file());
    }
}

/// Links and pipes under names that were used before redirect nothing and hold nothing up.
#[test]
fn nobody_else_s_files_are_written_to() {
    let tiny = Tiny::new();
    fs::write(tiny.join("victim"), "precious").unwrap();
    symlink("victim", tiny.join(".a.tmp")).unwrap();
    symlink("victim", tiny.join(".a.0123456789abcdef.part")).unwrap();
    pipe(&tiny, ".b.tmp");
    pipe(&tiny, ".b.0123456789abcdef.part");
    for name in ["a", "b"] {
        talk(&tiny, &["--session", name], "hi\n").ok();
        assert!(fs::symlink_metadata(tiny.join(name)).unwrap().is_file());
    }
    assert_eq!(fs::read(tiny.join("victim")).unwrap(), b"precious");
}

fn pipe(tiny: &Tiny, name: &str) {
    run(Command::new("mkfifo").arg(tiny.join(name)), 10).ok();
}

#[test]
fn pipes_and_devices_are_refused_before_they_are_opened() {
    let tiny = Tiny::new();
    pipe(&tiny, "pipe");
    let what = "pipe: not a regular file (name a file)";
    fails(&talk(&tiny, &["--session", "pipe"], "hi\n"), 2, what);
    for command in ["/save pipe", "/load pipe", "/save /dev/null", "/load /dev/null"] {
        let done = talk(&tiny, &[], &format!("{command}\n"));
        assert_eq!(done.code(), 2, "{command}");
        assert!(done.stderr.contains("not a regular file"), "{command}: {}", done.stderr);
    }
    assert!(fs::metadata(tiny.join("pipe")).unwrap().file_type().is_fifo());
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    let mut inspect = Command::new(bin("oarlock"));
    let done = run(inspect.args(["inspect", "-m"]).arg(tiny.join("pipe")), 10);
    fails(&done, 2, "pipe: is not a file");
    let mut convert = Command::new(bin("oarlock-convert"));
    let done = run(convert.arg(tiny.join("pipe")).arg("-o").arg(tiny.join("x.oar")), 10);
    fails(&done, 2, "pipe: not a file");
}

#[test]
fn files_of_killed_processes_go_and_those_of_living_ones_stay() {
    let tiny = Tiny::new();
    let (dead, living) = (".x.oar.0123456789abcdef.part", ".x.oar.fedcba9876543210.part");
    fs::write(tiny.join(dead), "half").unwrap();
    let file = fs::File::create(tiny.join(living)).unwrap();
    file.lock().unwrap();
    let mut convert = Command::new(bin("oarlock-convert"));
    run(convert.arg(fixture("tiny/gqa")).arg("-o").arg(tiny.join("x.oar")), 60).ok();
    assert!(!tiny.join(dead).exists() && tiny.join(living).exists());
}

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

#[test]
fn a_model_that_is_cut_short_while_it_runs_ends_in_a_line() {
    let tiny = Tiny::new();
    let mut chat = start(&mut tiny.command("chat", &TALK));
    let mut stdin = chat.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, b"hi\n").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    fs::File::options().write(true).open(tiny.model()).unwrap().set_len(4096).unwrap();
    std::io::Write::write_all(&mut stdin, b"and again\n").unwrap();
    drop(stdin);
    let done = chat.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("error: model: another process cut the file short"), "{stderr}");
}
