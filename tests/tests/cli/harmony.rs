//! A model that talks as gpt-oss does: it thinks in a message before its answer, and its template
//! asks for the date.

use std::fs;

use oarlock::tokenizer::Tokenizer;
use oarlock_convert::tokenizer::{GgufTokenizer, from_gguf};
use oarlock_tests::{Finished, TempDir, fixture, run_with_input};
use serde_json::{Value, json};

use crate::common::{Tiny, fails};

fn golden() -> Value {
    let text = fs::read_to_string(fixture("harmony/conversations.json")).expect("a fixture");
    serde_json::from_str(&text).expect("JSON")
}

/// The model, which says the same whatever it is asked, with the template that its kind has.
fn model() -> Tiny {
    model_that_ends(None)
}

/// The same, which ends with this token too, if there is one.
fn model_that_ends(end: Option<u32>) -> Tiny {
    let folder = TempDir::new();
    for entry in fs::read_dir(fixture("harmony")).expect("a folder") {
        let path = entry.expect("a file").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        fs::copy(&path, folder.join(&name)).expect("a copy");
    }
    let template = fixture("chat/gpt_oss.jinja");
    fs::copy(template, folder.join("chat_template.jinja")).expect("a copy");
    if let Some(end) = end {
        let ends = json!({ "eos_token_id": [end] });
        fs::write(folder.join("generation_config.json"), ends.to_string()).expect("written");
    }
    Tiny::made_of(folder.path(), "f32")
}

fn ids(value: &Value) -> Vec<u32> {
    let list = value.as_array().expect("ids").iter();
    list.map(|id| id.as_u64().expect("an id") as u32).collect()
}

#[test]
fn conversations_have_the_ids_of_transformers() {
    let (tiny, golden) = (model(), golden());
    let date = golden["date"].as_str().expect("a date");
    let cases = golden["cases"].as_array().expect("cases");
    assert!(cases.len() >= 6);
    for case in cases {
        fs::write(tiny.join("messages.json"), case["messages"].to_string()).expect("written");
        let written = |date, more: &[&str]| {
            let args = [&["--messages", "messages.json", "--date", date], more].concat();
            serde_json::from_str::<Value>(&tiny.run("tokenize", &args).ok().text()).expect("JSON")
        };
        assert_eq!(written(date, &[]), case["open_ids"]);
        assert_eq!(written(date, &["--no-generation-prompt"]), case["ids"]);
        assert_eq!(written("none", &[]), case["undated_ids"]);
    }
}

#[test]
fn the_date_is_today_unless_another_one_is_given() {
    let tiny = model();
    let messages = json!([{"role": "user", "content": "hi"}]);
    fs::write(tiny.join("messages.json"), messages.to_string()).expect("written");
    let written = |more: &[&str]| {
        let args = [&["--messages", "messages.json"], more].concat();
        let ids = tiny.run("tokenize", &args).ok().text();
        tiny.run("detokenize", &[ids.trim()]).ok().text()
    };
    let other = written(&["--date", "2031-12-05"]);
    assert!(other.contains("\nCurrent date: 2031-12-05\n\nReasoning: medium\n"), "{other}");
    assert!(written(&["--date", "none"]).contains("2024-06\n\nReasoning: medium\n"));
    let today = written(&[]);
    let (_, today) = today.split_once("\nCurrent date: 20").expect("the clock of this machine");
    assert_eq!(today.find('\n'), Some("26-01-31".len()), "{today}");
    for wrong in ["yesterday", "2026-1-1", "2026-02-31"] {
        let args = ["--messages", "messages.json", "--date", wrong];
        fails(&tiny.run("tokenize", &args), 2, "it takes a day");
    }
    // Nothing else has a place for it.
    fails(&tiny.run("tokenize", &["x", "--date", "none"]), 2, "--date");
    fails(&tiny.run("tokenize", &["x", "--no-generation-prompt"]), 2, "--no-generation-prompt");
    fails(&tiny.run("generate", &["-p", "x", "--date", "none"]), 2, "--chat");
}

/// Greedy, on the day of the golden data.
fn talk(tiny: &Tiny, args: &[&str], input: &str) -> Finished {
    let greedy = ["--temp", "0", "--seed", "1", "--date", "2026-01-31"];
    let args = [&greedy[..], args].concat();
    run_with_input(&mut tiny.command("chat", &args), input.as_bytes(), 60).ok()
}

#[test]
fn thoughts_are_not_part_of_the_answer() {
    let (tiny, golden) = (model(), golden());
    let [thought, answer] = ["thought", "answer"].map(|key| golden[key].as_str().expect("a text"));
    let done = talk(&tiny, &["-p", "hello"], "");
    assert_eq!(done.text(), format!("{answer}\n"));
    assert!(!done.stderr.contains(thought), "nobody watches: {}", done.stderr);
    let args = ["--chat", "-p", "hello", "--temp", "0"];
    assert_eq!(tiny.run("generate", &args).ok().text(), format!("{answer}\n"));
    // A stop string is looked for in the answer alone.
    let (kept, _) = answer.split_at(3);
    let args = ["-p", "hello", "--stop", &answer[3..4], "--stop", &thought[..2]];
    assert_eq!(talk(&tiny, &args, "").text(), format!("{kept}\n"));
    // Without the template it is text like any other.
    let all = tiny.run("generate", &["-p", "<|start|>assistant", "--temp", "0"]).ok().text();
    assert_eq!(all, format!("{thought}final{answer}\n"));
}

/// The ids of the conversation in a file that has no system prompt.
fn transcript(tiny: &Tiny, name: &str) -> Vec<u32> {
    let file = fs::read(tiny.join(name)).expect("a conversation");
    let number = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().expect("8 bytes"));
    let at = 160 + 16 * number(152) as usize;
    let ids = file[at + 8..][..4 * number(at) as usize].as_chunks().0.iter();
    ids.map(|id| u32::from_le_bytes(*id)).collect()
}

#[test]
fn thoughts_are_left_out_of_what_was_said() {
    let (tiny, golden) = (model(), golden());
    let whole = ids(&golden["cases"][6]["ids"]);
    let (_, whole) = whole.split_last().expect("what ends an answer, which is never fed");
    let answer = golden["answer"].as_str().expect("a text");
    let done = talk(&tiny, &["--session", "whole"], "hello there\nand you\n");
    assert_eq!(done.text(), format!("{answer}\n{answer}\n"));
    assert_eq!(transcript(&tiny, "whole"), whole);
    // Told by processes of their own, and taken back and given again, it is the same conversation.
    talk(&tiny, &["--session", "part"], "hello there\n");
    talk(&tiny, &["--session", "part"], "and you\n");
    assert!(fs::read(tiny.join("whole")).unwrap() == fs::read(tiny.join("part")).unwrap());
    talk(&tiny, &["--session", "again"], "hello there\nno\n/undo\nand you\n/regen\n");
    assert_eq!(transcript(&tiny, "again"), whole);
}

#[test]
fn thoughts_are_left_out_when_the_ring_has_come_round() {
    let (tiny, golden) = (model(), golden());
    let answer = golden["answer"].as_str().expect("a text");
    let args = ["--session", "long", "--context", "300", "--pin", "10"];
    let done = talk(&tiny, &args, &"hello there\n".repeat(30));
    assert_eq!(done.text(), format!("{answer}\n").repeat(30));
    let all = transcript(&tiny, "long");
    let thought = golden_ids(&tiny, golden["thought"].as_str().expect("a text"));
    assert!(all.len() > 600 && !all.windows(thought.len()).any(|ids| ids == thought));
}

/// The ids of a text of the golden data.
fn golden_ids(tiny: &Tiny, text: &str) -> Vec<u32> {
    let found = tiny.run("tokenize", &["--", text]).ok().text();
    ids(&serde_json::from_str(&found).expect("JSON"))
}

/// Wherever that is, the stream is one that the template goes on with: no half of what stands
/// between a thought and an answer is left in it.
#[test]
fn an_answer_that_was_cut_short_keeps_its_thoughts() {
    let (tiny, golden) = (model(), golden());
    let of = |key: &str| golden_ids(&tiny, golden[key].as_str().expect("a text"));
    let (thought, answer) = (of("thought"), of("answer"));
    let mark = golden_ids(&tiny, "<|channel|>final<|message|>");
    let prompt = ids(&golden["cases"][0]["open_ids"]);
    let said = golden["answer"].as_str().expect("a text");
    for n in 1..=thought.len() + mark.len() + answer.len() {
        let (limit, name) = (n.to_string(), format!("cut {n}"));
        let done = talk(&tiny, &["-n", &limit, "--session", &name], "Hello!\n");
        let first = transcript(&tiny, &name);
        let spoken = n.saturating_sub(thought.len() + mark.len());
        let silent = done.stderr.contains(&format!("it thought for all of {n} tokens"));
        assert_eq!(silent, spoken == 0, "{}", done.stderr);
        let kept = match spoken {
            0 => thought[..n.min(thought.len())].to_vec(),
            _ => [&mark, &answer[..spoken]].concat(),
        };
        assert_eq!(first, [&prompt[..], &kept].concat(), "{n}");
        assert_eq!(talk(&tiny, &["--session", &name], "and\n").text(), format!("{said}\n"));
        assert!(transcript(&tiny, &name).starts_with(&first), "{n}");
    }
}

#[test]
fn an_answer_that_never_comes_is_told_of() {
    let (tiny, golden) = (model(), golden());
    let done = talk(&tiny, &["-p", "hello", "-n", "0"], "");
    assert!(!done.stderr.contains("(it "), "nothing was wanted: {}", done.stderr);
    let channel = golden_ids(&tiny, "<|channel|>");
    let tiny = model_that_ends(channel.first().copied());
    let done = talk(&tiny, &["--session", "ended"], "hello\n");
    assert_eq!(done.text(), "\n");
    assert!(done.stderr.contains("(it ended without an answer)"), "{}", done.stderr);
    let thought = golden_ids(&tiny, golden["thought"].as_str().expect("a text"));
    assert!(transcript(&tiny, "ended").ends_with(&thought));
}

/// GGUF names one end alone, and what ends other answers ends what this one thinks.
#[test]
fn what_ends_a_thought_ends_no_answer() {
    let ends = |tokens: &[&'static str]| {
        let source = GgufTokenizer {
            model: "gpt2",
            pre: Some("gpt-4o"),
            tokens: tokens.to_vec(),
            token_types: vec![3; tokens.len()],
            eos: Some(0),
            eot: Some(0),
            ..GgufTokenizer::default()
        };
        let section = from_gguf(&source).expect("a tokenizer").section;
        let tokenizer = Tokenizer::new(&section).expect("a section");
        (0..).take(tokens.len()).map(|id| tokenizer.is_end(id)).collect::<Vec<_>>()
    };
    assert_eq!(
        ends(&["<|return|>", "<|end|>", "<|call|>", "<|start|>"]),
        [true, false, true, false]
    );
    assert_eq!(ends(&["<|endoftext|>", "<|end|>"]), [true, true]);
    // Not even where the metadata names it.
    assert_eq!(ends(&["<|end|>", "<|return|>"]), [false, true]);
}
