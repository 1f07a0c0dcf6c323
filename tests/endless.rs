//! A stream far longer than its context stays a text.

use std::process::Command;

use oarlock_tests::{Npy, TempDir, bin, real_model, run};

fn mean(values: &[f32]) -> f64 {
    values.iter().map(|v| f64::from(*v)).sum::<f64>() / values.len() as f64
}

/// 3,000 tokens through a window of 512: the model, seeing all of it at once, finds the end
/// no less likely than the part where the window first was full.
///
/// Takes minutes in all: `cargo test -p oarlock-tests --test endless -- --ignored`.
#[test]
#[ignore = "3,000 tokens of generation and their scores: minutes"]
fn three_thousand_tokens_stay_a_text() {
    let Some(model) = real_model() else { return };
    let folder = TempDir::new();
    let oarlock = |args: &[&str]| {
        let mut command = Command::new(bin("oarlock"));
        command.args(args).arg("-m").arg(&model).current_dir(folder.path());
        run(&mut command, 900).ok()
    };
    let prompt = "The history of rowing begins";
    let text = oarlock(&[
        "generate",
        "--ignore-eos",
        "-n",
        "3000",
        "--context",
        "512",
        "--seed",
        "1",
        "-p",
        prompt,
    ]);
    std::fs::write(folder.join("text"), [prompt.as_bytes(), &text.stdout].concat()).unwrap();
    let ids: Vec<u32> = serde_json::from_str(&oarlock(&["tokenize", "-f", "text"]).text()).unwrap();
    let window = ids.len().to_string();
    oarlock(&["perplexity", "-f", "text", "--context", &window, "--per-token", "nll.npy"]);
    let scores = Npy::read(&folder.join("nll.npy"));
    assert_eq!(scores.shape, [1, ids.len() - 1]);
    let (early, late) =
        (mean(&scores.data[512..1012]), mean(&scores.data[scores.data.len() - 500..]));
    println!("mean NLL {early:.3} at 512–1,012, {late:.3} at the end");
    assert!(late <= early + 0.3, "mean NLL {late} at the end, {early} at 512–1,012");
}
