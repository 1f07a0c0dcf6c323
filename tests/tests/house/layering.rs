//! The house rules that a compiler does not know: imports run one way, `unsafe` and
//! indexing stay in named files, the runtime has no standard library.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use oarlock_tests::root;

/// The runtime's floors from the ground up: each imports only what stands before it.
const ORDER: &[&str] =
    &["base", "format", "kernels", "cache", "model", "forward", "session", "text"];

/// The files that may hold `unsafe`, and what for.
const UNSAFE: &[(&str, &str)] = &[
    ("boards/cli/src/measure/bandwidth.rs", "asks for memory ahead"),
    ("boards/cli/src/model/carried.rs", "reads what was written into the program"),
    ("boards/cli/src/terminal/os.rs", "system calls"),
    ("boards/hosted/src/isa.rs", "asks the CPU"),
    ("boards/hosted/src/map.rs", "maps the model"),
    ("boards/hosted/src/open_model.rs", "keeps a model beside its map"),
    ("boards/hosted/src/os.rs", "system calls"),
    ("boards/hosted/src/pool.rs", "lends a closure to threads"),
    ("boards/raspi/src/board.rs", "asks the core for its name"),
    ("boards/raspi/src/boot.rs", "the way in from assembly"),
    ("boards/raspi/src/chat.rs", "proof of what the core can do"),
    ("boards/raspi/src/console.rs", "hands bytes from an interrupt on"),
    ("boards/raspi/src/cores.rs", "starts cores and lends them a closure"),
    ("boards/raspi/src/exceptions.rs", "the way in from a fault"),
    ("boards/raspi/src/firmware.rs", "reads what the firmware left in memory"),
    ("boards/raspi/src/interrupts.rs", "interrupt controllers"),
    ("boards/raspi/src/log.rs", "defmt's logger"),
    ("boards/raspi/src/mailbox.rs", "memory that the firmware writes"),
    ("boards/raspi/src/mmu.rs", "the tables of the map"),
    ("boards/raspi/src/model.rs", "the model where the firmware put it"),
    ("boards/raspi/src/power.rs", "resets the board, calls monitor and emulator"),
    ("boards/raspi/src/prompt.rs", "resets the board"),
    ("boards/raspi/src/registers.rs", "registers of devices and of the core"),
    ("boards/raspi/src/scratch.rs", "free memory as one slice"),
    ("boards/raspi/src/timer.rs", "reads the counter"),
    ("converter/src/convert/lanes.rs", "registers"),
    ("converter/src/map.rs", "maps weights"),
    ("converter/src/memory.rs", "the allocator, and a handler for lost pages"),
    ("converter/src/signals.rs", "catches interrupts"),
    ("converter/src/template/limits.rs", "limits its own process"),
    ("converter/src/unfinished.rs", "removes files in a handler"),
    ("runtime/src/base/arena.rs", "carves one slice into typed ones"),
    ("runtime/src/base/disjoint.rs", "outputs written by several threads"),
    ("runtime/src/format/cast.rs", "bytes of the file as numbers"),
    ("runtime/src/kernels/arm/base.rs", "registers"),
    ("runtime/src/kernels/arm/dotprod.rs", "registers"),
    ("runtime/src/kernels/arm/i8mm.rs", "registers"),
    ("runtime/src/kernels/arm/neon.rs", "registers"),
    ("runtime/src/kernels/attention/floats.rs", "hands slices to registers"),
    ("runtime/src/kernels/attention/int8.rs", "hands slices to registers"),
    ("runtime/src/kernels/attention/kv.rs", "hands slices to registers"),
    ("runtime/src/kernels/attention/mod.rs", "hands slices to registers"),
    ("runtime/src/kernels/attention/softmax.rs", "hands slices to registers"),
    ("runtime/src/kernels/attention/state.rs", "hands slices to registers"),
    ("runtime/src/kernels/attention/tile.rs", "hands slices to registers"),
    ("runtime/src/kernels/block.rs", "hands blocks to registers"),
    ("runtime/src/kernels/control_word.rs", "sets a register of the CPU"),
    ("runtime/src/kernels/elementwise/quantize.rs", "hands slices to registers"),
    ("runtime/src/kernels/elementwise/vector.rs", "hands slices to registers"),
    ("runtime/src/kernels/gemm/drive.rs", "hands slices to registers"),
    ("runtime/src/kernels/gemm/floats.rs", "hands slices to registers"),
    ("runtime/src/kernels/isa.rs", "proof of what the CPU can"),
    ("runtime/src/kernels/scalar.rs", "the same signatures without registers"),
    ("runtime/src/kernels/simd.rs", "the seam: loads and stores"),
    ("runtime/src/kernels/x86/amx.rs", "registers"),
    ("runtime/src/kernels/x86/avx2.rs", "registers"),
    ("runtime/src/kernels/x86/avx2_madd.rs", "registers"),
    ("runtime/src/kernels/x86/avx512.rs", "registers"),
    ("runtime/src/kernels/x86/avx_vnni.rs", "registers"),
    ("runtime/src/session/sampler/candidate.rs", "any bytes are a candidate"),
    ("tests/tests/no_alloc.rs", "counts what the allocator is asked for"),
];

/// The files of the runtime that may index or panic, and why they do not.
const INDEXING: &[(&str, &str)] = &[
    ("runtime/src/base/crc.rs", "tables of 256 indexed by bytes"),
    ("runtime/src/kernels/arm/base.rs", "arrays of known length"),
    ("runtime/src/kernels/arm/dotprod.rs", "arrays of known length"),
    ("runtime/src/kernels/arm/i8mm.rs", "arrays of known length"),
    ("runtime/src/kernels/arm/neon.rs", "arrays of known length"),
    ("runtime/src/kernels/attention/floats.rs", "lengths are checked on entry"),
    ("runtime/src/kernels/attention/int8.rs", "lengths are checked on entry"),
    ("runtime/src/kernels/attention/kv.rs", "lengths are checked on entry"),
    ("runtime/src/kernels/attention/mod.rs", "lengths are checked on entry"),
    ("runtime/src/kernels/attention/modifier.rs", "a slope for each head of a group"),
    ("runtime/src/kernels/attention/queries.rs", "lengths are checked on entry"),
    ("runtime/src/kernels/attention/softmax.rs", "lengths are checked on entry"),
    ("runtime/src/kernels/attention/state.rs", "lengths are checked on entry"),
    ("runtime/src/kernels/attention/tile.rs", "lengths are checked on entry"),
    ("runtime/src/kernels/block.rs", "arrays of known length"),
    ("runtime/src/kernels/elementwise/activation.rs", "arrays of known length"),
    ("runtime/src/kernels/elementwise/embedding.rs", "lengths are checked on entry"),
    ("runtime/src/kernels/elementwise/norm.rs", "arrays of known length"),
    ("runtime/src/kernels/elementwise/quantize.rs", "lengths are checked on entry"),
    ("runtime/src/kernels/elementwise/rotary.rs", "arrays of known length"),
    ("runtime/src/kernels/elementwise/vector.rs", "lengths are checked on entry"),
    ("runtime/src/kernels/gemm/drive.rs", "lengths are checked on entry"),
    ("runtime/src/kernels/gemm/epilogue.rs", "lengths are checked on entry"),
    ("runtime/src/kernels/gemm/floats.rs", "lengths are checked on entry"),
    ("runtime/src/kernels/gemm/mod.rs", "lengths are checked on entry"),
    ("runtime/src/kernels/scalar.rs", "lengths are checked on entry"),
    ("runtime/src/kernels/x86/amx.rs", "arrays of known length"),
    ("runtime/src/kernels/x86/avx2.rs", "arrays of known length"),
    ("runtime/src/kernels/x86/avx512.rs", "arrays of known length"),
    ("runtime/src/kernels/x86/avx_vnni.rs", "arrays of known length"),
    ("runtime/src/text/tokenizer/unicode.rs", "runs when compiled"),
];

/// Every Rust file below `folder`.
pub fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The lines of a file that are code, without its unit tests, which end a file.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("a readable source");
    let shipped = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default();
    let lines = shipped.lines().map(|l| l.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

pub fn name(path: &Path) -> String {
    path.strip_prefix(root()).expect("inside the workspace").to_string_lossy().replace('\\', "/")
}

/// The first names after each `crate::`, those of a list in braces all.
fn imports(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            Some(list) => names.extend(listed(list)),
            None => names.extend(first_name(rest)),
        }
    }
    names
}

fn first_name(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// The names at the outer level of a list whose opening brace is already gone.
fn listed(list: &str) -> Vec<String> {
    let (mut depth, mut names, mut start) = (0_usize, Vec::new(), 0);
    for (i, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            ',' | '}' if depth == 0 => {
                names.extend(first_name(list[start..i].trim()));
                start = i + 1;
                if c == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    names
}

/// The module of the runtime that a file belongs to.
fn module(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("runtime/src")).expect("a file of the runtime");
    let first = inside.components().next().expect("a path").as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// Names that `lib.rs` re-exports at the root of the crate: name, module.
fn re_exports() -> Vec<(String, String)> {
    let code = code(&root().join("runtime/src/lib.rs"));
    let lines = code.split("pub use ").skip(1).filter_map(|rest| rest.split_once(';'));
    let mut all = Vec::new();
    for (line, _) in lines {
        let (module, what) = line.split_once("::").expect("a path");
        let names = what.strip_prefix('{').map_or_else(|| vec![what.to_owned()], listed);
        all.extend(names.into_iter().map(|name| (name, module.to_owned())));
    }
    all
}

#[test]
fn imports_run_one_way() {
    let re_exports = re_exports();
    let rank = |module: &str| ORDER.iter().position(|m| *m == module);
    for path in sources(&root().join("runtime/src")) {
        let own = module(&path);
        if own == "lib" {
            continue;
        }
        let own_rank = rank(&own).unwrap_or_else(|| panic!("{own} has no place in ORDER"));
        for import in imports(&code(&path)) {
            let from = re_exports.iter().find(|(name, _)| *name == import);
            let from = from.map_or(import.as_str(), |(_, module)| module);
            let rank = rank(from).unwrap_or_else(|| panic!("{}: what is {import}?", name(&path)));
            assert!(
                rank < own_rank || from == own,
                "{}: {own} imports {from}, which stands above it",
                name(&path)
            );
        }
    }
}

#[test]
fn imports_are_read_off_any_spelling() {
    let code = "use crate::a::B;\nuse crate::{c, d::{e, f}, g::*};\nlet x = crate::h::i(crate::J);";
    let all: Vec<_> = imports(code).into_iter().collect();
    assert_eq!(all, ["J", "a", "c", "d", "g", "h"]);
}

#[test]
fn modules_name_others_by_the_root_of_the_crate() {
    for path in sources(&root().join("runtime/src")) {
        let depth = path.strip_prefix(root().join("runtime/src")).unwrap().components().count();
        let up = "super::".repeat(depth);
        let reaches = code(&path).contains(&up);
        // A `super::` that leaves the module is an import that the other test cannot see.
        let folder_root = path.ends_with("mod.rs") && code(&path).contains("super::");
        assert!(!reaches && !folder_root, "{}: write crate:: here", name(&path));
    }
}

#[test]
fn unsafe_stays_in_the_named_files() {
    let all = ["runtime/src", "converter/src", "boards", "tests"];
    let found: Vec<String> = all
        .iter()
        .flat_map(|folder| sources(&root().join(folder)))
        .filter(|path| !path.ends_with("layering.rs"))
        .filter(|path| code(path).contains("allow(unsafe_code"))
        .map(|path| name(&path))
        .collect();
    let mut named: Vec<&str> = UNSAFE.iter().map(|(file, _)| *file).collect();
    named.sort_unstable();
    let mut found: Vec<&str> = found.iter().map(String::as_str).collect();
    found.sort_unstable();
    assert_eq!(found, named);
}

#[test]
fn the_runtime_indexes_in_kernels_only() {
    let found: Vec<String> = sources(&root().join("runtime/src"))
        .iter()
        .filter(|path| {
            let code = code(path);
            let lints = ["indexing_slicing", "unwrap_used", "expect_used", "clippy::panic"];
            !path.ends_with("lib.rs") && lints.iter().any(|lint| code.contains(lint))
        })
        .map(|path| name(path))
        .collect();
    let named: Vec<&str> = INDEXING.iter().map(|(file, _)| *file).collect();
    assert_eq!(found, named);
}

#[test]
fn the_runtime_has_no_standard_library() {
    for path in sources(&root().join("runtime/src")) {
        let code = code(&path);
        for word in ["std::", "alloc::", "extern crate"] {
            let at_start = |(i, _): &(usize, &str)| {
                !code[..*i].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
            };
            let used = code.match_indices(word).any(|found| at_start(&found));
            assert!(!used, "{}: {word}", name(&path));
        }
    }
}

#[test]
fn every_crate_takes_the_lints() {
    let workspace = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    for lint in
        ["unsafe_code", "unsafe_op_in_unsafe_fn", "missing_docs", "undocumented_unsafe_blocks"]
    {
        assert!(workspace.contains(&format!("\n{lint} = \"deny\"\n")), "{lint}");
    }
    for package in ["runtime", "converter", "boards/hosted", "boards/cli", "tests"] {
        let manifest = std::fs::read_to_string(root().join(package).join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{package}");
    }
    let runtime = std::fs::read_to_string(root().join("runtime/src/lib.rs")).unwrap();
    assert!(runtime.contains("\n#![no_std]\n"));
    for lint in ["indexing_slicing", "unwrap_used", "expect_used", "panic"] {
        assert!(runtime.contains(&format!("clippy::{lint}")), "{lint}");
    }
}
