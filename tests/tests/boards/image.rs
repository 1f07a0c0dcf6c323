//! Images: a program and a model as one thing, which runs where it is copied to.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use oarlock_tests::{Aligned, Finished, TempDir, bin, run, tiny};

/// The board of the machine that runs the tests, if it is one.
const HERE: Option<&str> = if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
    Some("linux-x86_64")
} else if cfg!(all(target_os = "linux", target_arch = "aarch64")) {
    Some("linux-arm64")
} else {
    None
};

fn image(board: &str, model: &Path, out: &Path, more: &[&str]) -> Finished {
    let mut convert = Command::new(bin("oarlock-convert"));
    convert.args(["image", "--board", board, "--model"]).arg(model).arg("-o").arg(out);
    run(convert.args(more), 60)
}

/// A folder with a tiny model in it.
fn folder_with_model() -> (TempDir, PathBuf) {
    let folder = TempDir::new();
    let path = folder.join("tiny.oar");
    fs::write(&path, &*tiny("gqa", "int4")).expect("a writable folder");
    (folder, path)
}

fn generate(program: &Path, more: &[&str], home: &Path) -> Vec<u8> {
    let mut oarlock = Command::new(program);
    oarlock.args(["generate", "-p", "abc", "-n", "20", "--temp", "0", "--ignore-eos"]).args(more);
    run(oarlock.env("OARLOCK_HOME", home), 60).ok().stdout
}

#[test]
fn an_image_runs_its_model_where_it_lies() {
    let Some(board) = HERE else { return };
    let (folder, model) = folder_with_model();
    let out = folder.join("one-file");
    image(board, &model, &out, &[]).ok();
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o755);

    // Away from where it was made, with nothing in the cache folder and no way to fetch.
    let elsewhere = TempDir::new();
    let copied = elsewhere.join("copied");
    fs::copy(&out, &copied).expect("a writable folder");
    let model = model.to_str().expect("an ASCII path");
    let named = generate(&bin("oarlock"), &["-m", model], elsewhere.path());
    assert!(generate(&copied, &[], elsewhere.path()) == named && named.len() > 1);
    let verified = run(Command::new(&copied).arg("verify"), 60).ok();
    assert!(verified.text().contains("all in order"), "{}", verified.text());
    // -m still names another.
    let missing = run(Command::new(&copied).args(["verify", "-m", "nowhere.oar"]), 60);
    assert!(missing.code() == 2 && missing.stderr.starts_with("error: nowhere.oar"));
}

#[test]
fn the_model_is_a_part_of_the_file_and_begins_a_page() {
    let Some(board) = HERE else { return };
    let (folder, model) = folder_with_model();
    let out = folder.join("image");
    image(board, &model, &out, &[]).ok();
    let (whole, model) = (Aligned::read(&out), Aligned::read(&model));
    let name = b"oarlock carries:";
    let mut marks = (0..whole.len() - 40).filter(|&at| whole[at..].starts_with(name));
    let (Some(at), None) = (marks.next(), marks.next()) else { panic!("not one mark") };
    let mark = &whole[at..at + 40];
    let number = |at: usize| u64::from_le_bytes(mark[at..at + 8].try_into().unwrap()) as usize;
    let (offset, len) = (number(16), number(24));
    assert!(offset.is_multiple_of(16384) && offset + len == whole.len());
    assert!(whole[offset..] == *model);
    // Nothing else is changed.
    let mut program = whole[..offset].to_vec();
    program[at + name.len()..at + 40].fill(0);
    assert!(program.starts_with(&fs::read(bin("oarlock")).unwrap()));
}

/// Leftovers of a copy that broke off, or of `strip`.
#[test]
fn an_image_without_its_end_says_so() {
    let Some(board) = HERE else { return };
    let (folder, model) = folder_with_model();
    let out = folder.join("image");
    image(board, &model, &out, &[]).ok();
    let (whole, model_len) =
        (fs::metadata(&out).unwrap().len(), fs::metadata(&model).unwrap().len());
    for left in [whole - 1, whole - model_len, fs::metadata(bin("oarlock")).unwrap().len()] {
        fs::OpenOptions::new().write(true).open(&out).unwrap().set_len(left).unwrap();
        for command in ["bench", "verify", "inspect"] {
            let mut oarlock = Command::new(&out);
            let done = run(oarlock.arg(command).env("OARLOCK_HOME", folder.path()), 60);
            assert_eq!((done.code(), done.stdout.len()), (2, 0), "{}", done.stderr);
            let said =
                format!("its end is missing: {left} of {whole} bytes are here (copy it again");
            assert!(done.stderr.contains(&said), "{}", done.stderr);
            assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
        }
        // Another model can still be named, and what needs none runs.
        let mut oarlock = Command::new(&out);
        run(oarlock.args(["verify", "-m"]).arg(&model), 60).ok();
        run(Command::new(&out).arg("--help"), 60).ok();
    }
}

#[test]
fn a_model_beside_the_program_is_its_own() {
    let (folder, model) = folder_with_model();
    let home = TempDir::new();
    let named =
        generate(&bin("oarlock"), &["-m", model.to_str().expect("an ASCII path")], home.path());
    fs::copy(bin("oarlock"), folder.join("chat")).expect("a writable folder");
    fs::rename(&model, folder.join("chat.oar")).expect("a writable folder");
    assert!(generate(&folder.join("chat"), &[], home.path()) == named);
}

#[test]
fn the_same_files_give_the_same_bytes() {
    let Some(board) = HERE else { return };
    let (folder, model) = folder_with_model();
    let bytes = ["one", "two"].map(|name| {
        let out = folder.join(name);
        image(board, &model, &out, &[]).ok();
        fs::read(out).expect("it was written")
    });
    assert!(bytes[0] == bytes[1]);
}

#[test]
fn what_cannot_be_made_is_one_line_and_leaves_nothing() {
    let (folder, model) = folder_with_model();
    let out = folder.join("out");
    let fails = |board: &str, model: &Path, more: &[&str], parts: &[&str]| {
        let done = image(board, model, &out, more);
        assert_eq!(done.code(), 2, "{}", done.stderr);
        assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
        for part in parts {
            assert!(done.stderr.contains(part), "no '{part}' in {}", done.stderr);
        }
        assert!(!out.exists());
    };
    let program = bin("oarlock");
    let program = program.to_str().expect("an ASCII path");
    let not_here = if HERE == Some("linux-arm64") { "linux-x86_64" } else { "linux-arm64" };
    fails(not_here, &model, &["--program", program], &[program, "another machine"]);
    fails("apple", &model, &["--program", "nowhere"], &["nowhere", "no such file"]);
    fails("toaster", &model, &[], &["toaster"]);
    if let Some(board) = HERE {
        fails(board, Path::new(program), &[], &[program, "make one with oarlock-convert"]);
        let made = folder.join("made");
        image(board, &model, &made, &[]).ok();
        let made = made.to_str().expect("an ASCII path");
        fails(board, &model, &["--program", made], &[made, "carries a model already"]);
    }
    let before = fs::read(&model).expect("the model");
    for board in HERE.into_iter().chain(["apple"]) {
        let done = image(board, &model, &model, &["--program", program]);
        assert!(done.code() == 2 && done.stderr.contains("one of the inputs"), "{}", done.stderr);
        assert!(fs::read(&model).expect("the model") == before, "{board}");
    }
    // A converter that stands alone has no program at hand, and says how one is built.
    let alone = folder.join("oarlock-convert");
    fs::copy(bin("oarlock-convert"), &alone).expect("a writable folder");
    let mut command = Command::new(alone);
    command.args(["image", "--board", "apple", "--model"]).arg(&model).arg("-o").arg(&out);
    let done = run(&mut command, 60);
    assert!(done.code() == 2 && done.stderr.contains("--target aarch64-apple-darwin"));
    let left = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(left.into_iter().all(|name| !name.to_string_lossy().ends_with(".part")));
}
