//! Through the command line: no switch changes a bit, and each says what really ran.

use std::process::Command;

use oarlock_tests::{Npy, TempDir, bin, isas, real_model, run, tiny};

struct Ran {
    bits: Vec<u32>,
    stderr: String,
}

fn logits(model: &std::path::Path, tokens: &str, switches: &[&str]) -> Ran {
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

fn same_bits_whatever_the_switches(model: &std::path::Path, tokens: &str, context: &str) {
    let base = ["--isa", "scalar", "-t", "1", "--chunk", "1", "--context", context];
    let reference = logits(model, tokens, &base);
    for isa in isas() {
        for threads in ["1", "2", "3"] {
            for chunk in ["1", "7", "64"] {
                let switches =
                    ["--isa", isa.name(), "-t", threads, "--chunk", chunk, "--context", context];
                let ran = logits(model, tokens, &switches);
                assert!(ran.bits == reference.bits, "other bits with {switches:?}");
                for (what, value) in [("isa", isa.name()), ("threads", threads), ("chunk", chunk)] {
                    let said = ran.stderr.contains(&format!("{what} {value}"));
                    assert!(said, "no '{what} {value}' in {}", ran.stderr);
                }
            }
        }
    }
}

/// A ring of 40 that wraps more than twice, for every type of weights.
#[test]
fn bits_are_the_same_for_tiny_models() {
    let folder = TempDir::new();
    for weights in ["int4", "int4a", "int8", "f32"] {
        let path = folder.join("tiny.oar");
        std::fs::write(&path, &*tiny("gqa", weights)).expect("a writable folder");
        same_bits_whatever_the_switches(&path, &tokens(120, 296), "40");
    }
}

#[test]
fn bits_are_the_same_for_the_default_model() {
    let Some(model) = real_model() else { return };
    same_bits_whatever_the_switches(&model, &tokens(200, 49_000), "64");
}
