//! The modules of a crate: which file holds each, and which others it names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::tokens::tokens;

/// The names of modules from the root of the crate down.
type ModulePath = Vec<String>;

/// A crate's modules, and the paths that its files name.
#[derive(Default)]
pub struct Modules {
    files: BTreeMap<ModulePath, PathBuf>,
    /// (file, path from the root of the crate)
    named: Vec<(PathBuf, ModulePath)>,
}

impl Modules {
    /// Reads the crate whose root is this file, without the modules of its unit tests.
    pub fn read(root: &Path) -> Self {
        let mut modules = Self::default();
        modules.add(root, Vec::new());
        modules
    }

    /// For each file the others that it names a module of.
    ///
    /// A path leads to the file of its last module: what that one re-exports is its own.
    pub fn edges(&self) -> BTreeMap<&Path, BTreeSet<&Path>> {
        let mut edges: BTreeMap<&Path, BTreeSet<&Path>> = BTreeMap::new();
        for (from, path) in &self.named {
            let holds = |len: &usize| self.files.contains_key(&path[..*len]);
            let len = (0..=path.len()).rev().find(holds).unwrap_or(0);
            if let Some(to) = self.files.get(&path[..len]).filter(|to| *to != from) {
                edges.entry(from).or_default().insert(to);
            }
        }
        edges
    }

    fn add(&mut self, file: &Path, module: ModulePath) {
        self.files.insert(module.clone(), file.to_owned());
        let source = std::fs::read_to_string(file);
        let source = source.unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let tokens = shipped(&tokens(&source));
        let children: BTreeSet<&str> =
            tokens.windows(2).filter(|two| two[0] == "mod").map(|two| two[1]).collect();
        let (mut inside, mut depth) = (module, Vec::new());
        let mut at = 0;
        while at < tokens.len() {
            match tokens[at..] {
                ["mod", name, "{", ..] => {
                    inside.push(name.to_owned());
                    self.files.insert(inside.clone(), file.to_owned());
                    depth.push(true);
                    at += 3;
                    continue;
                }
                ["mod", name, ";", ..] => {
                    let child = child(file, name, explicit(&tokens[..at]));
                    self.add(&child, [&inside[..], &[name.to_owned()]].concat());
                }
                ["{", ..] => depth.push(false),
                ["}", ..] if depth.pop() == Some(true) => drop(inside.pop()),
                _ => {}
            }
            let (paths, len) = paths(&inside, &children, &tokens, at);
            self.named.extend(paths.into_iter().map(|path| (file.to_owned(), path)));
            at += len;
        }
    }
}

/// The paths that begin at a token, and how many tokens they take: 1 if there are none.
fn paths(
    inside: &[String],
    children: &BTreeSet<&str>,
    tokens: &[&str],
    at: usize,
) -> (Vec<ModulePath>, usize) {
    let begins = at == 0 || tokens[at - 1] != "::";
    if !begins || tokens.get(at + 1) != Some(&"::") {
        return (Vec::new(), 1);
    }
    let (mut base, mut next) = match tokens[at] {
        "crate" => (&inside[..0], at + 2),
        "self" => (inside, at + 2),
        name if name == "super" || children.contains(name) => (inside, at),
        _ => return (Vec::new(), 1),
    };
    while tokens[next..].starts_with(&["super", "::"]) {
        base = base.split_last().map_or(base, |(_, above)| above);
        next += 2;
    }
    let (paths, len) = tree(&tokens[next..]);
    (paths.into_iter().map(|path| [base, &path].concat()).collect(), next + len - at)
}

/// The paths of `a::b`, `a::{b, c::d}` or `a::*`, and how many tokens they take.
fn tree(tokens: &[&str]) -> (Vec<ModulePath>, usize) {
    let Some(&first) = tokens.first() else { return (Vec::new(), 0) };
    if first == "{" {
        let (mut paths, mut at) = (Vec::new(), 1);
        while at < tokens.len() && tokens[at] != "}" {
            let (more, len) = match tokens[at..] {
                ["," | "as", ..] => (Vec::new(), 1 + usize::from(tokens[at] == "as")),
                _ => tree(&tokens[at..]),
            };
            paths.extend(more);
            at += len.max(1);
        }
        return (paths, at + 1);
    }
    if !first.starts_with(crate::tokens::is_name) {
        return (vec![Vec::new()], usize::from(first == "*"));
    }
    if tokens.get(1) != Some(&"::") {
        return (vec![vec![first.to_owned()]], 1);
    }
    let (paths, len) = tree(&tokens[2..]);
    let below = |path: ModulePath| [&[first.to_owned()][..], &path].concat();
    (paths.into_iter().map(below).collect(), 2 + len)
}

/// The tokens without the items under `#[cfg(test)]`.
fn shipped<'a>(tokens: &[&'a str]) -> Vec<&'a str> {
    const TEST: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let (mut kept, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        if tokens[at..].starts_with(&TEST) {
            at += TEST.len();
            at += item(&tokens[at..]);
        } else {
            kept.push(tokens[at]);
            at += 1;
        }
    }
    kept
}

/// Counts the tokens of the item that begins here: up to `;`, or to the end of its braces.
fn item(tokens: &[&str]) -> usize {
    let mut depth = 0_usize;
    let end = tokens.iter().position(|token| {
        match *token {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && matches!(*token, ";" | "}")
    });
    end.map_or(tokens.len(), |end| end + 1)
}

/// The file that an attribute before a module names: `#[path = "…"]`.
fn explicit<'a>(before: &[&'a str]) -> Option<&'a str> {
    match before {
        [.., "#", "[", "path", "=", text, "]"] | [.., "#", "[", "path", "=", text, "]", "pub"] => {
            text.strip_prefix('"')
        }
        _ => None,
    }
}

/// The file of a module that another one declares.
fn child(parent: &Path, name: &str, explicit: Option<&str>) -> PathBuf {
    let folder = parent.parent().expect("a file lies in a folder");
    if let Some(path) = explicit {
        return folder.join(path);
    }
    let holds_a_folder = ["lib.rs", "main.rs", "mod.rs"].iter().any(|name| parent.ends_with(name));
    let below = if holds_a_folder { folder.to_owned() } else { parent.with_extension("") };
    let file = below.join(format!("{name}.rs"));
    if file.exists() { file } else { below.join(name).join("mod.rs") }
}

#[test]
fn paths_are_read_off_any_spelling() {
    let read = |text| tree(&tokens(text)).0.iter().map(|path| path.join("::")).collect::<Vec<_>>();
    assert_eq!(read("a::b;"), ["a::b"]);
    assert_eq!(read("{a, b::{self, c as d, e::*}, f};"), ["a", "b::self", "b::c", "b::e", "f"]);
    let text = "#[cfg(test)] mod a { fn b() {} } use c; #[cfg(test)] mod d; e";
    assert_eq!(shipped(&tokens(text)), ["use", "c", ";", "e"]);
}
