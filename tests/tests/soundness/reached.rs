//! Whether all that safe code can call is called here.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use oarlock_tests::root;

/// Files whose `pub` does not leave the crate: modules above them are private.
const INSIDE: [&str; 9] = [
    "text/chat/tags.rs",
    "text/tokenizer/added.rs",
    "text/tokenizer/compose.rs",
    "text/tokenizer/split/",
    "text/tokenizer/tables/view.rs",
    "text/tokenizer/rewrite.rs",
    "base/arena.rs",
    "base/checked.rs",
    "base/carry.rs",
];

/// Names that no call here has, and why.
const LEFT_OUT: [(&str, &str); 2] =
    [("answer_start", "a chat's own"), ("is_python_space", "not out of its file's folder")];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// The names of safe functions that are `pub`.
fn public(source: &str) -> impl Iterator<Item = &str> {
    let shipped = source.split("#[cfg(test)]").next().unwrap_or_default();
    shipped.lines().filter_map(|line| {
        let line = line.trim_start().strip_prefix("pub ")?;
        let name = line.strip_prefix("const ").unwrap_or(line).strip_prefix("fn ")?;
        name.split(['(', '<']).next()
    })
}

#[test]
fn every_public_function_is_called() {
    let (mut runtime, mut ours) = (Vec::new(), Vec::new());
    let folder = root().join("runtime/src");
    sources(&folder, &mut runtime);
    sources(&root().join("tests/tests/soundness"), &mut ours);
    let read = |path: &PathBuf| std::fs::read_to_string(path).expect("a source");
    let ours: String = ours.iter().map(read).collect();
    let words: BTreeSet<&str> = ours.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let mut missing = Vec::new();
    for path in &runtime {
        let name = path.strip_prefix(&folder).expect("below it").to_string_lossy().into_owned();
        if INSIDE.iter().any(|inside| name.starts_with(inside)) {
            continue;
        }
        let source = read(path);
        let left_out = |name: &&str| LEFT_OUT.iter().any(|(left, _)| left == name);
        let new = public(&source).filter(|name| !words.contains(name) && !left_out(name));
        missing.extend(new.map(|function| format!("{name}: {function}")));
    }
    assert!(missing.is_empty(), "no hostile call of {missing:#?}");
}
