//! Nothing that comes from the files of a source acts on a terminal.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

use oarlock_tests::{Finished, TempDir, bin, fixture, harmless, on_terminal, run};
use serde_json::{Value, json};

use crate::gguf::{Builder, F32};

/// Rename the window, clear the screen, turn the direction, claim to be a line of ours.
const HOSTILE: &str = "x\x1b]0;pwn\x07\u{9b}2J\u{202e}\u{2066}\x7f\r\nerror: y\u{2028}\u{200b}";
const SHOWN: &str = r"x\u{1b}]0;pwn\u{7}\u{9b}2J\u{202e}\u{2066}\u{7f} error: y\u{2028}\u{200b}";

fn convert(source: &Path) -> Command {
    let mut convert = Command::new(bin("oarlock-convert"));
    convert.arg(source).arg("-o").arg(source.with_file_name("out.oar"));
    convert
}

/// Checks that it is refused on one line, by pipe and on a terminal alike.
#[track_caller]
fn refused(source: &Path, what: &str) {
    let done = run(&mut convert(source), 60);
    assert_eq!((done.code(), done.stderr.lines().count()), (2, 1), "{}", done.stderr);
    assert!(done.stderr.contains(what), "no {what} in {}", done.stderr);
    assert!(done.stderr.chars().count() <= 1001, "{}", done.stderr);
    harmless(&done);
    let told = on_terminal(&convert(source), &[]);
    assert_eq!(told.text(), done.stderr);
}

/// A tiny model whose files one can change.
struct Source(TempDir);

impl Source {
    fn new() -> Self {
        let folder = TempDir::new();
        fs::create_dir(folder.join("source")).unwrap();
        for file in fs::read_dir(fixture("tiny/gqa")).unwrap().flatten() {
            fs::copy(file.path(), folder.join("source").join(file.file_name())).unwrap();
        }
        Self(folder)
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.join("source")
    }

    fn edit(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let path = self.path().join(name);
        let mut json = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut json);
        fs::write(path, json.to_string()).unwrap();
    }
}

#[test]
fn words_of_configurations_are_shown() {
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 6] = [
        ("config.json", |it| it["architectures"] = json!([HOSTILE])),
        ("config.json", |it| it["hidden_act"] = json!(HOSTILE)),
        ("config.json", |it| it[HOSTILE] = json!(1)),
        ("tokenizer.json", |it| it["model"]["type"] = json!(HOSTILE)),
        ("tokenizer.json", |it| it["pre_tokenizer"] = json!({ "type": HOSTILE })),
        ("tokenizer.json", |it| it["model"]["merges"] = json!([[HOSTILE, "b"]])),
    ];
    for (name, change) in changes {
        let source = Source::new();
        source.edit(name, change);
        let done = run(&mut convert(&source.path()), 60);
        harmless(&done);
        if done.code() == 2 {
            refused(&source.path(), "");
        }
    }
    let source = Source::new();
    source.edit("config.json", |it| it["architectures"] = json!([HOSTILE]));
    refused(&source.path(), SHOWN);
    source.edit("config.json", |it| it["architectures"] = json!([HOSTILE.repeat(1000)]));
    refused(&source.path(), "…");
}

#[test]
fn messages_of_templates_are_shown() {
    let source = Source::new();
    let message = r"\x1b]0;pwn\x07\x9b\u202e\r\nerror: y";
    let template = format!("{{{{ raise_exception(\"{message}\") }}}}");
    fs::write(source.path().join("chat_template.jinja"), template).unwrap();
    let done = run(&mut convert(&source.path()), 60).ok();
    assert!(done.stderr.contains(r"\u{1b}]0;pwn\u{7}\u{9b}\u{202e} error: y"), "{}", done.stderr);
    assert!(!done.stderr.lines().any(|line| line.starts_with("error")), "{}", done.stderr);
    harmless(&done);
    let mut chat = Command::new(bin("oarlock"));
    chat.args(["chat", "-p", "x", "-m"]).arg(source.0.join("out.oar"));
    let done = run(&mut chat, 60);
    assert!(done.code() == 2 && done.stderr.contains(r"\u{1b}]0;pwn"), "{}", done.stderr);
    harmless(&done);
}

#[test]
fn names_of_tensors_are_shown() {
    let source = Source::new();
    let path = source.path().join("model.safetensors");
    let file = fs::read(&path).unwrap();
    let start = 8 + u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let mut header: Value = serde_json::from_slice(&file[8..start]).unwrap();
    let tensors = header.as_object_mut().unwrap();
    let norm = tensors.remove("model.norm.weight").unwrap();
    tensors.insert(HOSTILE.into(), norm);
    tensors[HOSTILE]["dtype"] = json!("I64");
    let header = header.to_string();
    let len = (header.len() as u64).to_le_bytes();
    fs::write(&path, [&len[..], header.as_bytes(), &file[start..]].concat()).unwrap();
    let done = run(&mut convert(&source.path()), 60);
    assert_eq!(done.code(), 2);
    harmless(&done);
}

#[test]
fn metadata_of_ggufs_is_shown() {
    let folder = TempDir::new();
    let gguf = |change: fn(&mut Builder)| {
        let mut builder = Builder::default();
        builder.str("general.architecture", "llama");
        change(&mut builder);
        builder.tensors.push((HOSTILE.into(), F32, vec![4, 4], vec![0; 64]));
        builder.write(&folder.join("a.gguf"));
        folder.join("a.gguf")
    };
    refused(&gguf(|it| it.str("general.architecture", HOSTILE)), SHOWN);
    refused(&gguf(|it| it.str("general.architecture", &HOSTILE.repeat(500))), "…");
    refused(&gguf(|it| it.str(HOSTILE, "x")), "");
    refused(&gguf(|it| it.strings("tokenizer.ggml.tokens", [HOSTILE].into_iter())), "");
    refused(&gguf(|it| it.tensors.push((HOSTILE.into(), 99, vec![4], vec![0; 4]))), SHOWN);
}

#[test]
fn names_of_files_and_arguments_are_shown() {
    let folder = TempDir::new();
    let name = OsStr::from_bytes(b"x\x9b31m\x1b]0;pwn\x07\n\xff.gguf");
    refused(&folder.join(".").join(name), r"x\x9b31m\u{1b}]0;pwn\u{7} \xff.gguf: no such file");
    fs::write(folder.join(".").join(name), "no GGUF").unwrap();
    refused(&folder.join(".").join(name), r"x\x9b31m\u{1b}]0;pwn\u{7} \xff.gguf: not a GGUF");
    let told = |args: &[&OsStr]| -> Finished {
        let done = run(Command::new(bin("oarlock-convert")).args(args), 60);
        assert_eq!((done.code(), done.stderr.lines().count()), (2, 1), "{}", done.stderr);
        harmless(&done);
        done
    };
    let hostile = OsStr::new("x\x1b]0;pwn\x07\u{9b}2J\u{202e}\x7f\n\nz");
    let shown = r"x\u{1b}]0;pwn\u{7}\u{9b}2J\u{202e}\u{7f}  z";
    for args in [&[hostile][..], &["--weights".as_ref(), hostile], &["a".as_ref(), hostile]] {
        assert!(told(args).stderr.contains(shown), "{}", told(args).stderr);
    }
    let image = |model: &OsStr, board: &OsStr| {
        let words = ["image", "--program", "no", "-o", "out", "--model"].map(OsStr::new);
        told(&[&words[..], &[model, "--board".as_ref(), board]].concat())
    };
    assert!(image("m".as_ref(), hostile).stderr.contains(shown));
    image(name, "linux-x86_64".as_ref());
    let mut source = Source::new();
    source.0 = TempDir::new();
    let here = source.0.join(".");
    fs::create_dir(here.join(name)).unwrap();
    for file in fs::read_dir(fixture("tiny/gqa")).unwrap().flatten() {
        fs::copy(file.path(), here.join(name).join(file.file_name())).unwrap();
    }
    // The name that it makes of the source's, and tells at the end.
    let mut convert = Command::new(bin("oarlock-convert"));
    let done = run(convert.arg(name).current_dir(&here), 60).ok();
    assert!(done.stderr.contains(r"x\x9b31m\u{1b}]0;pwn\u{7} \xff.oar: "), "{}", done.stderr);
    harmless(&done);
}
