//! `docs/reference/dependencies.md` is the list of what each crate may depend on: this holds it to
//! what cargo resolves.

use std::collections::BTreeMap;

use oarlock_tests::{cargo, root};

/// The document's sections, `## name`, and their items, ``- `dependency`: why``.
fn documented() -> BTreeMap<String, Vec<String>> {
    let text = std::fs::read_to_string(root().join("docs/reference/dependencies.md"))
        .expect("the document");
    let quoted = |line: &str| line.split('`').nth(1).map(str::to_owned);
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut current = None;
    for line in text.lines() {
        if line.starts_with("## ") {
            current = quoted(line);
        } else if let (true, Some(package)) = (line.starts_with("- `"), &current) {
            all.entry(package.clone()).or_default().extend(quoted(line));
        }
    }
    all.values_mut().for_each(|list| list.sort());
    all
}

/// The direct dependencies that cargo resolves, dev-dependencies aside.
fn resolved(package: &str) -> Vec<String> {
    let mut tree = cargo();
    if package == "oarlock-raspi" {
        // Of no workspace but its own.
        tree.current_dir(root().join("boards/raspi"));
    }
    tree.args(["tree", "--locked", "--all-features", "-e", "normal", "--depth", "1"]);
    let out = tree.args(["--prefix", "none", "-p", package]).output().expect("cargo runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).expect("UTF-8");
    let names = text.lines().skip(1).filter_map(|line| line.split(' ').next());
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort();
    names
}

#[test]
fn every_dependency_is_written_down() {
    let documented = documented();
    let packages: Vec<&str> = documented.keys().map(String::as_str).collect();
    let all = ["oarlock", "oarlock-cli", "oarlock-convert", "oarlock-hosted", "oarlock-raspi"];
    assert_eq!(packages, all);
    for (package, list) in &documented {
        assert_eq!(&resolved(package), list, "{package}: the document against cargo tree");
    }
}
