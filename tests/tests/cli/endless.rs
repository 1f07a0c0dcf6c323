//! A stream far longer than its context stays a text.

use std::path::Path;
use std::process::Command;

use oarlock_tests::{Npy, TempDir, bin, fixture, real_model, run};
use serde_json::Value;

fn mean(values: &[f32]) -> f64 {
    values.iter().map(|v| f64::from(*v)).sum::<f64>() / values.len() as f64
}

/// 3,000 tokens through a window of 512: the model, seeing all of it at once, finds the end
/// no less likely than the part where the window first was full. With the default cache in the mean
/// of five texts: one may repeat itself early, which is likelier than any text, and stop later.
///
/// Takes minutes in all: `cargo test -p oarlock-tests --test cli endless:: -- --ignored`.
#[test]
#[ignore = "3,000 tokens of generation and their scores, five times: minutes"]
fn three_thousand_tokens_stay_a_text() {
    let Some(model) = real_model() else { return };
    let (early, late) = early_and_late(&model, "1", "int8");
    assert!(late <= early + 0.3, "int8: mean NLL {late} at the end, {early} at 512–1,012");
    let seeds = ["1", "2", "3", "4", "5"];
    let all: Vec<_> = seeds.map(|seed| early_and_late(&model, seed, "f16")).into();
    let mean = |part: fn(&(f64, f64)) -> f64| all.iter().map(part).sum::<f64>() / all.len() as f64;
    let (early, late) = (mean(|text| text.0), mean(|text| text.1));
    println!("mean NLL {early:.3} at 512–1,012, {late:.3} at the end: {all:.3?}");
    assert!(late <= early + 0.3, "mean NLL {late} at the end, {early} at 512–1,012: {all:?}");
}

/// The mean NLL of tokens 512 to 1,012 and of the last 500 of a text that the model writes.
fn early_and_late(model: &Path, seed: &str, kv: &str) -> (f64, f64) {
    let folder = TempDir::new();
    let oarlock = |args: &[&str]| {
        let mut command = Command::new(bin("oarlock"));
        command.args(args).arg("-m").arg(model).current_dir(folder.path());
        run(&mut command, 900).ok()
    };
    let kv = ["--kv", kv];
    let prompt = "The history of rowing begins";
    let long = ["generate", "--ignore-eos", "-n", "3000", "--context", "512"];
    let text = oarlock(&[&long[..], &kv, &["--seed", seed, "-p", prompt]].concat());
    std::fs::write(folder.join("text"), [prompt.as_bytes(), &text.stdout].concat()).unwrap();
    let ids: Vec<u32> = serde_json::from_str(&oarlock(&["tokenize", "-f", "text"]).text()).unwrap();
    let window = ids.len().to_string();
    let score = ["perplexity", "-f", "text", "--context", &window, "--per-token", "nll.npy"];
    oarlock(&[&score[..], &kv].concat());
    let scores = Npy::read(&folder.join("nll.npy"));
    assert_eq!(scores.shape, [1, ids.len() - 1]);
    (mean(&scores.data[512..1012]), mean(&scores.data[scores.data.len() - 500..]))
}

/// A million tokens by a tiny model of random weights: once the ring is full not a page of memory
/// is added, and the same text is predicted the same wherever it comes in the stream.
#[test]
#[ignore = "a million tokens: minutes"]
fn a_million_tokens_take_no_more_memory_and_do_not_drift() {
    let folder = TempDir::new();
    let mut convert = Command::new(bin("oarlock-convert"));
    convert.arg(fixture("tiny").join("gqa")).args(["--weights", "f32", "-o"]);
    run(convert.arg(folder.join("tiny.oar")), 60).ok();
    let text = std::fs::read_to_string(fixture("text.txt")).expect("a readable fixture");
    let oarlock = |args: &[&str]| {
        let mut command = Command::new(bin("oarlock"));
        command.args(args).args(["-m", "tiny.oar"]).current_dir(folder.path());
        run(&mut command, 3600).ok().text()
    };
    let ids = |times: usize| {
        std::fs::write(folder.join("text"), text.repeat(times)).expect("a folder for files");
        let ids = oarlock(&["tokenize", "-f", "text"]);
        serde_json::from_str::<Vec<u32>>(&ids).expect("a list of ids").len()
    };
    let period = ids(2) - ids(1);
    let many = 1_000_000 / period + 1;
    std::fs::write(folder.join("text"), text.repeat(many)).expect("a folder that takes files");
    let report =
        oarlock(&["stream", "-f", "text", "--context", "256", "--json", "--per-token", "nll.npy"]);
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let steps = report["steps"].as_array().expect("a list");
    let rss = |step: &Value| step["rss"].as_u64().expect("a number");
    // Two steps of 1,000 tokens: the ring is full and everything has run once.
    assert!(steps[2..].iter().all(|step| rss(step) == rss(&steps[1])), "{report}");
    let scores = Npy::read(&folder.join("nll.npy")).data;
    assert!(scores.len() > 1_000_000);
    // The second time and the last but one.
    let (early, late) = (&scores[period..2 * period], &scores[(many - 2) * period..]);
    let off = early.iter().zip(late).map(|(early, late)| (late - early).abs());
    let most = off.fold(0.0, f32::max);
    println!("{} tokens in: off by {most:.1e} at most", (many - 2) * period);
    assert!(most < 1e-3, "{most}");
}
