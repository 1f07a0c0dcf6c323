//! Programs on a terminal, and characters that must not get there.

use std::process::Command;

use crate::bins::{fixture, root};
use crate::process::{Finished, run_with_input};

/// Runs a program on a terminal of its own and types `lines` there, each when it is asked for; its
/// stdout is all that the terminal was told.
pub fn on_terminal(program: &Command, lines: &[&str]) -> Finished {
    let mut python = Command::new("python3");
    python.arg(root().join("tests/on_terminal.py")).arg(program.get_program());
    // A terminal that cannot move its cursor: the line editor adds nothing of its own.
    python.args(program.get_args()).env("TERM", "dumb");
    for (name, value) in program.get_envs() {
        python.env(name, value.unwrap_or_default());
    }
    if let Some(folder) = program.get_current_dir() {
        python.current_dir(folder);
    }
    let typed: String = lines.iter().flat_map(|line| [line, "\0"]).collect();
    let mut done = run_with_input(&mut python, typed.as_bytes(), 90);
    // Terminals are told to go back before they go down.
    done.stdout = done.text().replace("\r\n", "\n").into_bytes();
    done
}

/// Ranges of characters that terminals obey or hide, of Unicode's tables (`tests/golden/visible.py`).
pub fn hidden() -> Vec<std::ops::RangeInclusive<char>> {
    let text = std::fs::read_to_string(fixture("text/hidden.txt")).expect("a fixture");
    let code = |text| u32::from_str_radix(text, 16).ok().and_then(char::from_u32);
    let ranges = text.lines().map(|line| {
        let (range, _) = line.split_once(' ').expect("a range and why");
        let (first, last) = range.split_once("..").expect("a range");
        code(first).expect("a character")..=code(last).expect("a character")
    });
    ranges.collect()
}

/// Checks that a program has written text alone, in which a terminal finds nothing to obey.
#[track_caller]
pub fn harmless(done: &Finished) {
    let (hidden, out) = (hidden(), str::from_utf8(&done.stdout).expect("UTF-8"));
    for text in [out, &done.stderr] {
        let mut found = text.chars().filter(|c| !matches!(c, '\n' | '\t'));
        let found = found.find(|c| hidden.iter().any(|range| range.contains(c)));
        assert_eq!(found, None, "in {text:?}");
    }
    assert!(!out.is_empty() || !done.stderr.is_empty());
}
