//! The ring against StreamingLLM as its paper defines it (`tests/golden/streaming.py`).

use std::process::Command;

use oarlock::{Machine, Model, Options};
use oarlock_tests::{
    Npy, TempDir, Threads, bin, fixture, isas, real_model, run, run_with_input, tiny, with_session,
};
use serde_json::Value;

/// f32 against f32: two orders of summation.
const TOLERANCE: f64 = 1e-3;

fn golden(name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(fixture(name)).expect("a readable fixture");
    serde_json::from_str(&text).expect("JSON")
}

fn number(value: &Value, key: &str) -> usize {
    value[key].as_u64().unwrap_or_else(|| panic!("{key} is a number")) as usize
}

fn scores(stream: &Value) -> Vec<f64> {
    let list = stream["nll"].as_array().expect("a list");
    list.iter().map(|v| v.as_f64().expect("a number")).collect()
}

/// −ln softmax(logits)[id], in f64
fn nll(logits: &[f32], id: u32) -> f64 {
    let logit = |v: f32| f64::from(v);
    let most = logits.iter().copied().map(logit).fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|&v| (logit(v) - most).exp()).sum();
    sum.ln() + most - logit(logits[id as usize])
}

fn stream(name: &str, model: &Model<'_>, ids: &[u32], stream: &Value, position: u64) {
    let (context, sinks) = (number(stream, "context"), number(stream, "sinks"));
    let machine = Machine { isa: *isas().last().expect("at least scalar"), exec: &Threads(2) };
    let defaults = Options::for_model(model);
    let options =
        Options { context, sinks, chunk: 7, logit_rows: 3, base_position: position, ..defaults };
    let right = scores(stream);
    with_session(model, options, |session| {
        let mut compare = |i: usize, logits: &[f32]| {
            let (ours, right) = (nll(logits, ids[i + 1]), right[i]);
            assert!(
                (ours - right).abs() <= TOLERANCE,
                "{name}, {sinks} sinks of {context}: {ours} for {right} at {i}"
            );
        };
        session.feed_each(&machine, &ids[..ids.len() - 1], &mut compare).expect("known tokens");
    });
}

/// Several times around the ring; grouped queries, scaled rotary positions, an odd context.
#[test]
fn tiny_models_stream_as_the_paper_says() {
    for case in golden("streaming.json") {
        let name = case["model"].as_str().expect("a name");
        let ids = case["ids"].as_array().expect("a list");
        let ids: Vec<u32> = ids.iter().map(|id| id.as_u64().expect("an id") as u32).collect();
        let file = tiny(name, "f32");
        let model = Model::open(&file).unwrap_or_else(|e| panic!("{name}: {e}"));
        for golden in case["streams"].as_array().expect("a list") {
            // Rotary positions are relative: a stream may begin anywhere.
            for position in [0, 1 << 40] {
                stream(name, &model, &ids, golden, position);
            }
        }
    }
}

/// By 8-bit activations and cache: as in f32 in the mean, and without sinks as much worse as the
/// paper says. The ring is gone round and round again.
#[test]
fn the_default_model_streams_as_in_f32() {
    streams_as_in_f32(768);
}

/// All 2,000 tokens that PyTorch has scored: `cargo test -p oarlock-tests --test numerics
/// streaming:: -- --ignored`.
#[test]
#[ignore = "4,000 tokens of the default model: a minute"]
fn the_default_model_streams_on_as_in_f32() {
    streams_as_in_f32(2000);
}

/// The first `tokens` tokens through 256 slots.
fn streams_as_in_f32(tokens: usize) {
    let Some(model) = real_model() else { return };
    let text = std::fs::read_to_string(fixture("text.txt")).expect("a readable fixture");
    // Less than four and a half letters a token: the first of them are the same ids as of the whole text.
    let text: String = text.chars().take(tokens * 9 / 2).collect();
    for golden in golden("smollm2/streaming.json") {
        let folder = TempDir::new();
        let (context, sinks) = (golden["context"].to_string(), golden["sinks"].to_string());
        let mut oarlock = Command::new(bin("oarlock"));
        oarlock.args(["stream", "--json", "--per-token", "nll.npy", "-f"]);
        std::fs::write(folder.join("text"), &text).expect("a folder that takes files");
        oarlock.args(["text", "--context", &context, "--sinks", &sinks, "-m"]);
        let report: Value = serde_json::from_str(
            &run(oarlock.arg(&model).current_dir(folder.path()), 300).ok().text(),
        )
        .expect("JSON");
        let ours = Npy::read(&folder.join("nll.npy"));
        assert_eq!(ours.shape, [number(&report, "tokens")]);
        let right = scores(&golden);
        let right = &right[..right.len().min(tokens)];
        assert!(ours.data.len() >= right.len(), "{} tokens", ours.data.len());
        let ours = ours.data.iter().map(|&v| f64::from(v)).take(right.len());
        let off: f64 = ours.zip(right).map(|(ours, right)| ours - right).sum();
        let off = off / right.len() as f64;
        assert!(off.abs() < 0.02, "{sinks} sinks: NLL off by {off} in the mean");
    }
}

const SYSTEM: &str = "You are a helpful assistant. The secret word is pineapple.";

/// A conversation of some turns in SmolLM2's template, which ends with the secret word.
fn told(turns: usize) -> String {
    let text = std::fs::read_to_string(fixture("text.txt")).expect("a readable fixture");
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut told = format!("<|im_start|>system\n{SYSTEM}<|im_end|>\n");
    let mut turn = |message: &str, answer: &str| {
        told += &format!("<|im_start|>user\n{message}<|im_end|>\n<|im_start|>assistant\n{answer}");
    };
    for words in words.chunks(75).take(turns) {
        turn(&words.join(" "), "Thank you.<|im_end|>\n");
    }
    turn("What is the secret word?", "The secret word is pineapple");
    told
}

/// A fact that chat keeps for ever is known when the ring of 64 slots has been gone round 20 times, and
/// without it lost in the first rounds: by how likely the model finds the word, since so small a
/// model does not always say what it knows.
#[test]
fn a_pinned_fact_is_known_after_twenty_rounds() {
    let Some(model) = real_model() else { return };
    let folder = TempDir::new();
    let mut chat = Command::new(bin("oarlock"));
    chat.args(["chat", "--context", "64", "-s", SYSTEM, "-m"]).arg(&model);
    let sight = run_with_input(&mut chat, b"/context\n", 60).ok().stderr;
    let counts = sight.lines().find(|line| line.starts_with("pinned ")).expect("counts");
    let counts: Vec<usize> = counts.split(' ').filter_map(|word| word.parse().ok()).collect();
    let kept = counts[0] + counts[1];
    let nll_of_the_word = |sinks: usize, turns: usize| {
        std::fs::write(folder.join("told"), told(turns)).expect("a folder that takes files");
        let mut oarlock = Command::new(bin("oarlock"));
        oarlock.args(["stream", "-f", "told", "--per-token", "nll.npy", "--context", "64"]);
        oarlock.args(["--sinks", &sinks.to_string(), "-m"]).arg(&model);
        run(oarlock.current_dir(folder.path()), 300).ok();
        let nll = Npy::read(&folder.join("nll.npy")).data;
        (nll.len(), nll.last().copied().unwrap_or_default())
    };
    let (tokens, known) = nll_of_the_word(kept, 12);
    let (_, lost) = nll_of_the_word(Options::DEFAULT_SINKS, 2);
    println!("NLL {known} after {tokens} tokens with {kept} of them pinned, else {lost} after 239");
    assert!(tokens > 20 * 64, "{tokens} tokens");
    assert!(known < 4.0 && lost > 8.0, "NLL {known} with {kept} tokens pinned, {lost} without");
}
