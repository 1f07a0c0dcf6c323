//! The command line as scripts see it: output, exit codes, messages, keys.

use std::fs;
use std::process::Command;

use oarlock_tests::{Npy, TempDir, bin, run, run_with_input};
use serde_json::Value;

use crate::common::{Tiny, fails, oarlock};

fn keys(json: &Value) -> Vec<&str> {
    json.as_object().expect("an object").keys().map(String::as_str).collect()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn usage_errors_are_one_line_and_exit_2() {
    let home = TempDir::new();
    for args in [
        &["frobnicate"][..],
        &["--frobnicate"],
        &["generate"],
        &["generate", "-p", "x", "-f", "y"],
        &["chat", "--temp", "warm"],
        &["chat", "--top-p", "2"],
        &["chat", "-t", "0"],
        &["logits", "--tokens", "1"],
        &["bench", "-r", "0"],
        &["detokenize"],
        &["tokenize"],
        &["tokenize", "x", "-f", "y"],
        &["verify", "a", "-m", "b"],
    ] {
        let done = run(oarlock(home.path()).args(args), 60);
        fails(&done, 2, "--help");
        assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
        assert!(done.stdout.is_empty());
    }
    assert!(fs::read_dir(home.path()).unwrap().next().is_none(), "nothing was fetched");
}

#[test]
fn help_goes_to_stdout_and_exits_0() {
    for args in [&["--help"][..], &["generate", "--help"], &["--version"]] {
        let done = run(Command::new(bin("oarlock")).args(args), 60).ok();
        assert!(done.text().contains("oarlock") && done.stderr.is_empty());
    }
}

#[test]
fn bad_options_name_themselves() {
    let tiny = Tiny::new();
    for (args, what) in [
        (&["--isa", "mmx"][..], "--isa mmx"),
        (&["--context", "1"], "--context 1"),
        (&["--context", "10", "--sinks", "6"], "--sinks 6"),
        (&["--chunk", "0"], "--chunk 0"),
        (&["--context", "18446744073709551615"], "--context"),
        (&["--stop", ""], "--stop"),
        (&["-p", ""], "prompt"),
    ] {
        let prompt: &[_] = if args[0] == "-p" { &[] } else { &["-p", "x"] };
        fails(&tiny.run("generate", &[prompt, args].concat()), 2, what);
    }
    // Each of these is missing on some machine, and all of them are on no machine.
    let all =
        ["avx2", "avx-vnni", "avx512-vnni", "avx512-amx", "neon", "neon-dotprod", "neon-i8mm"];
    let missing = all.iter().filter(|isa| {
        let done = tiny.run("generate", &["-p", "x", "-n", "1", "--isa", isa]);
        if done.code() != 0 {
            fails(&done, 2, &format!("--isa {isa}: this CPU or this build does not have it"));
        }
        done.code() != 0
    });
    assert!(missing.count() >= 3);
}

#[test]
fn files_that_are_no_models_are_refused() {
    let tiny = Tiny::new();
    let good = fs::read(tiny.model()).unwrap();
    let refused = |name: &str, bytes: &[u8], what: &str| {
        fs::write(tiny.join(name), bytes).unwrap();
        let path = tiny.join(name);
        fails(&run(oarlock(&path).args(["inspect", "-m"]).arg(&path), 60), 2, what);
        fails(&run(oarlock(&path).arg("verify").arg(&path), 60), 1, what);
    };
    refused("short", &good[..good.len() - 1], "truncated");
    refused("long", &[&good[..], &[0]].concat(), "1 bytes follow");
    refused("text", &[b'x'; 1000], "not an .oar file");
    fails(&run(oarlock(&tiny.model()).args(["inspect", "no-such-file"]), 60), 2, "no such file");
    fails(&run(oarlock(&tiny.model()).args(["verify", "/dev/null"]), 60), 2, "is not a file");
}

#[test]
fn verify_finds_a_flipped_bit() {
    let tiny = Tiny::new();
    let done = tiny.run("verify", &[]).ok();
    assert!(done.text().contains("all in order"), "{}", done.text());
    let mut bytes = fs::read(tiny.model()).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 0x10;
    fs::write(tiny.model(), bytes).unwrap();
    fails(&tiny.run("verify", &[]), 1, "checksum");
}

#[test]
fn json_keys_are_fixed() {
    let tiny = Tiny::new();
    let bench = tiny.run("bench", &["--json", "-r", "2", "-n", "2", "--prompt-tokens", "3"]).ok();
    let bench = json(&bench.text());
    let speeds = ["decode_tok_s", "first_token_s", "prefill_tok_s", "read_gb_s", "weight_gb_s"];
    assert_eq!(
        keys(&bench),
        [
            "cache",
            "chunk",
            "decode_tok_s",
            "first_token_s",
            "isa",
            "prefill_tok_s",
            "read_gb_s",
            "threads",
            "weight_gb_s"
        ]
    );
    for speed in speeds {
        assert_eq!(keys(&bench[speed]), ["max", "median", "min"]);
        assert!(bench[speed]["min"].as_f64().unwrap() > 0.0, "{speed}");
    }
    let inspect = json(&tiny.run("inspect", &["--json"]).ok().text());
    assert_eq!(
        keys(&inspect),
        [
            "arch",
            "bits_per_weight",
            "context",
            "file_bytes",
            "kv_bytes_per_token",
            "session_bytes",
            "tensors"
        ]
    );
    let session_bytes = |lookup: &str| {
        let inspect = json(&tiny.run("inspect", &["--json", "--lookup", lookup]).ok().text());
        inspect["session_bytes"].as_u64().expect("a number")
    };
    assert_eq!(inspect["session_bytes"], session_bytes("0"));
    assert!(session_bytes("0") < session_bytes("3"));
    assert_eq!(inspect["file_bytes"], fs::metadata(tiny.model()).unwrap().len());
    fs::write(tiny.join("text"), "some words to be predicted ".repeat(20)).unwrap();
    let args = ["--json", "-f", "text", "--context", "16", "--windows", "3"];
    let perplexity = json(&tiny.run("perplexity", &args).ok().text());
    assert_eq!(keys(&perplexity), ["nll", "ppl", "tokens", "windows"]);
    assert_eq!((&perplexity["tokens"], &perplexity["windows"]), (&45.into(), &3.into()));
    let stream =
        json(&tiny.run("stream", &["--json", "-f", "text", "--context", "16"]).ok().text());
    assert_eq!(keys(&stream), ["nll", "ppl", "steps", "tokens"]);
    assert_eq!(keys(&stream["steps"][0]), ["ppl", "rss", "tok_s", "tokens"]);
    assert_eq!(stream["steps"][0]["tokens"], stream["tokens"]);
    let args = ["--json", "-f", "text", "--context", "16", "--sinks", "0,4", "--sinks", "8"];
    let several = json(&tiny.run("stream", &args).ok().text());
    let several = several["streams"].as_array().expect("a list");
    assert_eq!(keys(&several[0]), ["nll", "ppl", "sinks", "steps", "tokens"]);
    let sinks: Vec<_> = several.iter().map(|stream| stream["sinks"].as_u64()).collect();
    assert_eq!(sinks, [0, 4, 8].map(Some));
    assert_eq!(several[1]["nll"], stream["nll"], "one after the other as alone");
}

/// Gemma 2's tiny model: a window of 12 in every other of its four layers.
#[test]
fn inspect_counts_windows() {
    let tiny = Tiny::family("gemma2", "int8");
    let inspect = |context| {
        let args = ["--json", "--kv", "int8", "--context", context];
        json(&tiny.run("inspect", &args).ok().text())
    };
    let [short, edge, long] = ["8", "12", "64"].map(inspect);
    assert_eq!(
        keys(&long),
        [
            "arch",
            "bits_per_weight",
            "context",
            "file_bytes",
            "kv_bytes_per_token",
            "session_bytes",
            "tensors",
            "window",
            "window_layers"
        ]
    );
    assert_eq!((&long["window"], &long["window_layers"]), (&12.into(), &2.into()));
    let each = |inspect: &Value| inspect["kv_bytes_per_token"].as_u64().expect("a number");
    // Two heads of 16 dimensions, padded to 32, keys and values, a scale each.
    assert_eq!([&short, &edge, &long].map(each), [4 * 144, 2 * 144, 2 * 144]);
    let text = tiny.run("inspect", &["--context", "64"]).ok().text();
    let line = text.lines().find(|line| line.starts_with("window ")).expect("a line");
    assert!(line.ends_with("12 tokens in 2 of 4 layers"), "{line}");
}

/// A tiny Qwen2 is told to have outliers in the keys of its first layer by a bias of 200.
#[test]
fn inspect_counts_layers_with_outliers() {
    let tiny = Tiny::biased_qwen2();
    let inspect = |kv: &str| json(&tiny.run("inspect", &["--json", "--kv", kv]).ok().text());
    let each = |inspect: &Value| inspect["kv_bytes_per_token"].as_u64().expect("a number");
    let [int8, f16] = ["int8", "f16"].map(inspect);
    assert_eq!(int8["key_outlier_layers"], 1);
    // Two heads of 12 dimensions, padded to 32, in two layers: one of them in f16.
    assert_eq!([&int8, &f16].map(each), [2 * (72 + 128), 2 * 2 * 128]);
    let text = tiny.run("inspect", &[]).ok().text();
    let line = text.lines().find(|line| line.starts_with("key outliers")).expect("a line");
    assert!(line.ends_with("in 1 of 2 layers: f16 in an int8 cache"), "{line}");
}

/// GPT-2's tiny model has 160 learned positions: said before, and an error there.
#[test]
fn learned_positions_end_with_an_error() {
    let tiny = Tiny::family("gpt2", "int8");
    let ends = |command: &str, args: &[&str]| {
        let done = tiny.run(command, args);
        assert_eq!(done.code(), 2, "{command}: {}", done.stderr);
        let error = done.stderr.lines().find(|line| line.starts_with("error: "));
        let error = error.unwrap_or_else(|| panic!("{command}: {}", done.stderr));
        assert!(error.contains("learned positions for 160 tokens, and no more"), "{error}");
        assert!(error.ends_with("(begin anew, or take a model that rotates)"), "{error}");
        assert!(done.stderr.contains("no text goes beyond 160 tokens"), "{}", done.stderr);
        done
    };
    let done = ends("generate", &["-p", "hello", "-n", "300", "--ignore-eos", "--temp", "0"]);
    assert!(!done.stdout.is_empty(), "what came before is there");
    fs::write(tiny.join("text"), "some words to be predicted ".repeat(20)).unwrap();
    ends("stream", &["-f", "text"]);
    ends("stream", &["-f", "text", "--context", "16"]);
    tiny.run("perplexity", &["-f", "text", "--context", "160"]).ok();
    fails(&tiny.run("stream", &["-f", "text", "--context", "161"]), 2, "--context 161");
}

#[test]
fn bench_reports_what_ran() {
    let tiny = Tiny::new();
    let args = ["--json", "-r", "1", "-n", "1", "--prompt-tokens", "1"];
    let asked = ["--isa", "scalar", "-t", "3", "--chunk", "5"];
    let bench = json(&tiny.run("bench", &[&args[..], &asked].concat()).ok().text());
    assert_eq!(
        (&bench["isa"], &bench["threads"], &bench["chunk"]),
        (&"scalar".into(), &3.into(), &5.into())
    );
    assert_eq!(bench["cache"], true);
    let bench = json(&tiny.run("bench", &[&args[..], &["--no-cache"]].concat()).ok().text());
    assert_eq!(bench["cache"], false);
}

#[test]
fn arrays_have_their_shapes() {
    let tiny = Tiny::new();
    let done = tiny.run("logits", &["--tokens", "1,2,3", "-o", "logits.npy"]).ok();
    assert!(done.stdout.is_empty());
    let logits = Npy::read(&tiny.join("logits.npy"));
    assert_eq!(logits.shape[0], 3);
    tiny.run("logits", &["--tokens", "1,2,3", "--position", "99999999999", "-o", "far.npy"]).ok();
    assert_eq!(Npy::read(&tiny.join("far.npy")).shape, logits.shape);
    fs::write(tiny.join("text"), "some words to be predicted ".repeat(20)).unwrap();
    let args = ["-f", "text", "--context", "16", "--windows", "2", "--per-token", "nll.npy"];
    tiny.run("perplexity", &args).ok();
    assert_eq!(Npy::read(&tiny.join("nll.npy")).shape, [2, 15]);
    fails(&tiny.run("perplexity", &["-f", "text", "--context", "5000"]), 2, "one window of 5000");
    tiny.run("stream", &["-f", "text", "--context", "16", "--per-token", "nll.npy"]).ok();
    assert_eq!(Npy::read(&tiny.join("nll.npy")).shape.len(), 1);
    let sinks = |list| ["-f", "text", "--context", "16", "--sinks", list];
    tiny.run("stream", &[&sinks("0,4")[..], &["--plot", "plot.svg"]].concat()).ok();
    let plot = fs::read_to_string(tiny.join("plot.svg")).unwrap();
    assert!(plot.starts_with("<svg ") && plot.contains(">0 sinks<") && plot.contains(">4 sinks<"));
    fails(&tiny.run("stream", &sinks("0,9")), 2, "--sinks 9");
    let one = [&sinks("0,4")[..], &["--per-token", "nll.npy"]].concat();
    fails(&tiny.run("stream", &one), 2, "--per-token");
    fails(&tiny.run("perplexity", &sinks("0,4")), 2, "perplexity: ");
    fs::write(tiny.join("empty"), "").unwrap();
    fails(&tiny.run("stream", &["-f", "empty"]), 2, "none to predict");
    fails(&tiny.run("logits", &["--tokens", "99999", "-o", "x.npy"]), 2, "no token 99999");
    fails(&tiny.run("logits", &["--tokens", "1", "-o", "no/x.npy"]), 2, "no such file");
}

#[test]
fn text_must_be_utf8() {
    let tiny = Tiny::new();
    fs::write(tiny.join("bad"), b"abc\xFFdef").unwrap();
    fails(&tiny.run("tokenize", &["-f", "bad"]), 2, "byte offset 3");
    fails(&tiny.run("generate", &["-f", "bad"]), 2, "byte offset 3");
    let done = run_with_input(&mut tiny.command("generate", &["-p", "-"]), b"\xC3(", 60);
    fails(&done, 2, "byte offset 0");
    let done = run_with_input(&mut tiny.command("chat", &["-n", "2"]), b"hi\nx\xFF\n", 60);
    assert_eq!(done.code(), 2);
    assert!(done.stderr.contains("byte offset 4"), "{}", done.stderr);
}

#[test]
fn text_and_ids_round_trip() {
    let tiny = Tiny::new();
    for text in ["-5 - x", " a", "--", "-m", "two\nlines", ""] {
        let ids = tiny.run("tokenize", &["--no-special", "--plain", "--", text]).ok().text();
        assert!(json(&ids).is_array() && ids.ends_with("]\n"));
        let back = run_with_input(&mut tiny.command("detokenize", &["-"]), ids.as_bytes(), 60);
        assert_eq!(back.ok().text(), text, "exactly, without a newline");
    }
    assert_eq!(
        tiny.run("detokenize", &["70,71", "72"]).ok().stdout,
        tiny.run("detokenize", &["70", "71 72"]).ok().stdout
    );
    let mut model_last = oarlock(&tiny.model());
    model_last.args(["detokenize", "70", "71", "-m"]).arg(tiny.model());
    assert_eq!(run(&mut model_last, 60).ok().stdout, tiny.run("detokenize", &["70 71"]).stdout);
    fails(&tiny.run("detokenize", &["x"]), 2, "not a token id");
    assert_eq!(
        tiny.run("tokenize", &["-x"]).ok().stdout,
        tiny.run("tokenize", &["--", "-x"]).ok().stdout
    );
}

#[test]
fn the_same_seed_gives_the_same_text() {
    let tiny = Tiny::new();
    let args = ["-p", "hello", "-n", "30", "--ignore-eos", "--temp", "1"];
    let first = tiny.run("generate", &args).ok();
    let seed = first.stderr.lines().find_map(|line| line.strip_prefix("seed ")).expect("a seed");
    let again = tiny.run("generate", &[&args[..], &["--seed", seed]].concat()).ok();
    assert_eq!(first.stdout, again.stdout);
    let other = tiny.run("generate", &[&args[..], &["--seed", "1"]].concat()).ok();
    assert_ne!(first.stdout, other.stdout);
    assert!(!other.stderr.contains("seed"));
}

#[test]
fn stop_strings_are_not_shown() {
    let tiny = Tiny::new();
    let args = ["-p", "hello", "-n", "60", "--ignore-eos", "--temp", "0"];
    let whole = tiny.run("generate", &args).ok().text();
    let letters: Vec<char> = whole.trim_end().chars().collect();
    let middle = letters.len() / 2;
    let stop: String = letters[middle..middle + 3].iter().collect();
    let cut = tiny.run("generate", &[&args[..], &["--stop", &stop]].concat()).ok().text();
    let before = whole.split(&stop).next().unwrap();
    assert_eq!(cut, format!("{before}\n"));
}

#[test]
fn a_stream_goes_on_past_its_context() {
    let tiny = Tiny::new();
    let args = ["-p", "hello", "-n", "300", "--ignore-eos", "--context", "32"];
    let done = tiny.run("generate", &args).ok();
    assert!(done.stderr.contains("[300 tokens"), "{}", done.stderr);
    let long = tiny.run("generate", &["-p", "hello", "-n", "1", "--context", "100000"]).ok();
    assert!(long.stderr.contains("warning: --context 100000"), "{}", long.stderr);
}
