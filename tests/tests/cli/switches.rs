//! Through the command line: no switch changes a bit, and each says what really ran.

use std::path::Path;
use std::process::Command;

use oarlock::Isa;
use oarlock_tests::{Npy, TempDir, bin, isas, real_model, run, tiny};

struct Ran {
    bits: Vec<u32>,
    stderr: String,
}

fn logits(model: &Path, tokens: &str, switches: &[&str]) -> Ran {
    let folder = TempDir::new();
    let out = folder.join("logits.npy");
    let mut oarlock = Command::new(bin("oarlock"));
    oarlock.arg("logits").arg("-m").arg(model).args(["--tokens", tokens]).args(switches);
    let done = run(oarlock.arg("-o").arg(&out), 300).ok();
    assert!(done.stdout.is_empty(), "the logits go to the file alone");
    Ran { bits: Npy::read(&out).bits(), stderr: done.stderr }
}

/// Ids that a text of this length could have, the same in every run.
fn tokens(n: usize, vocab: usize) -> String {
    let ids: Vec<String> = (0..n).map(|i| ((i * 7919 + 13) % vocab).to_string()).collect();
    ids.join(",")
}

/// One run of all in which every switch differs from another run's.
fn assert_same(model: &Path, tokens: &str, context: &str, runs: &[(Isa, &str, &str)]) {
    let mut reference = None;
    for (isa, threads, chunk) in runs {
        let switches = ["--isa", isa.name(), "-t", threads, "--chunk", chunk, "--context", context];
        let ran = logits(model, tokens, &switches);
        let bits = reference.get_or_insert_with(|| ran.bits.clone());
        assert!(ran.bits == *bits, "other bits with {switches:?}");
        for (what, value) in [("isa", isa.name()), ("threads", threads), ("chunk", chunk)] {
            let said = ran.stderr.contains(&format!("{what} {value}"));
            assert!(said, "no '{what} {value}' in {}", ran.stderr);
        }
    }
}

/// A ring of 40 that wraps more than twice, for every type of weights.
#[test]
fn bits_are_the_same_for_tiny_models() {
    let folder = TempDir::new();
    let path = folder.join("tiny.oar");
    let mut runs = Vec::new();
    for isa in isas() {
        for threads in ["1", "2", "3"] {
            runs.extend(["1", "7", "64"].map(|chunk| (isa, threads, chunk)));
        }
    }
    for weights in ["int4", "int4a", "int8", "f32"] {
        std::fs::write(&path, &*tiny("gqa", weights)).expect("a writable folder");
        assert_same(&path, &tokens(300, 296), "40", &runs);
    }
}

/// Fewer runs and tokens, since plain Rust is slow; still past the end of the ring.
#[test]
fn bits_are_the_same_for_the_default_model() {
    let Some(model) = real_model() else { return };
    let fastest = *isas().last().expect("at least scalar");
    let runs =
        [(Isa::SCALAR, "2", "7"), (fastest, "1", "64"), (fastest, "2", "1"), (fastest, "3", "7")];
    assert_same(&model, &tokens(80, 49_000), "16", &runs);
}
