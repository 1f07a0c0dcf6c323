//! Costs of int8 for each family: its tiny models against their own selves in f32.
//!
//! `cargo test -p oarlock-tests --test numerics families:: -- --nocapture` prints the table of
//! `docs/lab/families.md`.

use std::process::Command;

use oarlock_tests::{Npy, TempDir, bin, fixture, run, tiny, tiny_names};
use serde_json::Value;

/// Nats: four times what the worst of them has, and far below what a wrong layout makes.
const BOUND: f64 = 0.1;

/// The logits of a tiny model with these weights and a cache of the same type, after each of its
/// golden's tokens.
fn logits(name: &str, weights: &str) -> Npy {
    let golden = fixture("tiny").join(name).join("golden.json");
    let golden = std::fs::read_to_string(golden).expect("a fixture");
    let golden: Value = serde_json::from_str(&golden).expect("JSON");
    let ids = golden["ids"].as_array().expect("a list");
    let tokens = ids.iter().map(Value::to_string).collect::<Vec<_>>().join(",");
    let folder = TempDir::new();
    let (model, out) = (folder.join("tiny.oar"), folder.join("logits.npy"));
    std::fs::write(&model, &tiny(name, weights)[..]).expect("room for a tiny model");
    let mut oarlock = Command::new(bin("oarlock"));
    oarlock.args([
        "logits",
        "--kv",
        weights,
        "--tokens",
        &tokens,
        "--context",
        &ids.len().to_string(),
        "-m",
    ]);
    run(oarlock.arg(model).arg("-o").arg(&out), 60).ok();
    Npy::read(&out)
}

/// The logarithms of the probabilities that logits stand for.
fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let most = f64::from(logits.iter().copied().fold(f32::MIN, f32::max));
    let sum: f64 = logits.iter().map(|&v| (f64::from(v) - most).exp()).sum();
    logits.iter().map(|&v| f64::from(v) - most - sum.ln()).collect()
}

/// The divergence of `theirs` from `ours` in nats, and whether both have the same best token.
fn divergence(ours: &[f32], theirs: &[f32]) -> (f64, bool) {
    let (p, q) = (log_softmax(ours), log_softmax(theirs));
    let best = |logs: &[f64]| (0..logs.len()).max_by(|&a, &b| logs[a].total_cmp(&logs[b]));
    (p.iter().zip(&q).map(|(p, q)| p.exp() * (p - q)).sum(), best(&p) == best(&q))
}

#[test]
fn int8_stays_near_f32_in_every_family() {
    let mut table = Vec::new();
    for name in tiny_names() {
        let (exact, int8) = (logits(&name, "f32"), logits(&name, "int8"));
        let rows = exact.shape[0];
        let (mut sum, mut same) = (0.0, 0);
        for i in 0..rows {
            let (divergence, is_same) = divergence(exact.row(i), int8.row(i));
            sum += divergence;
            same += usize::from(is_same);
        }
        let (mean, same) = (sum / rows as f64, 100.0 * same as f64 / rows as f64);
        println!("| {name} | {mean:.1e} | {same:.0} % |");
        table.push((name, mean));
    }
    for (name, mean) in table {
        assert!(mean.is_finite() && mean < BOUND, "{name}: {mean} nats");
    }
}
