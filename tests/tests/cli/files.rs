//! Files of the user: whose they are, what is replaced, what is never touched.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use oarlock_tests::{Finished, bin, fixture, run, run_with_input};
use serde_json::{Map, Value, json};

use crate::common::{Tiny, code, fails, interrupt, oarlock, read_some, start};

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

/// A signal that somebody sends, or that another fault brings, says nothing of a file.
#[test]
fn a_bus_error_of_another_kind_is_not_called_a_cut_file() {
    let tiny = Tiny::new();
    let mut chat = start(&mut tiny.command("chat", &TALK));
    std::thread::sleep(std::time::Duration::from_millis(500));
    run(Command::new("kill").args(["-BUS", &chat.id().to_string()]), 10).ok();
    drop(chat.stdin.take());
    let done = chat.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert_eq!((done.status.code(), stderr.contains("cut")), (None, false), "{stderr}");
}

/// A converter whose source loses its pages leaves nothing of the output.
#[test]
fn a_source_that_is_cut_short_while_it_is_read_leaves_no_output() {
    let tiny = Tiny::new();
    let (source, out) = (tiny.join("source"), tiny.join("out"));
    fs::create_dir_all(&source).unwrap();
    fs::create_dir_all(&out).unwrap();
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        fs::copy(fixture("tiny/gqa").join(name), source.join(name)).unwrap();
    }
    let weights = source.join("model.safetensors");
    grow_embedding(&source, 1_000_000);
    let mut convert = Command::new(bin("oarlock-convert"));
    convert.arg(&source).arg("-o").arg(out.join("x.oar")).args(["--weights", "int4"]);
    let converting = convert.stderr(std::process::Stdio::piped()).spawn().unwrap();
    wait_until(|| fs::read_dir(&out).unwrap().count() > 0);
    fs::File::options().write(true).open(&weights).unwrap().set_len(4096).unwrap();
    let done = converting.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("error: source: another process cut a file short"), "{stderr}");
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0, "{stderr}");
}

/// Gives a model an embedding of so many rows, all zero, which no disk has to hold.
fn grow_embedding(source: &Path, rows: u64) {
    const EMBEDDING: &str = "model.embed_tokens.weight";
    let config = fs::read_to_string(source.join("config.json")).unwrap();
    let mut config: Value = serde_json::from_str(&config).unwrap();
    config["vocab_size"] = rows.into();
    fs::write(source.join("config.json"), config.to_string()).unwrap();
    let weights = source.join("model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    let len = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header: Map<String, Value> = serde_json::from_slice(&bytes[8..8 + len]).unwrap();
    let old = header.remove(EMBEDDING).unwrap();
    let (dim, first) =
        (old["shape"][1].as_u64().unwrap(), old["data_offsets"][1].as_u64().unwrap());
    assert_eq!(old["data_offsets"][0], 0);
    for offset in header.values_mut().filter_map(|tensor| tensor["data_offsets"].as_array_mut()) {
        offset.iter_mut().for_each(|at| *at = (at.as_u64().unwrap() - first).into());
    }
    // It was the first, and is the last.
    let data = &bytes[8 + len + first as usize..];
    let (start, end) = (data.len() as u64, data.len() as u64 + rows * dim * 4);
    let new = json!({ "dtype": "F32", "shape": [rows, dim], "data_offsets": [start, end] });
    header.insert(EMBEDDING.into(), new);
    let header = Value::Object(header).to_string();
    let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat();
    fs::write(&weights, &file).unwrap();
    let len = file.len() as u64 + rows * dim * 4;
    fs::File::options().write(true).open(weights).unwrap().set_len(len).unwrap();
}

/// By a copy onto it, as a download that is repeated does.
#[test]
fn a_model_that_is_written_over_while_it_runs_ends_in_a_line_and_is_not_saved_with() {
    let tiny = Tiny::new();
    let mut chat = start(&mut tiny.command("chat", &[&TALK[..], &["--session", "a"]].concat()));
    let (mut stdin, mut stdout) = (chat.stdin.take().unwrap(), chat.stdout.take().unwrap());
    stdin.write_all(b"hi\n").unwrap();
    read_some(&mut stdout, 1);
    wait_until(|| fs::metadata(tiny.join("a")).is_ok_and(|meta| meta.len() > 2000));
    let before = fs::read(tiny.join("a")).unwrap();
    let bytes = fs::read(tiny.model()).unwrap();
    fs::File::options().write(true).open(tiny.model()).unwrap().write_all(&bytes).unwrap();
    stdin.write_all(b"and again\n").unwrap();
    drop(stdin);
    let done = chat.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains("tiny.oar: another process wrote to the file while it ran"),
        "{stderr}"
    );
    assert!(fs::read(tiny.join("a")).unwrap() == before);
}

/// A renamed new file is another file: the old one runs on.
#[test]
fn a_model_that_is_replaced_while_it_runs_runs_on() {
    let tiny = Tiny::new();
    let mut chat = start(&mut tiny.command("chat", &TALK));
    let (mut stdin, mut stdout) = (chat.stdin.take().unwrap(), chat.stdout.take().unwrap());
    stdin.write_all(b"hi\n").unwrap();
    read_some(&mut stdout, 1);
    fs::write(tiny.join("new"), "another").and(fs::rename(tiny.join("new"), tiny.model())).unwrap();
    stdin.write_all(b"and again\n").unwrap();
    drop((stdin, stdout));
    let done = chat.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
}

fn wait_until(is_so: impl Fn() -> bool) {
    for _ in 0..600 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("half a minute has gone by");
}

/// The administrator who goes on with a conversation does not take it from its owner.
#[test]
fn a_conversation_stays_its_owner_s() {
    let tiny = Tiny::new();
    talk(&tiny, &["--session", "a"], "hi\n").ok();
    if std::os::unix::fs::chown(tiny.join("a"), Some(65534), Some(65534)).is_err() {
        return; // Only the administrator may.
    }
    talk(&tiny, &["--session", "a"], "again\n").ok();
    let meta = fs::metadata(tiny.join("a")).unwrap();
    assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o777), (65534, 65534, 0o600));
}

#[test]
fn links_in_a_row_and_in_a_circle_are_followed_or_refused() {
    let tiny = Tiny::new();
    for (to, link) in
        [("second", "first"), ("third", "second"), ("round", "about"), ("about", "round")]
    {
        symlink(to, tiny.join(link)).unwrap();
    }
    talk(&tiny, &["--session", "first"], "hi\n").ok();
    assert!(fs::symlink_metadata(tiny.join("second")).unwrap().is_symlink());
    assert!(fs::symlink_metadata(tiny.join("third")).unwrap().is_file());
    assert_eq!(talk(&tiny, &["--session", "round"], "hi\n").code(), 2);
    assert!(fs::symlink_metadata(tiny.join("round")).unwrap().is_symlink());
}

#[test]
fn a_lock_that_another_process_holds_is_said() {
    let tiny = Tiny::new();
    let home = tiny.join("home");
    fs::create_dir(&home).unwrap();
    let held = fs::File::open(&home).unwrap();
    held.lock().unwrap();
    let mut first = start(oarlock(&home).args(["-p", "hi"]));
    let line = b"Another process holds the cache folder";
    let said = read_some(first.stderr.as_mut().unwrap(), line.len());
    assert_eq!(said, line);
    interrupt(&first);
    assert_eq!(code(first), 130);
}
