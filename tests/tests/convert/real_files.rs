//! Files as people publish them: cut up, with keys that nobody reads, with ends that nobody names.

use std::fs;
use std::path::Path;

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
        part.u32("split.no", i as u32);
        part.u32("split.count", 3);
        part.u32("split.tensors.count", whole.tensors.len() as u32);
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
    assert!(line.contains("m-00002-of-00003.gguf: no such file, and ") && line.contains("3 parts"));
}

/// Parts that were named anew, or are of two models, or are no files of their own.
#[test]
fn parts_that_do_not_go_together_are_told_apart() {
    let (folder, source) = (TempDir::new(), Source::of("gqa"));
    let whole = from_directory(&source);
    let write = |name: &str, no: Option<u32>, tensors: &[usize], all: usize| {
        let tensors = tensors.iter().map(|&i| whole.tensors[i].clone()).collect();
        let mut part = Builder { metadata: whole.metadata.clone(), tensors };
        if let Some(no) = no {
            part.u32("split.no", no);
            part.u32("split.count", 2);
            part.u32("split.tensors.count", all as u32);
        }
        part.write(&folder.join(name));
        folder.join(name)
    };
    let all: Vec<usize> = (0..whole.tensors.len()).collect();
    let (first, second) = all.split_at(3);
    let refused = |path: &Path| refusal(path, &ConvertOptions::default());
    // One that was named as if it were the whole.
    let alone = write("renamed.gguf", Some(1), second, all.len());
    let line = refused(&alone);
    assert!(line.contains("part 2 of 2") && line.contains("NAME-00002-of-00002.gguf"), "{line}");
    // Two that changed places.
    let one = write("m-00001-of-00002.gguf", Some(1), second, all.len());
    write("m-00002-of-00002.gguf", Some(0), first, all.len());
    assert!(refused(&one).contains("part 2 of 2, not 1 of 2"), "{}", refused(&one));
    // Two of which one has fewer tensors than the first part says.
    let one = write("m-00001-of-00002.gguf", Some(0), first, all.len());
    write("m-00002-of-00002.gguf", Some(1), &second[1..], all.len());
    let line = refused(&one);
    assert!(line.contains(&format!("{} tensors, {}", all.len(), all.len() - 1)), "{line}");
    // Cut at any byte, as was done before there was a way.
    let piece = write("m.gguf-split-a", None, &all, 0);
    let whole = folder.join("m.gguf");
    let todo = format!("in the order of their numbers, into {}", whole.display());
    assert!(refused(&piece).contains(&todo), "{}", refused(&piece));
    // All of that in one file that says it is the only one.
    let only = write("m-00001-of-00001.gguf", None, &all, 0);
    converted(&only, &ConvertOptions::default()).unwrap();
}

#[test]
fn keys_that_change_nothing_are_no_trouble_and_others_are() {
    let keys = [
        ("_attn_implementation", json!("sdpa"), json!("sdpa")),
        ("use_flash_attn", json!(true), json!(true)),
        ("tokenizer_padding_side", json!("right"), json!("right")),
        ("pad_token_id", json!(-1), json!(-1)),
        ("use_mrope", json!(false), json!(true)),
        ("use_qk_norm", json!(false), json!(true)),
        ("full_attn_mod", json!(1), json!(2)),
        ("interpolate_factor", json!(1), json!(4)),
        ("residual_multiplier", json!(1.0), json!(0.5)),
        ("num_nextn_predict_layers", json!(0), json!(1)),
        ("is_causal", json!(true), json!(false)),
        ("quantization", json!(null), json!({"group_size": 64, "bits": 4})),
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

/// Answers have empty lines, for which some models have tokens.
#[test]
fn white_space_behind_an_answer_ends_none() {
    for token in ["\n\n", "\n", "  "] {
        let source = Source::of("gqa");
        source.edit_json("tokenizer.json", |json| {
            let added = json["added_tokens"].as_array_mut().unwrap();
            let mut new = added[0].clone();
            (new["id"], new["content"], new["special"]) = (json!(298), json!(token), json!(false));
            added.push(new);
        });
        let template = format!(
            "{{% for m in messages %}}### {{{{ m.role }}}}:\n{{{{ m.content }}}}{token}{{% endfor %}}\
            {{% if add_generation_prompt %}}### assistant:\n{{% endif %}}"
        );
        fs::write(source.join("chat_template.jinja"), template).unwrap();
        let file = source.convert(&ConvertOptions::default()).unwrap();
        let model = Model::open(&file).unwrap();
        assert!(Chat::new(model.chat_section()).is_ok());
        let tokenizer = Tokenizer::new(model.tokenizer_section()).unwrap();
        assert!(tokenizer.is_end(297) && !tokenizer.is_end(298), "{token:?}");
    }
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

/// Python writes NaN, and some programs -1 for none.
#[test]
fn numbers_that_are_none_are_no_trouble() {
    let source = Source::of("gqa");
    let plain = source.convert(&ConvertOptions::default()).unwrap();
    let sampling = |file: &[u8]| Model::open(file).unwrap().sampling();
    for (name, key, value) in [
        ("config.json", "attention_dropout", "NaN"),
        ("config.json", "router_aux_loss_coef", "-Infinity"),
        ("generation_config.json", "temperature", "NaN"),
        ("generation_config.json", "top_k", "-1"),
        ("generation_config.json", "top_p", "-1"),
    ] {
        let source = Source::of("gqa");
        source.edit_json(name, |json| {
            json.insert("note".into(), Value::Null);
            json.insert(key.into(), json!("(NaN) \\\" NaN"));
        });
        source.edit_bytes(name, |bytes| {
            let text = String::from_utf8(bytes.clone()).unwrap();
            let quoted = json!("(NaN) \\\" NaN").to_string();
            assert!(text.contains(&quoted));
            *bytes = text.replace(&quoted, value).into_bytes();
        });
        let file = source.convert(&ConvertOptions::default()).unwrap();
        assert_eq!(sampling(&file), sampling(&plain), "{key}");
    }
}

/// A command in an advice is safe to run, whatever a stranger's folder is called.
#[test]
fn names_of_folders_are_words_in_a_command() {
    let (above, source) = (TempDir::new(), Source::of("gqa"));
    let folder = above.join("a'b $(touch x) \" `id`");
    fs::create_dir(&folder).unwrap();
    fs::copy(source.join("config.json"), folder.join("config.json")).unwrap();
    fs::write(folder.join("tokenizer.model"), "x").unwrap();
    let line = refusal(&folder, &ConvertOptions::default());
    let word = folder.display().to_string().replace('\'', "'\\''");
    assert!(line.ends_with(&format!("save_pretrained(d)' '{word}')")), "{line}");
}

/// A key that is read has no default in place of a number that is none.
#[test]
fn numbers_that_are_none_are_refused_where_they_count() {
    for (key, value) in [
        ("rms_norm_eps", "NaN"),
        ("rms_norm_eps", "Infinity"),
        ("rope_theta", "NaN"),
        ("num_key_value_heads", "NaN"),
        ("tie_word_embeddings", "-Infinity"),
    ] {
        let source = Source::of("gqa");
        source.edit_json("config.json", |json| {
            json.remove("rope_parameters");
            json.insert(key.into(), json!("HERE"));
        });
        source.edit_bytes("config.json", |bytes| {
            let text = String::from_utf8(bytes.clone()).unwrap();
            *bytes = text.replace("\"HERE\"", value).into_bytes();
        });
        let line = source.refusal();
        assert!(line.contains(key) && line.contains(value), "{line}");
    }
}

/// Keys around a text model, which its class does not read and nobody else asks for.
#[test]
fn keys_of_a_wrapper_are_known_or_refused() {
    let convert = |key: &str, value: Value| {
        let source = Source::of("gemma3-pictures");
        source.set(key, value);
        source.convert(&ConvertOptions::default()).map(|_| ()).map_err(|e| e.to_string())
    };
    for (key, value) in [
        ("vision_feature_select_strategy", json!("full")),
        ("image_seq_length", json!(256)),
        ("projector_hidden_act", json!("gelu")),
        ("spatial_merge_size", json!(2)),
        ("mm_anything", json!(2)),
        ("audio_config", json!({ "a": 1 })),
        ("hidden_size", json!(7)),
        ("rope_scaling", json!(null)),
        ("use_cache", json!(false)),
        ("ignore_index", json!(-100)),
    ] {
        convert(key, value).unwrap();
    }
    for (key, value) in [
        ("foo", json!(1)),
        ("residual_multiplier", json!(0.5)),
        ("quantization", json!({ "group_size": 64, "bits": 4 })),
        ("quantization_config", json!({ "bits": 4 })),
    ] {
        let line = convert(key, value).unwrap_err();
        assert!(line.starts_with("config.json: ") && line.contains(key), "{line}");
    }
    let source = Source::of("mistral3-pictures");
    source.edit_json("config.json", |json| {
        json["text_config"].as_object_mut().unwrap().remove("rope_parameters");
        json.insert("rope_scaling".into(), json!({ "rope_type": "linear", "factor": 2 }));
    });
    let line = source.refusal();
    assert!(line.contains("unknown key rope_scaling"), "{line}");
}

/// As transformers: the config's own word of the context before LongRoPE counts before the rope's, and without
/// either it is the model's.
#[test]
fn longrope_takes_the_context_before_as_the_others_do() {
    let rope = |outside: Option<usize>, inside: Option<usize>| {
        let source = Source::of("gqa");
        let list = |v: f64| json!(vec![v; 6]);
        let mut rope = json!({ "rope_type": "longrope", "rope_theta": 10000.0,
            "short_factor": list(1.0), "long_factor": list(2.0) });
        if let Some(n) = inside {
            rope["original_max_position_embeddings"] = json!(n);
        }
        if let Some(n) = outside {
            source.set("original_max_position_embeddings", json!(n));
        }
        source.set("rope_parameters", rope);
        let file = source.convert(&ConvertOptions::default()).unwrap();
        let model = Model::open(&file).unwrap();
        (model.config().long_context, model.rope(false, 64).factor)
    };
    assert_eq!(rope(Some(64), Some(32)), rope(Some(64), None));
    assert_eq!(rope(None, Some(64)), rope(Some(64), None));
    assert_ne!(rope(None, Some(32)), rope(Some(64), None));
    assert_eq!(rope(None, None).1, 1.0);
}

/// Tensors of types that hold no weights, as long as nobody needs them.
#[test]
fn masks_and_positions_of_old_files_are_left_out() {
    let source = Source::of("gpt2");
    source.edit_tensors(|tensors| {
        for (name, dtype, bytes) in [
            ("attn.bias", "BOOL", 4),
            ("attn.masked_bias", "F64", 8),
            ("attn.masked_bias", "I64", 8),
        ] {
            let layer = usize::from(dtype == "I64");
            let shape = if dtype == "BOOL" { vec![1, 1, 2, 2] } else { vec![] };
            let name = format!("transformer.h.{layer}.{name}");
            tensors.retain(|(known, _)| *known != name);
            tensors.push((name, (dtype.into(), shape, vec![1; bytes])));
        }
    });
    source.convert(&ConvertOptions::default()).unwrap();
}

/// An index may name the output matrix of a model that has none of its own.
#[test]
fn an_index_may_list_a_tied_head() {
    let source = Source::of("gqa");
    fs::rename(source.join("model.safetensors"), source.join("model-1.safetensors")).unwrap();
    let names = Source::of("gqa").tensors().into_iter().map(|(name, _)| name);
    let map: serde_json::Map<String, Value> = names
        .chain(["lm_head.weight".into()])
        .map(|name| (name, json!("model-1.safetensors")))
        .collect();
    let index = json!({"metadata": {}, "weight_map": map});
    fs::write(source.join("model.safetensors.index.json"), index.to_string()).unwrap();
    source.convert(&ConvertOptions::default()).unwrap();
}

/// Directories of another kind say what to give instead, or how to make what is missing.
#[test]
fn directories_of_another_kind_say_what_to_do() {
    let source = Source::of("gqa");
    fs::remove_file(source.join("tokenizer.json")).unwrap();
    assert!(source.refusal().contains("get the whole model"));
    for older in ["vocab.json", "tokenizer.model"] {
        fs::write(source.join(older), "").unwrap();
        let line = source.refusal();
        assert!(line.contains(&format!("make it of {older}")), "{line}");
        assert!(line.contains("save_pretrained(d)' '") && line.contains("pip install"), "{line}");
    }
    let folder = TempDir::new();
    fs::write(folder.join("m-q4.gguf"), "").unwrap();
    let line = refusal(folder.path(), &ConvertOptions::default());
    assert!(line.contains("config.json: no such file") && line.contains("m-q4.gguf"), "{line}");
}

/// The post-processor says what stands before a text, but for classes that read two keys.
#[test]
fn bos_goes_by_the_class_of_the_tokenizer() {
    let prefix = |class: &str, add: bool, template: bool| {
        let source = Source::of("gqa");
        source.edit_json("tokenizer_config.json", |json| {
            json.insert("tokenizer_class".into(), json!(class));
            json.insert("add_bos_token".into(), json!(add));
            json.insert("bos_token".into(), json!("<|im_start|>"));
        });
        if template {
            let token = json!({"id": "<|im_start|>", "ids": [296], "tokens": ["<|im_start|>"]});
            source.edit_json("tokenizer.json", |json| {
                json["post_processor"] = json!({
                    "type": "TemplateProcessing",
                    "single": [
                        {"SpecialToken": {"id": "<|im_start|>", "type_id": 0}},
                        {"Sequence": {"id": "A", "type_id": 0}}
                    ],
                    "pair": [],
                    "special_tokens": {"<|im_start|>": token}
                });
            });
        }
        let file = source.convert(&ConvertOptions::default()).unwrap();
        let model = Model::open(&file).unwrap();
        Tokenizer::new(model.tokenizer_section()).unwrap().prefix().count()
    };
    for class in ["PreTrainedTokenizerFast", "Qwen2Tokenizer", "GPT2TokenizerFast"] {
        assert_eq!([prefix(class, true, false), prefix(class, false, true)], [0, 1], "{class}");
    }
    for class in ["LlamaTokenizerFast", "GemmaTokenizer", "GPTNeoXTokenizerFast"] {
        assert_eq!([prefix(class, true, false), prefix(class, false, true)], [1, 0], "{class}");
    }
}

/// Ends of turns are what they are called, whatever type a file gives them.
#[test]
fn ends_of_turns_are_control_tokens_whatever_their_type() {
    let folder = TempDir::new();
    let path = folder.join("m.gguf");
    let flags = |text: &str, kind: i32| {
        let mut builder = from_directory(&Source::of("gqa"));
        let plain: Vec<String> = (0..301).map(|i| format!("t{i}")).collect();
        let tokens = plain.iter().enumerate().map(|(i, t)| if i == 297 { text } else { t });
        builder.strings("tokenizer.ggml.tokens", tokens);
        builder.strings("tokenizer.ggml.merges", std::iter::empty());
        let types: Vec<i32> = (0..301).map(|i| if i == 297 { kind } else { 1 }).collect();
        builder.i32s("tokenizer.ggml.token_type", &types);
        builder.u32("tokenizer.ggml.eos_token_id", 300);
        builder.write(&path);
        let file = converted(&path, &ConvertOptions::default()).unwrap();
        let model = Model::open(&file).unwrap();
        let tokenizer = Tokenizer::new(model.tokenizer_section()).unwrap();
        (tokenizer.is_end(297), tokenizer.is_special(297))
    };
    for text in ["<|im_end|>", "<end_of_turn>", "<|eot_id|>", "<|end|>", "<｜end▁of▁sentence｜>"]
    {
        for kind in [1, 3, 4] {
            assert_eq!(flags(text, kind), (true, true), "{text}, {kind}");
        }
    }
    // What may be a tag or a word counts as one unless the file says otherwise.
    assert_eq!([flags("</s>", 1).0, flags("</s>", 3).0, flags("hello", 1).0], [false, true, false]);
}
