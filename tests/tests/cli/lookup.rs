//! Options that draft change no text: `generate` and `chat` with and without `--lookup`.

use std::path::Path;

use oarlock_tests::{Finished, real_model, run, run_with_input};

use crate::common::{Tiny, oarlock};

/// The text, how many tokens it has, and how many of them were drafted rightly.
fn said(done: Finished) -> (Vec<u8>, String, u64) {
    let done = done.ok();
    let line = done.stderr.lines().last().unwrap_or_default();
    let (tokens, rest) = line.split_once(' ').expect("[N tokens, …]");
    let drafts = rest.split_once("; prompt").and_then(|(_, rest)| rest.split_once("; "));
    let accepted = drafts.and_then(|(_, drafts)| drafts.split(' ').next()?.parse().ok());
    (done.stdout, tokens.to_owned(), accepted.unwrap_or(0))
}

/// `generate` with each of `args` says the same with drafts; how many of them were right.
fn same_text(model: &Path, args: &[&str]) -> u64 {
    let generate = |lookup: &str| {
        let mut oarlock = oarlock(model);
        oarlock.arg("generate").arg("-m").arg(model).args(args).args(["--lookup", lookup]);
        said(run(&mut oarlock, 300))
    };
    let (text, tokens, none) = generate("0");
    assert_eq!(none, 0);
    let right = ["3", "8"].map(|lookup| {
        let (with, n, right) = generate(lookup);
        assert!(with == text && n == tokens, "other text with --lookup {lookup} {args:?}");
        right
    });
    right.iter().sum()
}

/// Contexts that are gone round many times, at any temperature, to any end.
#[test]
fn the_text_is_the_same() {
    let tiny = Tiny::new();
    let mut right = 0;
    for context in ["24", "60"] {
        for (seed, temp) in [("1", "0"), ("2", "0.3"), ("3", "1")] {
            for end in
                [&["-n", "1"][..], &["-n", "7"], &["-n", "300"], &["-n", "300", "--stop", "e"]]
            {
                for penalty in ["1", "1.3"] {
                    let args =
                        ["-p", "a b a b a b", "--ignore-eos", "--seed", seed, "--temp", temp];
                    let more = ["--context", context, "--repeat-penalty", penalty];
                    right += same_text(&tiny.model(), &[&args[..], &more, end].concat());
                }
            }
        }
    }
    assert!(right > 100, "{right} drafts were right");
}

#[test]
fn a_chat_is_the_same() {
    let tiny = Tiny::new();
    let chat = |lookup: &str| {
        let args =
            ["-n", "40", "--seed", "4", "--temp", "0.4", "--context", "64", "--lookup", lookup];
        let input = b"one two one two\n/regen\nthree\nfour\n/clear\nfive\n/stats\n";
        run_with_input(&mut tiny.command("chat", &args), input, 60)
    };
    let (without, with) = (chat("0").ok(), chat("5").ok());
    assert_eq!(without.stdout, with.stdout);
    let tokens = |done: &Finished| {
        let lines = done.stderr.lines().filter(|line| line.contains(" tokens, "));
        lines.filter_map(|line| line.split(" tokens").next()).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(tokens(&without), tokens(&with));
    let stats = with.stderr.lines().find(|line| line.contains(" answers, [")).expect("/stats");
    assert!(stats.contains(" drafts]"), "{stats}");
}

/// The default model quotes, and goes round a small ring.
#[test]
fn the_default_model_says_the_same() {
    let Some(model) = real_model() else { return };
    let prompt =
        "Repeat this: The ring holds the oar, the oar moves the boat, the boat holds the ring.";
    let mut right = 0;
    for (temp, context) in [("0", "64"), ("0.7", "48"), ("0.7", "1024")] {
        let args = ["--chat", "-p", prompt, "-n", "90", "--ignore-eos", "--seed", "11"];
        right += same_text(&model, &[&args[..], &["--temp", temp, "--context", context]].concat());
    }
    assert!(right > 20, "{right} drafts were right");
}
