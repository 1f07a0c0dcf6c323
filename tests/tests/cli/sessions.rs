//! Conversations that are kept: in files that survive a killed process, and in the transcript
//! from which turns are taken back.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::time::Duration;

use oarlock_tests::{Finished, Random, run, run_with_input};

use crate::common::{Tiny, fails, start};

/// Random weights, which are never asked for sense, drawn from with these options.
const TALK: [&str; 8] = ["--temp", "1", "--seed", "5", "--context", "64", "-n", "30"];

fn chat(tiny: &Tiny, args: &[&str], input: &str) -> Finished {
    run_with_input(&mut tiny.command("chat", args), input.as_bytes(), 60)
}

fn talk(tiny: &Tiny, args: &[&str], input: &str) -> Finished {
    chat(tiny, &[&TALK[..], args].concat(), input).ok()
}

#[test]
fn a_resumed_conversation_is_the_uninterrupted_one() {
    let tiny = Tiny::new();
    let messages = ["hello there\n", "how are you, you two\n", "/regen\n", "and you\n", "so so\n"];
    for args in [&[][..], &["-s", "Be brief.", "--kv", "int8"], &["--repeat-penalty", "1.3"]] {
        let whole = talk(&tiny, &[args, &["--session", "whole"]].concat(), &messages.concat());
        // Each message by a process of its own, the fourth as -p.
        let (mut said, part) = (Vec::new(), [args, &["--session", "part"]].concat());
        for message in messages {
            let done = match message {
                "and you\n" => talk(&tiny, &[&part[..], &["-p", message.trim_end()]].concat(), ""),
                _ => talk(&tiny, &part, message),
            };
            said.extend_from_slice(&done.stdout);
        }
        assert_eq!(String::from_utf8_lossy(&said), whole.text(), "{args:?}");
        assert!(whole.stdout.len() > 100, "the ring has wrapped");
        assert!(fs::read(tiny.join("whole")).unwrap() == fs::read(tiny.join("part")).unwrap());
        fs::remove_file(tiny.join("whole")).and(fs::remove_file(tiny.join("part"))).unwrap();
    }
    assert_eq!(fs::read_dir(tiny.join(".")).unwrap().count(), 1, "nothing but the model is left");
}

/// Conversations that `/clear` and `/undo` took back are in no file.
#[test]
fn a_conversation_gives_the_same_file_whatever_was_taken_back() {
    let tiny = Tiny::new();
    let args =
        ["--temp", "0", "--seed", "5", "--context", "128", "-n", "3", "--pin", "0", "--sinks", "0"];
    let file = |name: &str, before: &str| {
        chat(&tiny, &args, &format!("{before}hi\nyou\n/save {name}\n")).ok();
        fs::read(tiny.join(name)).unwrap()
    };
    let plain = file("plain", "");
    assert!(file("cleared", "a long secret that nobody is to read\n/clear\n") == plain);
    assert!(file("undone", "a long secret that nobody is to read\n/undo\n") == plain);
    // Behind the answer before it: what closes that stays.
    let undone = ["a secret", "another, longer by some words"].map(|secret| {
        chat(&tiny, &args, &format!("hi\nyou\n{secret}\n/undo\n/save last\n")).ok();
        fs::read(tiny.join("last")).unwrap()
    });
    assert!(undone[0] == undone[1]);
}

#[test]
fn save_and_load_go_back_to_where_it_was() {
    let tiny = Tiny::new();
    let again = "two\nthree\n";
    let done = talk(&tiny, &[], &format!("one\n/save kept\n{again}/load kept\n{again}"));
    let text = done.text();
    let tail = talk(&tiny, &[], &format!("one\n{again}")).text();
    let first = talk(&tiny, &[], "one\n").text();
    let tail = tail.strip_prefix(&first).expect("the same first answer");
    assert_eq!(text, format!("{first}{tail}{tail}"));
    let other = talk(&tiny, &["--session", "other"], &format!("/load kept\n{again}"));
    assert_eq!(other.text(), tail);
    assert!(other.stderr.contains("1 messages so far in kept."), "{}", other.stderr);
    // The loaded conversation is now the session's.
    assert!(talk(&tiny, &["--session", "other"], "/stats\n").stderr.contains("3 messages so far"));
    // The same options go on, others begin anew.
    let fresh = ["--context", "64", "--seed", "6", "--session", "kept"];
    let fresh = chat(&tiny, &fresh, "").ok();
    assert!(fresh.stderr.contains("begin anew, with seed 6"), "{}", fresh.stderr);
}

#[test]
fn files_that_are_not_this_conversation_are_refused() {
    let tiny = Tiny::new();
    talk(&tiny, &["--session", "kept", "-s", "Be brief."], "hello\nyou\n");
    let good = fs::read(tiny.join("kept")).unwrap();
    let refused = |args: &[&str], what: &str| {
        let (session, load) = (["--session", "kept"], "/load kept\n");
        fails(&chat(&tiny, &[&TALK[..], &session, args].concat(), ""), 2, what);
        if !args.contains(&"-s") {
            fails(&chat(&tiny, &[&TALK[..], args].concat(), load), 2, what);
        }
        assert!(fs::read(tiny.join("kept")).unwrap() == good, "left as it is");
    };
    let context = chat(&tiny, &["--context", "60", "--session", "kept"], "");
    fails(&context, 2, "a context of 64 tokens (give --context 64)");
    refused(&["--kv", "int8"], "(give --kv f16)");
    refused(&["--chunk", "9"], "(give --chunk 64 --lookup 3)");
    refused(&["--pin", "30"], "with these options 30 (give --sinks ");
    refused(&["-s", "Be verbose."], "another system prompt");
    let other = Tiny::of("int4");
    fs::write(other.join("kept"), &good).unwrap();
    fails(&chat(&other, &[&TALK[..], &["--session", "kept"]].concat(), ""), 2, "another model");

    let damaged = |bytes: &[u8], what: &str| {
        fs::write(tiny.join("bad"), bytes).unwrap();
        let done = chat(&tiny, &[&TALK[..], &["--session", "bad"]].concat(), "");
        fails(&done, 2, what);
    };
    let changed = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 4;
        bytes
    };
    damaged(&changed(0), "not a conversation of Oarlock");
    damaged(b"text\n", "not a conversation of Oarlock");
    damaged(b"", "not a conversation of Oarlock");
    damaged(&changed(8), "is of version 6, this program reads version 2");
    damaged(&[&good[..], b"x"].concat(), "damaged");
    for cut in [20, 100, good.len() / 2, good.len() - 1] {
        damaged(&good[..cut], "cut off");
    }
    for at in (24..good.len()).step_by(good.len() / 40) {
        damaged(&changed(at), "damaged: its checksum");
    }
}

#[test]
fn places_that_cannot_hold_a_session_are_named_at_once() {
    let tiny = Tiny::new();
    fails(&chat(&tiny, &["--session", "no/such", "-p", "x"], ""), 2, "no such file");
    fails(&chat(&tiny, &["--session", ".", "-p", "x"], ""), 2, "is a directory");
    fails(&chat(&tiny, &[], "/load nowhere\n"), 2, "nowhere: no such file");
    fails(&chat(&tiny, &[], "/save\n"), 2, "there is no --session");
}

/// A turn that is taken back was never said, whether the ring still holds what came before or not.
#[test]
fn turns_are_taken_back() {
    let tiny = Tiny::new();
    let (first, taken) = ("hello there\nhow are you\n", "and where\n");
    let greedy = |context| ["--temp", "0", "--context", context, "--chunk", "8", "-n", "40"];
    for (context, undone, again) in [
        ("500", "Taken back, at once.", "(taken back, at once)"),
        ("64", "are read again with the next message", "tokens are read again)"),
    ] {
        let say = |input: &str| chat(&tiny, &greedy(context), input).ok();
        let before = say(first).text();
        let plain = say(&format!("{first}and you\n")).text();
        let answer = plain.strip_prefix(&before).expect("the same first answers");
        let done = say(&format!("{first}{taken}/undo\nand you\n"));
        assert!(done.stderr.contains(undone), "{undone}: {}", done.stderr);
        assert!(answer.len() > 40 && done.text().ends_with(answer), "{context}: {}", done.text());

        let done = say(&format!("{first}{taken}/regen\n"));
        assert!(done.stderr.contains(again), "{again}: {}", done.stderr);
        let without = say(&format!("{first}{taken}")).text();
        let answer = without.strip_prefix(&before).expect("the same first answers");
        assert_eq!(done.text(), format!("{without}{answer}"), "greedy answers are the same");
    }
    // Everything, one turn after the other, and one more that is not there.
    let greedy = greedy("64");
    let done = chat(&tiny, &greedy, &format!("{first}/undo\n/undo\n/undo\n{first}")).ok();
    assert_eq!(done.stderr.matches("Taken back").count(), 2, "{}", done.stderr);
    assert!(done.stderr.contains("There is nothing to take back."));
    let once = chat(&tiny, &greedy, first).ok().text();
    assert_eq!(done.text(), format!("{once}{once}"));
}

#[test]
fn a_pinned_prompt_takes_half_of_the_ring_at_most() {
    let tiny = Tiny::new();
    let system = "many words ".repeat(30);
    let too_long = chat(&tiny, &["-s", &system, "--context", "64", "-p", "x"], "");
    fails(&too_long, 2, "--pin system: the system prompt has ");
    assert!(too_long.stderr.contains("at most half of a context of 64 can be pinned, 32"));
    fails(&chat(&tiny, &["--pin", "33", "--context", "64", "-p", "x"], ""), 2, "give at most 32");
    fails(&chat(&tiny, &["--pin", "all", "-p", "x"], ""), 2, "system or a number");
    let sight = |args: &[&str]| {
        let done = talk(&tiny, args, "/context\n").stderr;
        done.lines().nth(1).unwrap_or_default().to_owned()
    };
    assert_eq!(sight(&["--pin", "20"]), "pinned 16 # | sinks 4 s | window 0 = of 44");
    assert_eq!(sight(&["--pin", "2"]), "pinned 0 # | sinks 4 s | window 0 = of 60");
    assert_eq!(sight(&["--pin", "2", "--sinks", "0"]), "pinned 2 # | sinks 0 s | window 0 = of 62");
    assert_eq!(
        sight(&["--pin", "9", "--sinks", "12"]),
        "pinned 0 # | sinks 12 s | window 0 = of 52"
    );
    let whole = talk(&tiny, &["-s", &system, "--pin", "0"], "hello\n/context\n").stderr;
    assert!(whole.contains("| window 60 = of 60\n"), "{whole}");
}

/// Whenever a process is killed, the file holds the conversation up to some turn, whole.
#[test]
fn a_killed_process_leaves_the_old_session_or_the_new() {
    let tiny = Tiny::new();
    let args = ["--temp", "1", "--seed", "5", "--context", "3000", "-n", "10", "--session"];
    let message = |i: usize| format!("{i} {}\n", "words and words ".repeat(15));
    let talk: Vec<String> = (0..6).map(message).collect();
    // What the file may hold: the state before the first message, and after each of them.
    let kept = (0..=talk.len()).map(|i| format!("/save turn-{i}\n"));
    let with_copies: String = kept
        .zip(talk.iter().chain([&String::new()]))
        .map(|(save, message)| save + message)
        .collect();
    chat(&tiny, &[&args[..], &["reference"]].concat(), &with_copies).ok();
    let turns: Vec<Vec<u8>> =
        (0..=talk.len()).map(|i| fs::read(tiny.join(&format!("turn-{i}"))).unwrap()).collect();
    let (mut random, mut seen) = (Random::new(1), BTreeSet::new());
    for kill in 0..50 {
        let _ = fs::remove_file(tiny.join("killed"));
        let mut child = start(&mut tiny.command("chat", &[&args[..], &["killed"]].concat()));
        let mut stdin = child.stdin.take().unwrap();
        // Both pipes hold all that is said.
        std::io::Write::write_all(&mut stdin, talk.concat().as_bytes()).unwrap();
        // Answers are kept as soon as they have been said; that takes some milliseconds.
        let said = BufReader::new(child.stderr.take().unwrap()).lines();
        let answers = said.filter(|line| line.as_ref().is_ok_and(|line| line.contains("tok/s")));
        let _ = answers.take(random.below(talk.len())).count();
        std::thread::sleep(Duration::from_micros(random.below(20_000) as u64));
        child.kill().unwrap();
        child.wait().unwrap();
        let Ok(left) = fs::read(tiny.join("killed")) else { continue };
        let turn = turns.iter().position(|turn| *turn == left);
        seen.insert(turn.unwrap_or_else(|| panic!("kill {kill}: {} bytes of no turn", left.len())));
    }
    for turn in &seen {
        let name = format!("turn-{turn}");
        let loaded = run(&mut tiny.command("chat", &[&args[..], &[&name]].concat()), 60).ok();
        assert!(loaded.stderr.contains("messages so far"), "{}", loaded.stderr);
    }
    println!("killed with {seen:?} messages in the file");
    assert!(seen.len() > 1, "kills that came at different moments");
}
