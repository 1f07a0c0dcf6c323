//! Layers of files: imports between the files of a crate run in no circle.
//!
//! A parent that declares a child with `mod` does not import it; one that names it in a `use` or
//! a path does, and so does a child that names what its parent re-exports: it can name the file
//! that defines it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;

use oarlock_tests::root;

use crate::layering::name;
use crate::modules::Modules;

/// A graph: the nodes that each node points to.
type Graph<T> = BTreeMap<T, BTreeSet<T>>;

/// The files at the roots of all crates.
fn crate_roots() -> Vec<PathBuf> {
    let boards = std::fs::read_dir(root().join("boards")).expect("a folder of boards");
    let boards = boards.map(|entry| entry.expect("a readable folder").path());
    let mut crates: Vec<PathBuf> =
        ["runtime", "converter", "tests"].map(|name| root().join(name)).into();
    crates.extend(boards);
    crates.sort();
    let files =
        crates.iter().flat_map(|one| ["lib.rs", "main.rs"].map(|f| one.join("src").join(f)));
    files.filter(|file| file.exists()).collect()
}

/// The shortest way back to a node, which it begins with; none if there is none.
fn circle<T: Copy + Ord>(graph: &Graph<T>, start: T) -> Option<Vec<T>> {
    let (mut before, mut queue) = (BTreeMap::new(), VecDeque::from([start]));
    while let Some(node) = queue.pop_front() {
        for &next in graph.get(&node).into_iter().flatten() {
            if next == start {
                let mut way = vec![node];
                while let Some(&earlier) = before.get(&way[way.len() - 1]) {
                    way.push(earlier);
                }
                way.reverse();
                return Some(way);
            }
            if let Entry::Vacant(unseen) = before.entry(next) {
                unseen.insert(node);
                queue.push_back(next);
            }
        }
    }
    None
}

/// For each node that is on a circle the shortest one, each of them once.
fn circles<T: Copy + Ord>(graph: &Graph<T>) -> BTreeSet<Vec<T>> {
    let all = graph.keys().filter_map(|&start| circle(graph, start));
    let from_the_least = all.map(|mut way| {
        let least = way.iter().enumerate().min_by_key(|(_, node)| **node);
        let least = least.map_or(0, |(at, _)| at);
        way.rotate_left(least);
        way
    });
    from_the_least.collect()
}

#[test]
fn imports_between_files_run_in_no_circle() {
    let mut found = Vec::new();
    for file in crate_roots() {
        let modules = Modules::read(&file);
        for way in circles(&modules.edges()) {
            let names: Vec<String> = way.iter().chain(&way[..1]).map(|file| name(file)).collect();
            found.push(names.join(" → "));
        }
    }
    assert!(found.is_empty(), "{} circles:\n{}", found.len(), found.join("\n"));
}

#[test]
fn circles_are_found_once() {
    let graph = Graph::from([
        (1, BTreeSet::from([2, 4])),
        (2, BTreeSet::from([3])),
        (3, BTreeSet::from([1, 3, 4])),
        (4, BTreeSet::from([5])),
    ]);
    assert_eq!(circles(&graph), BTreeSet::from([vec![1, 2, 3], vec![3]]));
}
