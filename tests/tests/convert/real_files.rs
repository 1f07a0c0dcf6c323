//! Files as people publish them: cut up, with keys that nobody reads, with ends that nobody names.

use std::fs;

use oarlock::Model;
use oarlock::chat::Chat;
use oarlock::tokenizer::Tokenizer;
use oarlock_convert::ConvertOptions;
use oarlock_tests::TempDir;
use serde_json::{Value, json};

use crate::gguf::Builder;
use crate::published::from_directory;
use crate::source::{Source, converted, refusal};

#[test]
fn a_gguf_in_parts_is_read_whole_whichever_is_given() {
    let (folder, source) = (TempDir::new(), Source::of("gqa"));
    let whole = from_directory(&source);
    whole.write(&folder.join("whole.gguf"));
    let parts = [1, 2, 3].map(|part| folder.join(&format!("m-{part:05}-of-00003.gguf")));
    for (i, path) in parts.iter().enumerate() {
        let tensors = whole.tensors.iter().skip(i).step_by(3).cloned().collect();
        let metadata = if i == 0 { whole.metadata.clone() } else { Vec::new() };
        let mut part = Builder { metadata, tensors };
        part.u32("split.count", 3);
        part.write(path);
    }
    let plain = converted(&folder.join("whole.gguf"), &ConvertOptions::default()).unwrap();
    let plain = Model::open(&plain).unwrap();
    for path in &parts {
        let file = converted(path, &ConvertOptions::default()).unwrap();
        let model = Model::open(&file).unwrap();
        assert_eq!(model.config(), plain.config());
        let same = model.tensors().zip(plain.tensors());
        assert!(same.into_iter().all(|(a, b)| a.name == b.name && a.bytes() == b.bytes()));
    }
    fs::remove_file(&parts[1]).unwrap();
    let line = refusal(&parts[2], &ConvertOptions::default());
    assert!(line.contains("m-00002-of-00003.gguf: no such file") && line.contains("3 parts"));
}

#[test]
fn keys_that_change_nothing_are_no_trouble_and_others_are() {
    let keys = [
        ("_attn_implementation", json!("sdpa"), json!("sdpa")),
        ("use_mrope", json!(false), json!(true)),
        ("full_attn_mod", json!(1), json!(2)),
        ("interpolate_factor", json!(1), json!(4)),
    ];
    for (key, harmless, other) in keys {
        let source = Source::of("gqa");
        source.set(key, harmless.clone());
        source.convert(&ConvertOptions::default()).unwrap();
        if other != harmless {
            source.set(key, other);
            assert!(refusal(source.path(), &ConvertOptions::default()).contains(key));
        }
    }
}

/// As transformers: the context before YaRN is the model's own where nothing says another.
#[test]
fn yarn_without_a_context_before_takes_the_models_own() {
    let frequencies = |original: Option<Value>| {
        let source = Source::of("gqa");
        let mut rope = json!({ "rope_type": "yarn", "factor": 4.0, "rope_theta": 10000.0 });
        if let Some(original) = original {
            rope["original_max_position_embeddings"] = original;
        }
        source.set("rope_parameters", rope);
        let file = source.convert(&ConvertOptions::default()).unwrap();
        let model = Model::open(&file).unwrap();
        let rope = model.rope(false, 64);
        (rope.phases.to_vec(), rope.factor)
    };
    assert_eq!(frequencies(None), frequencies(Some(json!(256))));
    assert_ne!(frequencies(None), frequencies(Some(json!(64))));
}

/// The token that a template writes behind an answer ends it, whatever the config names.
#[test]
fn what_a_template_writes_behind_an_answer_ends_it() {
    let source = Source::of("gqa");
    let template = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n\
        {% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
    fs::write(source.join("chat_template.jinja"), template).unwrap();
    source.set("eos_token_id", json!(296));
    for name in ["generation_config.json", "tokenizer_config.json"] {
        source.edit_json(name, |json| {
            json.insert("eos_token_id".into(), json!(296));
            json.insert("eos_token".into(), json!("<|im_start|>"));
        });
    }
    let is_end = |file: &[u8]| {
        let model = Model::open(file).unwrap();
        Tokenizer::new(model.tokenizer_section()).unwrap().is_end(297)
    };
    assert!(is_end(&source.convert(&ConvertOptions::default()).unwrap()));
    fs::write(source.join("chat_template.jinja"), template.replace("<|im_end|>", "")).unwrap();
    assert!(!is_end(&source.convert(&ConvertOptions::default()).unwrap()));
}

/// `none` is not iterable, as in Python.
#[test]
fn templates_may_ask_for_tools_that_there_are_not() {
    let source = Source::of("gqa");
    let template = "{% if tools is iterable and tools | length > 0 %}tools{% endif %}\
        {% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n\
        {% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
    fs::write(source.join("chat_template.jinja"), template).unwrap();
    let file = source.convert(&ConvertOptions::default()).unwrap();
    let model = Model::open(&file).unwrap();
    assert!(Chat::new(model.chat_section()).is_ok());
}

/// Tags that mark what was generated write nothing, and trim what is around them.
#[test]
fn templates_may_mark_what_was_generated() {
    let plain = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n\
        {% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
    let chat = |template: &str| {
        let source = Source::of("gqa");
        fs::write(source.join("chat_template.jinja"), template).unwrap();
        let file = source.convert(&ConvertOptions::default()).unwrap();
        Model::open(&file).unwrap().chat_section().to_vec()
    };
    let marked = plain.replace(
        "{{ m.content }}<|im_end|>",
        "{%- generation -%}  {{ m.content }}<|im_end|>{% endgeneration %}",
    );
    let asked = marked.replace("endgeneration", "endif").replace("- generation", "- if true");
    assert!(chat(&marked) == chat(&asked));
    assert!(chat(&marked) != chat(&marked.replace("{%- generation", "{% generation")));
}

/// Names of expressions that are known under another name, and the rule of BOS that goes with them.
#[test]
fn tokenizers_of_gguf_go_by_their_expression() {
    let folder = TempDir::new();
    let path = folder.join("m.gguf");
    let prefix = |pre: &str| {
        let mut builder = from_directory(&Source::of("gqa"));
        builder.metadata.retain(|(key, _)| key != "tokenizer.ggml.add_bos_token");
        builder.str("tokenizer.ggml.pre", pre);
        builder.u32("tokenizer.ggml.bos_token_id", 296);
        builder.write(&path);
        let file = converted(&path, &ConvertOptions::default()).unwrap();
        let model = Model::open(&file).unwrap();
        let section = model.tokenizer_section().to_vec();
        (Tokenizer::new(&section).unwrap().prefix().count(), section)
    };
    for (alias, known) in [
        ("falcon3", "llama-bpe"),
        ("pixtral", "llama3"),
        ("lfm2", "llama-bpe"),
        ("smaug-bpe", "dbrx"),
        ("llama4", "gpt-4o"),
        ("megrez", "qwen2"),
        ("codeshell", "starcoder"),
        ("exaone4", "gpt-2"),
        ("poro-chat", "bloom"),
    ] {
        assert_eq!(prefix(alias), prefix(known), "{alias}");
    }
    assert_eq!((prefix("llama-bpe").0, prefix("smaug-bpe").0), (1, 0));
}
