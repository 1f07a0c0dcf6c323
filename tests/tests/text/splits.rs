//! Rarer pre-tokenizers: words end where Hugging Face's `tokenizers` ends them.

use oarlock::tokenizer::Splitter;
use oarlock_convert::tokenizer::{GgufTokenizer, from_gguf, from_json};
use oarlock_tests::fixture;
use serde_json::{Value, json};

fn golden(name: &str) -> Value {
    let text = std::fs::read_to_string(fixture(&format!("tokenizer/{name}"))).expect(name);
    serde_json::from_str(&text).expect(name)
}

/// The splitter of a section: the second field of its header.
fn splitter(section: &[u8]) -> Splitter {
    let code = u32::from_le_bytes(section[4..8].try_into().expect("a header"));
    Splitter::from_code(code).expect("a splitter that is known")
}

/// The ends of a text's words.
fn ends(splitter: Splitter, text: &str) -> Vec<u32> {
    let (mut at, mut ends) = (0, Vec::new());
    while at < text.len() {
        let end = splitter.word_end(text, at);
        assert!(end > at && text.is_char_boundary(end), "{splitter:?}: {text:?} at {at}");
        ends.push(end as u32);
        at = end;
    }
    ends
}

/// A `tokenizer.json` of three tokens.
fn from_steps(pre_tokenizer: &Value) -> Splitter {
    let tokenizer = json!({
        "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]},
        "pre_tokenizer": pre_tokenizer,
        "decoder": {"type": "ByteLevel"}
    });
    let compiled = from_json(tokenizer.to_string().as_bytes(), None, &[]);
    splitter(&compiled.expect("a tokenizer that converts").section)
}

/// The same of a GGUF that names this.
fn from_name(pre: Option<&str>) -> Splitter {
    let tokens = vec!["a", "b", "ab"];
    let source = GgufTokenizer { model: "gpt2", pre, tokens, ..Default::default() };
    splitter(&from_gguf(&source).expect("a tokenizer that converts").section)
}

#[test]
fn words_end_where_hugging_face_ends_them() {
    let (strings, golden) = (golden("strings.json"), golden("splits.json"));
    let strings = strings.as_array().unwrap().iter().chain(golden["strings"].as_array().unwrap());
    let strings: Vec<&str> = strings.filter_map(Value::as_str).collect();
    for (name, case) in golden["kinds"].as_object().unwrap() {
        // GGUF's own way has no expression of Hugging Face's.
        let splitter = match name.as_str() {
            "unnamed" => from_name(None),
            _ => from_steps(&case["pre_tokenizer"]),
        };
        assert_eq!(from_name(Some(name).filter(|n| *n != "unnamed").map(|n| &**n)), splitter);
        for (text, wanted) in strings.iter().zip(case["ends"].as_array().unwrap()) {
            assert_eq!(json!(ends(splitter, text)), *wanted, "{name}: {text:?}");
        }
        let mut hash = 0xCBF2_9CE4_8422_2325_u64;
        let mut add = |text: &str| {
            for byte in ends(splitter, text).iter().flat_map(|end| end.to_le_bytes()) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
            }
        };
        strings.iter().for_each(|text| add(text));
        for c in '\u{1}'..=char::MAX {
            add(&format!("a{c}{c}b {c}1{c}  {c}!{c}\n{c}"));
        }
        assert_eq!(format!("{hash:016x}"), case["fnv"], "{name}");
    }
}

/// Long runs of one or two characters, at which a word may end again and again, take no square of
/// their length.
#[test]
fn no_text_takes_the_square_of_its_length() {
    let pairs = ["a", " ", "1", "\n", "!", " \u{3000}", " \u{2003}", "a\u{4E00}", "1 ", "1a", "²1"];
    for splitter in (0..64).filter_map(Splitter::from_code) {
        for pair in pairs {
            let text = pair.repeat(200_000);
            if splitter != Splitter::Falcon {
                ends(splitter, &text);
            }
        }
    }
}
