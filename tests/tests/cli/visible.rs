//! Nothing that comes from a file, its name or a model acts on a terminal.

use std::fs;
use std::process::Command;

use oarlock_tests::{Finished, TempDir, bin, fixture, run};
use serde_json::{Value, json};

use crate::common::{Tiny, oarlock};

/// Rename the window, clear the screen, turn the direction: in C0, C1 and Unicode.
const HOSTILE: &str = "x\u{1b}]0;pwn\u{7}\u{9b}2J\u{202e}\u{2066}\u{7f}";

/// Whether no character of a text would act on a terminal.
fn is_harmless(text: &str) -> bool {
    text.chars().all(|c| {
        matches!(c, '\n' | '\t')
            || !(c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
    })
}

fn harmless(done: &Finished) {
    let out = str::from_utf8(&done.stdout).expect("UTF-8");
    assert!(is_harmless(out) && is_harmless(&done.stderr), "{out:?} {:?}", done.stderr);
    assert!(!out.is_empty() || !done.stderr.is_empty());
}

fn convert(args: &[&str]) -> Finished {
    run(Command::new(bin("oarlock-convert")).args(args), 60)
}

#[test]
fn names_and_messages_of_files_are_shown_escaped() {
    let folder = TempDir::new();
    harmless(&convert(&[HOSTILE]));
    harmless(&convert(&["--weights", HOSTILE, "m"]));
    harmless(&convert(&[&format!("--{HOSTILE}")]));
    let source = folder.join("source");
    fs::create_dir(&source).unwrap();
    for file in fs::read_dir(fixture("tiny/gqa")).unwrap().map(|file| file.unwrap()) {
        fs::copy(file.path(), source.join(file.file_name())).unwrap();
    }
    let (path, out) = (source.to_str().unwrap(), folder.join(HOSTILE));
    let raise = format!("{{{{ raise_exception('{HOSTILE}') }}}}");
    fs::write(source.join("chat_template.jinja"), raise).unwrap();
    let done = convert(&[path, "-o", out.to_str().unwrap()]).ok();
    assert!(done.stderr.contains("\\u{1b}]0;pwn\\u{7}\\u{9b}2J\\u{202e}"), "{}", done.stderr);
    harmless(&done);
    for command in ["inspect", "verify", "chat", "bench"] {
        harmless(&run(oarlock(folder.path()).arg(command).arg("-m").arg(&out), 60));
    }
    harmless(&run(oarlock(folder.path()).args(["inspect", "--json", "-m"]).arg(&out), 60));
    harmless(&run(oarlock(folder.path()).args(["chat", "-m", HOSTILE]), 60));
    harmless(&run(oarlock(folder.path()).args([HOSTILE, HOSTILE]), 60));
    let config = fs::read(source.join("config.json")).unwrap();
    let mut config: Value = serde_json::from_slice(&config).unwrap();
    config["architectures"] = json!([HOSTILE]);
    config["model_type"] = json!(HOSTILE);
    fs::write(source.join("config.json"), config.to_string()).unwrap();
    harmless(&convert(&[path, "-o", out.to_str().unwrap()]));
}

#[test]
fn long_errors_are_cut_in_the_middle() {
    let done = convert(&[&"x".repeat(100_000)]);
    assert!(done.code() == 2 && done.stderr.chars().count() < 1100, "{}", done.stderr.len());
    assert!(done.stderr.starts_with("error: xxx") && done.stderr.ends_with(")\n"));
}

/// Runs the program on a terminal of its own.
fn on_terminal(tiny: &Tiny, args: &[&str]) -> String {
    let mut python = Command::new("python3");
    python.args(["-c", "import pty, sys; pty.spawn(sys.argv[1:])"]);
    let generate = tiny.command("generate", args);
    python.arg(generate.get_program()).args(generate.get_args());
    python.current_dir(tiny.join("."));
    // A terminal ends lines by two characters.
    String::from_utf8_lossy(&run(&mut python, 60).ok().stdout).replace("\r\n", "\n")
}

#[test]
fn a_model_does_nothing_to_a_terminal_unless_it_may() {
    let tiny = Tiny::new();
    let args =
        ["-p", "a", "-n", "1500", "--temp", "3", "--top-k", "0", "--seed", "1", "--ignore-eos"];
    let plain = tiny.run("generate", &args).ok();
    assert!(!is_harmless(&plain.text()), "random tokens have controls");
    assert!(is_harmless(&on_terminal(&tiny, &args)));
    let raw = on_terminal(&tiny, &[&args[..], &["--raw"]].concat());
    assert!(!is_harmless(&raw));
}
