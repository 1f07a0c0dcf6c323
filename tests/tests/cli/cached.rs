//! Sources that are named with `-m`: converted once, found again, listed, removed.

use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use oarlock_tests::{Finished, TempDir, bin, harmless, run};
use serde_json::Value;

use crate::common::{code, fails, interrupt, oarlock, start};
use crate::gguf::Builder;
use crate::published::from_directory;
use crate::source::Source;

/// The words of a first run.
const ONCE: &str = "converted once";

/// A tiny model as a directory and as a GGUF file, and an empty cache folder.
struct Place {
    source: Source,
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let (source, folder) = (Source::of("gqa"), TempDir::new());
        let mut gguf = from_directory(&source);
        let config = fs::read(source.join("tokenizer_config.json")).unwrap();
        let config: Value = serde_json::from_slice(&config).unwrap();
        gguf.str("tokenizer.chat_template", config["chat_template"].as_str().unwrap());
        gguf.write(&folder.join("tiny.gguf"));
        Self { source, folder }
    }

    fn gguf(&self) -> PathBuf {
        self.folder.join("tiny.gguf")
    }

    fn home(&self) -> PathBuf {
        self.folder.join("cache/oarlock")
    }

    fn command(&self, args: &[&str], model: &Path) -> Command {
        let mut oarlock = oarlock(&self.home());
        oarlock.args(args).arg("-m").arg(model).current_dir(self.folder.path());
        oarlock
    }

    fn run(&self, args: &[&str], model: &Path) -> Finished {
        run(&mut self.command(args, model), 60)
    }

    fn cache(&self, args: &[&str]) -> Finished {
        run(oarlock(&self.home()).arg("cache").args(args).current_dir(self.folder.path()), 60)
    }

    /// The converted models, as JSON has them.
    fn listed(&self) -> Vec<Value> {
        let json: Value = serde_json::from_slice(&self.cache(&["--json"]).ok().stdout).unwrap();
        json["models"].as_array().unwrap().clone()
    }

    /// The one file that came of all.
    #[track_caller]
    fn only(&self) -> PathBuf {
        let listed = self.listed();
        assert_eq!(listed.len(), 1, "{listed:?}");
        listed[0]["file"].as_str().unwrap().into()
    }

    #[track_caller]
    fn left_nothing(&self) {
        assert!(!self.folder.join("cache").exists(), "the cache folder was not there before");
    }
}

const SAY: [&str; 7] = ["generate", "-p", "a", "-n", "4", "--temp", "0"];

/// Sets the time of a file's last change.
fn date(path: &Path, time: SystemTime) {
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

fn seen(path: &Path) -> (u64, i64, i64, u64) {
    let meta = fs::metadata(path).unwrap();
    (meta.len(), meta.mtime(), meta.mtime_nsec(), meta.ino())
}

#[test]
fn a_gguf_and_a_directory_run_and_are_converted_once() {
    for is_gguf in [true, false] {
        let place = Place::new();
        let source = if is_gguf { place.gguf() } else { place.source.path().into() };
        let first = place.run(&SAY, &source).ok();
        assert!(first.stderr.contains(ONCE), "{}", first.stderr);
        let model = place.only();
        let before = seen(&model);
        let again = place.run(&SAY, &source).ok();
        assert!(!again.stderr.contains(ONCE), "{}", again.stderr);
        assert_eq!(first.stdout, again.stdout);
        for args in [
            &["chat", "-p", "hi", "-n", "2", "--temp", "0"][..],
            &["bench", "-r", "1", "-n", "2", "--prompt-tokens", "3"],
            &["tokenize", "hi"],
            &["detokenize", "5"],
            &["logits", "--tokens", "1,2", "-o", "l.npy"],
            &["inspect"],
            &["verify"],
        ] {
            let done = place.run(args, &source).ok();
            assert!(!done.stderr.contains(ONCE), "{args:?}: {}", done.stderr);
        }
        let inspect = run(oarlock(&place.home()).arg("inspect").arg(&source), 60).ok();
        let name = model.file_stem().unwrap().to_str().unwrap();
        assert!(inspect.text().lines().any(|line| line.ends_with(&format!(" {name}"))));
        assert!(inspect.text().contains("made from            source "));
        assert_eq!(seen(&place.only()), before);
        // What the converter's own program makes of it, to the byte.
        let mut convert = Command::new(bin("oarlock-convert"));
        convert.arg(&source).current_dir(place.folder.path());
        run(&mut convert, 60).ok();
        let own = place.folder.join(model.file_name().unwrap().to_str().unwrap());
        assert!(fs::read(own).unwrap() == fs::read(model).unwrap());
    }
}

#[test]
fn nothing_of_a_source_is_read_the_second_time() {
    let place = Place::new();
    for source in [place.gguf(), place.source.path().into()] {
        let first = place.run(&SAY, &source).ok();
        let mut files = vec![source.clone()];
        if source.is_dir() {
            files = fs::read_dir(&source).unwrap().map(|file| file.unwrap().path()).collect();
        }
        for file in files {
            let meta = fs::metadata(&file).unwrap();
            let time = meta.modified().unwrap();
            fs::write(&file, vec![b'x'; meta.len() as usize]).unwrap();
            date(&file, time);
        }
        assert_eq!(place.run(&SAY, &source).ok().stdout, first.stdout);
    }
}

#[test]
fn a_source_that_changes_is_converted_again() {
    let place = Place::new();
    let path = place.gguf();
    place.run(&SAY, &path).ok();
    let model = fs::read(place.only()).unwrap();
    let later = SystemTime::now() + Duration::from_secs(7);
    date(&path, later);
    assert_eq!(place.listed()[0]["state"], "changed");
    assert!(place.run(&SAY, &path).ok().stderr.contains(ONCE));
    assert!(fs::read(place.only()).unwrap() == model);
    // Another file of this name, time and size.
    let bytes = fs::read(&path).unwrap();
    fs::write(place.folder.join("other"), bytes).unwrap();
    date(&place.folder.join("other"), later);
    fs::rename(place.folder.join("other"), &path).unwrap();
    assert!(place.run(&SAY, &path).ok().stderr.contains(ONCE));
    assert_eq!(place.listed()[0]["state"], "here");

    let directory = place.source.path();
    place.run(&SAY, directory).ok();
    // A file that was not there is a change too.
    let template = "{% for m in messages %}{{ m.content }}{% endfor %}";
    fs::write(place.source.join("chat_template.jinja"), template).unwrap();
    assert!(place.run(&SAY, directory).ok().stderr.contains(ONCE));
    fs::write(place.source.join("unrelated.txt"), "x").unwrap();
    assert!(!place.run(&SAY, directory).ok().stderr.contains(ONCE));
    let shard = "model-00001-of-00001.safetensors";
    fs::rename(place.source.join("model.safetensors"), place.source.join(shard)).unwrap();
    let names = place.source_names(shard);
    fs::write(place.source.join("model.safetensors.index.json"), names.to_string()).unwrap();
    assert!(place.run(&SAY, directory).ok().stderr.contains(ONCE));
    assert!(!place.run(&SAY, directory).ok().stderr.contains(ONCE));
    date(&place.source.join(shard), later);
    assert!(place.run(&SAY, directory).ok().stderr.contains(ONCE));
    assert_eq!(place.listed().len(), 2);
}

impl Place {
    /// An index that finds every tensor in this shard.
    fn source_names(&self, shard: &str) -> Value {
        let bytes = fs::read(self.source.join(shard)).unwrap();
        let end = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header: Value = serde_json::from_slice(&bytes[8..end]).unwrap();
        let names = header.as_object().unwrap().keys().filter(|name| *name != "__metadata__");
        let map: serde_json::Map<_, _> = names.map(|name| (name.clone(), shard.into())).collect();
        serde_json::json!({ "weight_map": map })
    }
}

#[test]
fn whatever_way_leads_to_a_source_it_is_the_same() {
    let place = Place::new();
    fs::create_dir(place.folder.join("sub")).unwrap();
    symlink(place.folder.path(), place.folder.join("sub/up")).unwrap();
    for path in ["tiny.gguf", "./sub/../tiny.gguf", "sub/up/tiny.gguf"] {
        place.run(&SAY, path.as_ref()).ok();
    }
    assert!(place.only().ends_with("tiny.oar"));
    // Caches of others call files by hashes.
    fs::copy(place.gguf(), place.folder.join("sha256-0f3a")).unwrap();
    place.run(&SAY, "sha256-0f3a".as_ref()).ok();
    assert_eq!(place.listed().len(), 2);
}

#[test]
fn parts_are_one_source_whichever_is_named() {
    let place = Place::new();
    let whole = from_directory(&place.source);
    for (i, name) in ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"].iter().enumerate() {
        let tensors = whole.tensors.iter().skip(i).step_by(2).cloned().collect();
        let metadata = if i == 0 { whole.metadata.clone() } else { Vec::new() };
        let mut part = Builder { metadata, tensors };
        part.u32("split.no", i as u32);
        part.u32("split.count", 2);
        part.u32("split.tensors.count", whole.tensors.len() as u32);
        part.write(&place.folder.join(name));
    }
    let [first, second] = [1, 2].map(|i| place.folder.join(&format!("m-0000{i}-of-00002.gguf")));
    place.run(&SAY, &second).ok();
    assert!(!place.run(&SAY, &first).ok().stderr.contains(ONCE));
    assert!(place.only().ends_with("m.oar"));
    date(&second, SystemTime::now() + Duration::from_secs(7));
    assert!(place.run(&SAY, &first).ok().stderr.contains(ONCE));
    fs::remove_file(&second).unwrap();
    fails(&place.run(&SAY, &first), 2, "m-00002-of-00002.gguf: no such file");
}

#[test]
fn weights_are_of_sources_alone() {
    let place = Place::new();
    let types = |weights: &str| {
        let args = ["inspect", "--json", "--weights", weights];
        let done = place.run(&args, &place.gguf()).ok();
        let json: Value = serde_json::from_slice(&done.stdout).unwrap();
        let tensors = json["tensors"].as_array().unwrap().clone();
        tensors.iter().map(|t| t["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for weights in ["int8", "int4", "int5"] {
        let mut kinds = types(weights);
        kinds.retain(|kind| ["int4", "int5"].contains(&kind.as_str()));
        assert_eq!(kinds.is_empty(), weights == "int8");
        assert!(kinds.iter().all(|kind| kind == weights));
    }
    assert_eq!(place.listed().len(), 3);
    // Without a word it is what it is by default.
    place.run(&SAY, &place.gguf()).ok();
    types("auto");
    assert_eq!(place.listed().len(), 4);
    let args = [&SAY[..], &["--weights", "int8"]].concat();
    let model = PathBuf::from(place.listed()[0]["file"].as_str().unwrap());
    fails(&place.run(&args, &model), 2, "--weights int8: it is for a .gguf file or a model");
    fails(&run(oarlock(&place.home()).args(&args), 60), 2, "--weights int8: it is for");
    fails(&place.run(&["tokenize", "x", "--weights", "int3"], &model), 2, "'int3'");
    // A message of the converter's that names an option which is here too.
    let keep = [&SAY[..], &["--weights", "keep"]].concat();
    fails(&place.run(&keep, place.source.path()), 2, "--weights keep: the source is no GGUF");
}

#[test]
fn of_two_that_convert_the_same_one_waits_and_says_so() {
    let place = Place::new();
    place.run(&SAY, &place.gguf()).ok();
    date(&place.gguf(), SystemTime::now() + Duration::from_secs(7));
    let folder = File::open(place.only().parent().unwrap()).unwrap();
    folder.lock().unwrap();
    let mut child = start(&mut place.command(&SAY, &place.gguf()));
    let mut said = [0; 200];
    let len = child.stderr.as_mut().unwrap().read(&mut said).unwrap();
    let said = String::from_utf8_lossy(&said[..len]).into_owned();
    assert!(said.contains("converts this model: waiting for it"), "{said}");
    drop(folder);
    assert_eq!(code(child), 0);
    assert_eq!(place.listed()[0]["state"], "here");
}

#[test]
fn several_first_runs_at_once_convert_once() {
    let place = Place::new();
    let runs: Vec<_> = (0..4).map(|_| place.command(&SAY, &place.gguf())).collect();
    let runs = runs.into_iter().map(|mut it| std::thread::spawn(move || run(&mut it, 60).ok()));
    let runs: Vec<_> = runs.collect::<Vec<_>>().into_iter().map(|it| it.join().unwrap()).collect();
    assert_eq!(runs.iter().filter(|it| it.stderr.contains(ONCE)).count(), 1);
    assert!(runs.iter().all(|it| it.stdout == runs[0].stdout));
    place.only();
}

#[test]
fn a_source_that_is_refused_leaves_nothing() {
    let place = Place::new();
    let whole = fs::read(place.gguf()).unwrap();
    let refused = |name: &str, bytes: &[u8], what: &str| {
        let path = place.folder.join(name);
        fs::write(&path, bytes).unwrap();
        let done = place.run(&SAY, &path);
        fails(&done, 2, what);
        assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
        place.left_nothing();
    };
    refused("cut.gguf", &whole[..whole.len() / 2], "the file ends before the tensor does");
    refused("text.gguf", b"a page that says 404", "not a GGUF file");
    refused("empty.gguf", b"", "not a GGUF file");
    refused("m.gguf-split-a", &whole, "a piece of a file that was cut up");
    refused("model.safetensors", &whole[8..], "name the directory that it lies in");
    refused(
        "notes.txt",
        "no model at all".repeat(99).as_bytes(),
        "name an .oar or .gguf file, or a directory",
    );
    let directory = place.folder.join("directory");
    fs::create_dir(&directory).unwrap();
    fails(&place.run(&SAY, &directory), 2, "config.json: no such file (a model directory needs it");
    fs::copy(place.gguf(), directory.join("a.gguf")).unwrap();
    fails(&place.run(&SAY, &directory), 2, "give one of its GGUF files: ");
    for name in ["config.json", "tokenizer.json"] {
        fs::copy(place.source.join(name), directory.join(name)).unwrap();
    }
    fails(&place.run(&SAY, &directory), 2, "neither model.safetensors nor");
    fails(&place.run(&SAY, "no-such.gguf".as_ref()), 2, "no-such.gguf: no such file");
    place.left_nothing();
}

#[test]
fn a_source_that_cannot_chat_is_named_as_it_was() {
    let place = Place::new();
    let base = place.folder.join("base.gguf");
    from_directory(&place.source).write(&base);
    for _ in 0..2 {
        let done = place.run(&["chat", "-p", "hi"], &base);
        fails(&done, 2, "/base.gguf: this model cannot chat: the model has no chat template");
    }
    place.run(&SAY, &base).ok();
}

#[test]
fn a_cache_folder_that_cannot_be_is_said() {
    let place = Place::new();
    let mut command = oarlock(&place.gguf().join("cache"));
    let done = run(command.args(SAY).arg("-m").arg(place.gguf()), 60);
    fails(&done, 2, "set OARLOCK_HOME to a folder that you can write to");
}

/// A child that has begun to write the model of a large source.
fn converting(place: &Place, source: &Source) -> std::process::Child {
    let mut child = start(&mut place.command(&["verify"], source.path()));
    let is_part = |file: &fs::DirEntry| file.file_name().to_string_lossy().ends_with(".part");
    let begun = || {
        let places = fs::read_dir(place.home().join("converted")).into_iter().flatten().flatten();
        let mut files = places.flat_map(|place| fs::read_dir(place.path())).flatten().flatten();
        files.any(|file| is_part(&file))
    };
    while !begun() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(child.try_wait().unwrap().is_none(), "it was faster than this test");
    child
}

#[test]
fn ctrl_c_leaves_nothing() {
    let (place, source) = (Place::new(), Source::large(65536));
    let child = converting(&place, &source);
    interrupt(&child);
    assert_eq!(code(child), 130);
    place.left_nothing();
}

#[test]
fn a_source_that_changes_while_it_is_read_is_refused() {
    let (place, source) = (Place::new(), Source::large(65536));
    let child = converting(&place, &source);
    date(&source.join("model.safetensors"), SystemTime::now() + Duration::from_secs(7));
    let done = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains(": it has changed while it was converted (run again"), "{stderr}");
    place.left_nothing();
}

#[test]
fn what_may_not_be_read_is_not_read_from_the_cache() {
    let place = Place::new();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let umask = !mode(place.folder.path());
    for (of_file, of_folder) in [(0o644, 0o755), (0o640, 0o750), (0o600, 0o700)] {
        fs::set_permissions(place.gguf(), Permissions::from_mode(of_file)).unwrap();
        place.run(&SAY, &place.gguf()).ok();
        assert_eq!(mode(place.only().parent().unwrap()), of_folder & !umask);
        place.cache(&["clear"]).ok();
    }
}

#[test]
fn what_a_killed_conversion_left_goes_with_the_next() {
    let (place, source) = (Place::new(), Source::large(65536));
    let mut child = converting(&place, &source);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(place.listed().len(), 0);
    place.run(&SAY, &place.gguf()).ok();
    assert_eq!(fs::read_dir(place.home().join("converted")).unwrap().count(), 1);
}

/// Needs a user who may mount: a disk of 64 KiB, and a model that is larger.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_said_and_nothing_is_left() {
    let place = Place::new();
    fs::create_dir(place.folder.join("disk")).unwrap();
    let script = "mount -t tmpfs -o size=64k none \"$1\" || exit 77; export OARLOCK_HOME=$1/cache; \
        \"$2\" verify -m \"$3\" --weights f32; code=$?; ls -A \"$1\"; exit $code";
    let mut shell = Command::new("unshare");
    shell.args(["-rm", "sh", "-c", script, "sh"]).arg(place.folder.join("disk"));
    let done = run(shell.arg(bin("oarlock")).arg(place.gguf()), 60);
    if done.code() == 77 || done.stderr.starts_with("unshare") {
        eprintln!("this system lets users mount nothing: not tried");
        return;
    }
    fails(&done, 2, "/disk/cache: the disk is full");
    assert!(done.stderr.contains("set OARLOCK_HOME to a folder elsewhere)"), "{}", done.stderr);
    assert_eq!(done.text(), "");
}

#[test]
fn a_limit_of_file_size_is_said_and_nothing_is_left() {
    let place = Place::new();
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -f 8; exec \"$@\"", "sh"]).arg(bin("oarlock")).arg("verify");
    shell.arg("-m").arg(place.gguf()).env("OARLOCK_HOME", place.home());
    fails(&run(&mut shell, 60), 2, "raise the limit with ulimit -f, or set OARLOCK_HOME");
    place.left_nothing();
}

#[test]
fn a_damaged_model_in_the_cache_says_how_to_make_it_again() {
    let place = Place::new();
    place.run(&SAY, &place.gguf()).ok();
    let model = place.only();
    let bytes = fs::read(&model).unwrap();
    fs::write(&model, &bytes[..bytes.len() - 1]).unwrap();
    let cure = "oarlock cache clear tiny, and run again";
    fails(&place.run(&SAY, &place.gguf()), 2, cure);
    fails(&place.run(&["verify"], &place.gguf()), 1, cure);
    place.cache(&["clear", "tiny"]).ok();
    place.run(&SAY, &place.gguf()).ok();
    // One that is not there at all needs nobody.
    fs::remove_file(place.only()).unwrap();
    place.run(&SAY, &place.gguf()).ok();
}

#[test]
fn the_cache_is_listed_and_cleared() {
    let place = Place::new();
    let empty = place.cache(&[]).ok().text();
    assert!(empty.starts_with("0 models, 0.0 MB in "), "{empty}");
    let other = place.folder.join("other.gguf");
    fs::copy(place.gguf(), &other).unwrap();
    for source in [place.gguf(), other.clone(), place.source.path().into()] {
        place.run(&SAY, &source).ok();
    }
    place.run(&["verify", "--weights", "int8"], &place.gguf()).ok();
    let listed = place.listed();
    let keys: Vec<_> = listed[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["bytes", "file", "last_used", "source", "state", "weights"]);
    assert_eq!(listed.len(), 4);
    let text = place.cache(&[]).ok().text();
    let lines = text.lines().filter(|line| line.contains("  here  "));
    assert_eq!(lines.count(), 4, "{text}");
    assert!(text.contains(other.canonicalize().unwrap().to_str().unwrap()), "{text}");
    assert!(text.contains(" UTC") && text.contains("4 models, "), "{text}");

    fails(&place.cache(&["clear", "nobody"]), 2, "nobody: no converted model is called that");
    fails(&place.cache(&["clear", "tiny", "--stale"]), 2, "--help");
    fs::remove_file(&other).unwrap();
    assert!(place.listed().iter().any(|model| model["state"] == "gone"));
    let removed = |args: &[&str]| place.cache(&[&["clear"], args].concat()).ok().text();
    assert!(removed(&["--stale"]).starts_with("removed 1 model, "));
    assert_eq!(place.listed().len(), 3);
    // By name, both types; by path, from here.
    assert!(removed(&["tiny"]).starts_with("removed 2 models, "));
    place.run(&SAY, &place.gguf()).ok();
    assert!(removed(&["./tiny.gguf"]).starts_with("removed 1 model, "));
    assert!(removed(&["--stale"]).starts_with("removed 0 models"));
    assert!(removed(&[]).starts_with("removed 1 model, "));
    assert_eq!(place.listed().len(), 0);
    assert!(!place.home().join("converted").exists());
}

#[test]
fn the_last_use_is_noted() {
    let place = Place::new();
    place.run(&SAY, &place.gguf()).ok();
    let notes = place.only().with_file_name("source.json");
    date(&notes, SystemTime::UNIX_EPOCH + Duration::from_secs(3600));
    assert_eq!(place.listed()[0]["last_used"], "1970-01-01 01:00 UTC");
    place.run(&SAY, &place.gguf()).ok();
    assert_ne!(place.listed()[0]["last_used"], "1970-01-01 01:00 UTC");
}

#[test]
fn names_of_sources_are_shown_escaped() {
    let place = Place::new();
    let name = "x\u{1b}]0;pwn\u{7}\u{202e}\n.gguf";
    fs::copy(place.gguf(), place.folder.join(name)).unwrap();
    for args in [&SAY[..], &["inspect"], &["verify"]] {
        harmless(&place.run(args, name.as_ref()).ok());
    }
    for args in [&[][..], &["--json"], &["clear", "y\u{1b}[2J"], &["clear"]] {
        harmless(&place.cache(args));
    }
    fs::write(place.folder.join(name), "no model").unwrap();
    harmless(&place.run(&SAY, name.as_ref()));
}

#[test]
fn help_says_what_a_model_may_be() {
    let help =
        |args: &[&str]| run(oarlock(Path::new("/")).args(args).arg("--help"), 60).ok().text();
    let chat = help(&["chat"]);
    assert!(chat.contains("an .oar, a .gguf, or a directory with safetensors"), "{chat}");
    assert!(chat.contains("--weights <W>") && chat.contains("int4n"), "{chat}");
    assert!(help(&[]).contains("cache "));
    assert!(help(&["cache"]).contains("clear") && help(&["cache", "clear"]).contains("--stale"));
}
