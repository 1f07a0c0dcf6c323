//! Nothing that comes from a file, its name or a model acts on a terminal.

use std::fs;
use std::process::Command;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use oarlock::internal::format::metadata_crc;
use oarlock_tests::{Finished, TempDir, bin, fixture, harmless, on_terminal, run};
use serde_json::{Value, json};

use crate::common::{Tiny, fails, oarlock};

/// Rename the window, clear the screen, turn the direction: in C0, C1 and Unicode.
const HOSTILE: &str = "x\u{1b}]0;pwn\u{7}\u{9b}2J\u{202e}\u{2066}\u{7f}";

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

/// Bytes of what the model of `fixtures/harmony` thinks and answers, a token each: a turn of direction
/// and controls, cut by tokens; the window's name, and a sequence of C1.
const THOUGHT: [u8; 8] = [0xE2, 0x80, 0xAE, 0x08, 0x0B, 0x05, 0x06, 0x0E];
const ANSWER: [u8; 6] = [0x1B, 0xC2, 0x9B, b'\r', 0x7F, 0x07];

/// GPT-2's letter for a byte (`bytes_to_unicode` in its `encoder.py`).
fn letter(byte: u8) -> char {
    let code = match u32::from(byte) {
        code @ 0..=0x20 => 0x100 + code,
        code @ 0x7F..=0xA0 => 0x121 + code - 0x7F,
        0xAD => 0x143,
        code => code,
    };
    char::from_u32(code).expect("a letter")
}

/// The model that says the same whatever it is asked, whose tokens were given other texts.
fn hostile_model() -> Tiny {
    let (from, folder) = (fixture("harmony"), TempDir::new());
    for name in ["config.json", "generation_config.json", "model.safetensors"] {
        fs::copy(from.join(name), folder.join(name)).unwrap();
    }
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        fs::copy(from.join(name), folder.join(name)).unwrap();
    }
    fs::copy(fixture("chat/gpt_oss.jinja"), folder.join("chat_template.jinja")).unwrap();
    let read = |path: &Path| serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap();
    let golden = read(&from.join("conversations.json"));
    let tiny = Tiny::made_of(folder.path(), "f32");
    let mut tokenizer = read(&from.join("tokenizer.json"));
    let vocabulary = tokenizer["model"]["vocab"].as_object_mut().expect("a vocabulary");
    for (key, bytes) in [("thought", &THOUGHT[..]), ("answer", &ANSWER)] {
        let ids = tiny.run("tokenize", &["--plain", "--", golden[key].as_str().unwrap()]).ok();
        let ids: Vec<u64> = serde_json::from_str(&ids.text()).unwrap();
        assert_eq!(ids.len(), bytes.len());
        for (id, &byte) in ids.into_iter().zip(bytes) {
            let old = vocabulary.iter().find(|(_, have)| **have == json!(id)).expect("a token");
            let (old, new) = (old.0.clone(), letter(byte).to_string());
            let other = vocabulary.insert(new, json!(id)).expect("a letter of the alphabet");
            vocabulary.insert(old, other);
        }
    }
    fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    Tiny::made_of(folder.path(), "f32")
}

/// A terminal gets what the model writes so that it can be seen, though tokens cut it anywhere;
/// pipes, and those who ask for it, get it byte by byte.
#[test]
fn a_terminal_shows_what_a_model_writes_and_does_nothing_of_it() {
    let tiny = hostile_model();
    let greedy = ["--temp", "0", "--date", "2026-01-31"];
    let raw = str::from_utf8(&ANSWER).unwrap();
    let shown = r"\u{1b}\u{9b}\u{d}\u{7f}\u{7}";
    let chat = [&greedy[..], &["-p", "hello"]].concat();
    let generate = ["--temp", "0", "--chat", "-p", "hello"];
    for (command, args) in [("chat", &chat[..]), ("generate", &generate)] {
        assert_eq!(tiny.run(command, args).ok().text(), format!("{raw}\n"));
        let done = on_terminal(&tiny.command(command, args), &[]).ok();
        let out = done.text();
        assert!(out.contains(shown), "{out:?}");
        assert!(out.contains("\x1b[2m\\u{202e}\x1b[0m\x1b[2m\\u{8}\x1b[0m"), "dimmed: {out:?}");
        harmless(&Finished { stdout: undimmed(&out), ..done });
        let args = [args, &["--raw"]].concat();
        let out = on_terminal(&tiny.command(command, &args), &[]).ok().text();
        assert!(out.contains(raw) && out.contains('\u{202E}'), "{out:?}");
    }
    let done = on_terminal(&tiny.command("chat", &greedy), &["hi\n", "/regen\n", "/exit\n"]).ok();
    assert_eq!(done.text().matches(shown).count(), 2, "{:?}", done.text());
    harmless(&Finished { stdout: undimmed(&done.text()), ..done });
}

/// The text that a terminal was told, without what dims thoughts.
fn undimmed(told: &str) -> Vec<u8> {
    told.replace("\x1b[2m", "").replace("\x1b[0m", "").into_bytes()
}

#[test]
fn detokenize_gives_a_terminal_what_can_be_seen() {
    let tiny = hostile_model();
    let ids: String =
        String::from_utf8_lossy(&tiny.run("tokenize", &["\x1b]\u{9b}\n"]).ok().stdout).into();
    let ids = ids.trim();
    assert_eq!(tiny.run("detokenize", &[ids]).ok().text(), "\x1b]\u{9b}\n");
    let told = |args: &[&str]| on_terminal(&tiny.command("detokenize", args), &[]).ok().text();
    assert_eq!(told(&[ids]), "\\u{1b}]\\u{9b}\n");
    assert_eq!(told(&[ids, "--raw"]), "\x1b]\u{9b}\n");
    let half = ids.split(',').nth(2).expect("the first byte of two");
    assert_eq!(told(&[half]), r"\xc2");
}

#[test]
fn random_tokens_do_nothing_to_a_terminal() {
    let tiny = Tiny::new();
    let args =
        ["-p", "a", "-n", "1500", "--temp", "3", "--top-k", "0", "--seed", "1", "--ignore-eos"];
    let plain = tiny.run("generate", &args).ok();
    assert!(plain.text().contains('\x1b'), "random tokens have controls");
    harmless(&on_terminal(&tiny.command("generate", &args), &[]).ok());
    let raw = on_terminal(&tiny.command("generate", &[&args[..], &["--raw"]].concat()), &[]);
    assert!(raw.ok().text().contains('\x1b'));
}

/// Puts other letters, as many bytes of them, in the place of a name in all metadata of a model.
fn rename(model: &Path, old: &str, new: &str) {
    assert_eq!(old.len(), new.len());
    let mut file = fs::read(model).unwrap();
    let open = oarlock_tests::Aligned::read(model);
    let model_view = oarlock::Model::open(&open).unwrap();
    let end = model_view.tensors().map(|t| t.extent.offset).min().unwrap() as usize;
    let places: Vec<usize> =
        (0..end - old.len()).filter(|&at| file[at..].starts_with(old.as_bytes())).collect();
    assert!(!places.is_empty(), "no {old}");
    places.into_iter().for_each(|at| file[at..at + new.len()].copy_from_slice(new.as_bytes()));
    let crc = metadata_crc(&file[..end]);
    file[12..16].copy_from_slice(&crc.to_le_bytes());
    fs::write(model, file).unwrap();
}

/// Names in a model that set the window's title, write over lines, or claim to be lines of ours.
#[test]
fn names_in_a_model_stay_on_their_lines() {
    let tiny = Tiny::new();
    rename(&tiny.model(), "LlamaForCausalLM", "x\x1b]0;p\x07\u{9b}2J\nok\r\t");
    rename(&tiny.model(), "embed_tokens", "e\u{202e}\x7f\n\u{2028}st\u{1b}");
    let plain = Tiny::new();
    let inspect = tiny.run("inspect", &[]).ok();
    let lines = |done: &Finished| done.text().lines().count();
    assert_eq!(lines(&inspect), lines(&plain.run("inspect", &[]).ok()), "{}", inspect.text());
    let arch =
        inspect.text().lines().find(|line| line.starts_with("architecture")).map(str::to_owned);
    assert!(arch.unwrap().ends_with(r"x\u{1b}]0;p\u{7}\u{9b}2J ok\u{d} "), "{}", inspect.text());
    assert!(inspect.text().contains(r"e\u{202e}\u{7f} \u{2028}st\u{1b}"));
    harmless(&inspect);
    harmless(&on_terminal(&tiny.command("inspect", &[]), &[]).ok());
    let json = tiny.run("inspect", &["--json"]).ok();
    harmless(&json);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["arch"], "x\x1b]0;p\x07\u{9b}2J\nok\r\t");
    // A bit of the tensor of that name.
    let mut file = fs::read(tiny.model()).unwrap();
    let tensors = json["tensors"].as_array().unwrap();
    let named = |tensor: &&Value| tensor["name"].as_str().unwrap().contains('\u{1b}');
    let offset = tensors.iter().find(named).expect("the tensor")["offset"].as_u64().unwrap();
    file[offset as usize] ^= 1;
    fs::write(tiny.model(), &file).unwrap();
    let done = tiny.run("verify", &[]);
    fails(&done, 1, r"e\u{202e}\u{7f} \u{2028}st\u{1b}");
    harmless(&done);
}

/// A name of a file that is no text: its bytes are shown, in whatever they are said.
#[test]
fn names_of_files_that_are_no_text_are_shown() {
    let tiny = Tiny::new();
    let name = OsStr::from_bytes(b"x\x9b31m\x1b[2J\n\xff.oar");
    fs::copy(tiny.model(), tiny.join(".").join(name)).unwrap();
    let shown = r"x\x9b31m\u{1b}[2J \xff";
    let mut missing = oarlock(tiny.join(".").as_path());
    missing.args(["inspect", "-m"]).arg(Path::new("no").join(name));
    let done = run(&mut missing, 60);
    fails(&done, 2, shown);
    harmless(&done);
    for command in ["inspect", "verify"] {
        let mut oarlock = oarlock(tiny.join(".").as_path());
        oarlock.current_dir(tiny.join(".")).args([command, "-m"]).arg(name);
        harmless(&run(&mut oarlock, 60).ok());
    }
    let mut session = tiny.command("chat", &["-p", "x", "-n", "1", "--session"]);
    harmless(&run(session.arg(name), 60));
    let kept = OsStr::from_bytes(b"kept\x9b\n\x07");
    run(tiny.command("chat", &["-p", "x", "-n", "1", "--session"]).arg(kept), 60);
    let done = run(tiny.command("chat", &["-p", "x", "-n", "1", "--session"]).arg(kept), 60);
    if done.status.success() {
        assert!(done.stderr.contains(r"messages so far in kept\x9b \u{7}."), "{}", done.stderr);
    }
    harmless(&done);
}

/// Environment, options, pip and a saved system prompt.
#[test]
fn words_from_outside_are_one_line_that_does_nothing() {
    let folder = TempDir::new();
    let pip = folder.join("python3");
    let script = "printf '#!/bin/sh\\nprintf \"ERROR: \\\\033]0;pwn\\\\007\\\\302\\\\2332J\\\\n\" >&2; exit 1\\n' > \"$0\" && chmod 755 \"$0\"";
    run(Command::new("sh").args(["-c", script]).arg(&pip), 60).ok();
    let mut fetch = oarlock(&folder.join(HOSTILE));
    let done = run(fetch.arg("inspect").env("PATH", folder.path()), 60);
    fails(&done, 2, r"\u{1b}]0;pwn\u{7}\u{9b}2J");
    harmless(&done);
    let many = HOSTILE.repeat(200);
    for args in [
        &[HOSTILE][..],
        &["generate", "--isa", HOSTILE],
        &["generate", "-p", "x", "-m", "no", "--isa", HOSTILE],
        &["chat", "--date", HOSTILE],
        &["detokenize", HOSTILE],
        &["bench", "--kv", &many],
        &["chat", "-m", &many],
    ] {
        let done = run(oarlock(folder.path()).env("PATH", folder.path()).args(args), 60);
        assert_eq!(done.code(), 2);
        fails(&done, 2, "");
        assert!(done.stderr.lines().all(|line| line.chars().count() <= 1000), "{}", done.stderr);
        harmless(&done);
    }
    let tiny = Tiny::family("gqa", "int8");
    for args in [&["--system", HOSTILE][..], &[], &["--system", "another"]] {
        let args = [&["-p", "x", "-n", "1", "--session", "kept"], args].concat();
        harmless(&on_terminal(&tiny.command("chat", &args), &[]));
    }
}

/// The file of the history, and what is pasted: the editor draws signs for what acts.
#[test]
fn lines_of_the_editor_do_nothing_when_they_are_drawn() {
    let tiny = hostile_model();
    fs::write(tiny.join("history.txt"), "#V2\nold\u{9b}2J\u{7}line\n").unwrap();
    let mut chat = tiny.command("chat", &["--temp", "0", "--date", "none"]);
    chat.env("TERM", "xterm");
    // Up, and a message that is pasted.
    let lines = ["\x1b[A\x01\x0b\x1b[200~pa\u{9d}0;\u{7}sted\x1b[201~\r", "/exit\r"];
    let done = on_terminal(&chat, &lines).ok();
    let told = done.text();
    assert!(told.contains("old\u{FFFD}2J\u{2407}line"), "{told:?}");
    assert!(told.contains("pa\u{FFFD}0;\u{2407}sted"), "{told:?}");
    assert!(!told.contains(['\u{7}', '\u{9b}', '\u{9d}']), "{told:?}");
}
