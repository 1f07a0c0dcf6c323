//! A model that thinks between tags before it answers, with templates of several kinds.

use std::fs;

use oarlock_tests::{Finished, TempDir, fixture, run_with_input};
use serde_json::Value;

use crate::common::Tiny;

fn golden() -> Value {
    let text = fs::read_to_string(fixture("thinking/conversations.json")).expect("a fixture");
    serde_json::from_str(&text).expect("JSON")
}

/// The model, which says the same whatever it is asked, with this template.
fn model(template: &str) -> Tiny {
    let folder = TempDir::new();
    for entry in fs::read_dir(fixture("thinking")).expect("a folder") {
        let path = entry.expect("a file").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        fs::copy(&path, folder.join(&name)).expect("a copy");
    }
    let template = fixture(&format!("chat/{template}.jinja"));
    fs::copy(template, folder.join("chat_template.jinja")).expect("a copy");
    Tiny::made_of(folder.path(), "f32")
}

fn talk(tiny: &Tiny, args: &[&str], input: &str) -> Finished {
    let args = [&["--temp", "0", "--seed", "1"], args].concat();
    run_with_input(&mut tiny.command("chat", &args), input.as_bytes(), 60).ok()
}

fn ids(value: &Value) -> Vec<u32> {
    let list = value.as_array().expect("ids").iter();
    list.map(|id| id.as_u64().expect("an id") as u32).collect()
}

/// Messages of the user, a line each, and the system prompt.
fn said(case: &Value) -> (Option<&str>, String) {
    let of = |message: &Value, role: &str| message["role"] == role;
    let messages = case["messages"].as_array().expect("messages");
    let content = |message: &'_ Value| message["content"].as_str().expect("a text").to_owned();
    let system = messages.iter().find(|message| of(message, "system"));
    let lines = messages.iter().filter(|message| of(message, "user"));
    let lines = lines.map(|message| content(message) + "\n").collect();
    (system.and_then(|message| message["content"].as_str()), lines)
}

#[test]
fn what_was_said_has_the_ids_of_transformers() {
    let golden = golden();
    let answer = golden["answer"].as_str().expect("a text");
    for template in ["think_opened", "think_closed", "think_itself"] {
        let tiny = model(template);
        let cases = golden["cases"].as_array().expect("cases").iter();
        let cases: Vec<_> = cases.filter(|case| case["template"] == template).collect();
        assert_eq!(cases.len(), 6);
        for (i, case) in cases.into_iter().enumerate() {
            let (name, (system, lines)) = (format!("case {i}"), said(case));
            let mut args = vec!["--session", &name];
            args.extend(system.into_iter().flat_map(|system| ["--system", system]));
            let done = talk(&tiny, &args, &lines);
            let answers = format!("{answer}\n").repeat(lines.lines().count());
            assert_eq!(done.text(), answers, "{template}: {}", done.stderr);
            assert!(!done.stderr.contains("QUB"), "nobody watches: {}", done.stderr);
            let whole = ids(&case["ids"]);
            // What ends an answer is fed with the next message.
            let whole = &whole[..whole.len() - 2];
            assert_eq!(transcript(&tiny, &name, system), whole, "{template} {i}");
        }
    }
}

/// Answers that are given again begin as new ones do.
#[test]
fn an_answer_that_is_taken_back_is_thought_of_again() {
    let golden = golden();
    for template in ["think_opened", "think_closed", "think_itself"] {
        let (tiny, cases) = (model(template), golden["cases"].as_array().expect("cases"));
        let two = cases.iter().filter(|case| case["template"] == template).nth(1);
        let whole = ids(&two.expect("a case")["ids"]);
        talk(&tiny, &["--session", "again"], "hello there\nno\n/undo\nand you\n/regen\n/regen\n");
        assert_eq!(transcript(&tiny, "again", None), whole[..whole.len() - 2], "{template}");
        // Told by processes of their own it is the same conversation.
        talk(&tiny, &["--session", "part"], "hello there\n");
        talk(&tiny, &["--session", "part"], "and you\n");
        talk(&tiny, &["--session", "part"], "/regen\n");
        assert_eq!(transcript(&tiny, "part", None), whole[..whole.len() - 2], "{template}");
    }
}

/// Also when the ring has come round, and whether the state before was kept or all is read again.
#[test]
fn thoughts_are_left_out_of_an_endless_conversation() {
    let golden = golden();
    for template in ["think_opened", "think_itself"] {
        let tiny = model(template);
        let args = ["--session", "long", "--context", "100", "--pin", "10"];
        let done = talk(&tiny, &args, &"hello there\n".repeat(20));
        let answer = golden["answer"].as_str().expect("a text");
        assert_eq!(done.text(), format!("{answer}\n").repeat(20));
        let mut cases = golden["cases"].as_array().expect("cases").iter();
        let one = cases.find(|case| case["template"] == template).expect("a case");
        let one = ids(&one["ids"]);
        let all = transcript(&tiny, "long", None);
        assert_eq!(all, one.repeat(20)[..20 * one.len() - 2], "{template}");
    }
}

/// Thoughts without an end are all that there is.
#[test]
fn an_answer_that_was_cut_short_is_closed() {
    let (golden, tiny) = (golden(), model("think_opened"));
    let one = &golden["cases"].as_array().expect("cases")[0];
    let open = ids(&one["open_ids"]);
    for n in [1, 5, 9, 11] {
        let (limit, name) = (n.to_string(), format!("cut {n}"));
        let done = talk(&tiny, &["-n", &limit, "--session", &name], "hello there\n");
        assert!(done.stderr.contains(&format!("it thought for all of {n} tokens")));
        let first = transcript(&tiny, &name, None);
        assert!(first.starts_with(&open) && first.len() == open.len() + n, "{n}");
        talk(&tiny, &["--session", &name], "and you\n");
        assert!(transcript(&tiny, &name, None).starts_with(&first), "{n}");
    }
}

/// The ids of the conversation in a file.
fn transcript(tiny: &Tiny, name: &str, system: Option<&str>) -> Vec<u32> {
    let file = fs::read(tiny.join(name)).expect("a conversation");
    let number = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().expect("8 bytes"));
    let turns = 152 + system.map_or(0, str::len);
    let at = turns + 8 + 16 * number(turns) as usize;
    let ids = file[at + 8..][..4 * number(at) as usize].as_chunks().0.iter();
    ids.map(|id| u32::from_le_bytes(*id)).collect()
}
