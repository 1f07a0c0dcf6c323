//! Words: how a doc comment begins, and names that the field's have replaced.

use std::path::Path;

use oarlock_tests::root;

use crate::layering::{name, sources};
use crate::tokens::is_name;

/// The folders with all sources.
const FOLDERS: &[&str] = &["runtime", "converter", "boards", "tests"];

/// Words that no doc comment begins with: its first sentence begins with a noun or a verb.
const OPENINGS: &[&str] = &["What", "Which", "How", "Where", "It", "Of", "That"];

/// Names that have been replaced: folder, words as they stood in code, what to write instead.
const REPLACED: &[(&str, &str, &str)] = &[
    ("", "Several", "a prefill kernel's name"),
    ("", "mod several", "a prefill kernel's name"),
    ("", "weave", "interleave"),
    ("", "woven", "interleaved"),
    ("", "unweave", "deinterleave"),
    ("", "AT_ONCE", "token groups"),
    ("", "TOGETHER", "row registers"),
    ("", "A4", "activations for int4, spelled out"),
    ("", "A7", "activations of 7 bits, spelled out"),
    ("", "A8", "activations for int8, spelled out"),
    ("", "W8", "weights in int8, spelled out"),
    ("", "Z4", "accumulators for int4, spelled out"),
    ("", "Z8", "accumulators for int8, spelled out"),
    ("runtime", "Partial", "online-softmax state"),
    ("runtime", "segment", "KV split"),
    ("runtime", "segments", "KV splits"),
    ("", "Bend", "score modifier"),
    ("runtime", "struct Turns", "rotary angles"),
    ("runtime", "turned", "rotated"),
    ("", "mod mixture", "moe"),
    ("runtime", "struct Choice", "Router::select"),
    ("", "mod difference", "diff_attention"),
    ("", "fn difference", "diff_attention"),
    ("runtime", "Kept", "cache index"),
    ("runtime", "struct Place", "cache position"),
    ("runtime", ".inner", "ffn_hidden"),
    ("runtime", "inner:", "ffn_hidden"),
    ("runtime", ".branch", "residual_tmp"),
    ("runtime", "branch:", "residual_tmp"),
    ("runtime", "mod work", "workspace"),
    ("", "struct Ahead", "speculative"),
    ("", "mod ahead", "speculative"),
    ("", "guesses", "draft tokens"),
    ("", "fn settle", "rollback or accept; of a barrier: optimization barrier"),
    ("", "struct Speaker", "generator"),
    ("", "struct Voice", "answer printer"),
    ("", "struct Talk", "chat config"),
    ("", "struct Desk", "turn buffers"),
    ("", "fn hear", "push"),
    ("", "MOST_", "MAX_"),
    ("", "fn done", "freeze or finish"),
    ("", "fn anew", "reset"),
    ("", "fn of(&self", "a name of its own"),
    ("", "fn of(self", "a name of its own"),
    ("converter", "enum Head", "output matrix"),
];

/// Each line of the sources below a folder of the workspace: file, number, text.
fn lines(folder: &str) -> Vec<(String, usize, String)> {
    let read = |path: &Path| {
        let text = std::fs::read_to_string(path).expect("a readable source");
        let lines = text.lines().enumerate();
        lines.map(|(i, line)| (name(path), i + 1, line.trim().to_owned())).collect::<Vec<_>>()
    };
    let own = |path: &Path| path.ends_with("house/words.rs");
    let files = sources(&root().join(folder)).into_iter().filter(|path| !own(path));
    files.flat_map(|path| read(&path)).collect()
}

/// The text of a line of documentation, behind `///` or `//!`.
fn doc(line: &str) -> Option<&str> {
    let text = line.strip_prefix("//!").or_else(|| line.strip_prefix("///"))?;
    (!text.starts_with('/')).then_some(text.trim())
}

/// The first word of a text.
fn first_word(text: &str) -> &str {
    text.split(|c| !is_name(c)).next().unwrap_or_default()
}

/// What of a line may hold names: code, and what stands between backticks in a comment.
fn named(line: &str) -> String {
    let (code, comment) = line.split_once("//").unwrap_or((line, ""));
    let quoted: Vec<&str> = comment.split('`').skip(1).step_by(2).collect();
    format!("{code} {}", quoted.join(" "))
}

/// Whether `line` has these words as they are, not as parts of longer ones; `_` may be followed.
fn has_words(line: &str, words: &str) -> bool {
    let longer_before = |at| words.starts_with(is_name) && line[..at].ends_with(is_name);
    let longer_after = |at: usize| {
        let open = words.ends_with(|c: char| c.is_alphanumeric());
        open && line[at + words.len()..].starts_with(is_name)
    };
    line.match_indices(words).any(|(at, _)| !longer_before(at) && !longer_after(at))
}

#[test]
fn doc_comments_begin_with_a_noun_or_a_verb() {
    let mut found = Vec::new();
    for folder in FOLDERS {
        let lines = lines(folder);
        for (i, (file, number, line)) in lines.iter().enumerate() {
            let goes_on = i > 0 && *number > 1 && doc(&lines[i - 1].2).is_some();
            let word = doc(line).map(first_word).unwrap_or_default();
            if !goes_on && OPENINGS.contains(&word) {
                let say = format!("{file}:{number}: begin with a noun or a verb, not with {word}");
                found.push(say);
            }
        }
    }
    assert!(found.is_empty(), "{} comments:\n{}", found.len(), found.join("\n"));
}

#[test]
fn replaced_names_do_not_come_back() {
    let mut found = Vec::new();
    for folder in FOLDERS {
        for (file, number, line) in lines(folder) {
            let names = named(&line);
            let here = REPLACED.iter().filter(|(only, _, _)| only.is_empty() || only == folder);
            let old = here.filter(|(_, old, _)| has_words(&names, old));
            found.extend(old.map(|(_, old, new)| format!("{file}:{number}: {old} → {new}")));
        }
    }
    assert!(found.is_empty(), "{} lines:\n{}", found.len(), found.join("\n"));
}

#[test]
fn words_are_told_from_parts_of_words() {
    assert!(has_words("let x = MOST_USED;", "MOST_") && !has_words("let x = ALMOST_;", "MOST_"));
    assert!(has_words("pub struct Desk<'a> {", "struct Desk") && !has_words("Desks", "Desk"));
    assert!(has_words("self.inner.len()", ".inner") && !has_words("self.inner_loop", ".inner"));
    assert_eq!(named("code(); // Kept: `Bend` of `a`").trim(), "code();  Bend a");
    assert_eq!(doc("//! What"), Some("What"));
    assert_eq!(doc("//// What"), None);
}
