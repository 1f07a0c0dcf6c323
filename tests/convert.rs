//! The converter: what it takes over exactly, what it refuses, and what it leaves behind.

#[path = "convert/gguf.rs"]
mod gguf;
#[path = "convert/source.rs"]
mod source;

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use gguf::{BF16, F16, F32, Q4_0, Q4_1, Q8_0, from_directory};
use oarlock::format::{Role, TensorType};
use oarlock::layout::{WeightType, f32_offset, int8_offset, nibble_offset};
use oarlock::math::f16_to_f32;
use oarlock::model::{Model, Tensor};
use oarlock_convert::{ConvertOptions, Error, Head, Progress, Weights, convert};
use oarlock_tests::{Finished, TempDir, bin, fixture, run, tiny_names};
use serde_json::json;
use source::{Source, converted, refusal};

fn options(weights: WeightType) -> ConvertOptions {
    ConvertOptions { weights: Some(Weights::As(weights)), head: None }
}

/// The value of a packed matrix at `(row, col)`.
fn value(t: &Tensor<'_>, row: usize, col: usize) -> f32 {
    let TensorType::Matrix(kind) = t.kind else { panic!("{} is a vector", t.name) };
    let block = (row / 16 * t.cols.div_ceil(32) + col / 32) * kind.block_bytes();
    let (block, row, col) = (&t.bytes()[block..], row % 16, col % 32);
    let f16 = |at: usize| f16_to_f32(u16::from_le_bytes([block[at], block[at + 1]]));
    let scale = || f16(kind.quant_bytes() + 2 * row);
    let nibble = || {
        let (at, shift) = nibble_offset(row, col);
        f32::from(block[at] >> shift & 15)
    };
    match kind {
        WeightType::F32 => {
            f32::from_le_bytes(block[f32_offset(row, col)..][..4].try_into().unwrap())
        }
        WeightType::Int8 => scale() * f32::from(block[int8_offset(row, col)] as i8),
        WeightType::Int4 => scale() * (nibble() - 8.0),
        WeightType::Int4a => scale() * nibble() + f16(kind.minimum_offset() + 2 * row),
    }
}

fn values(t: &Tensor<'_>) -> Vec<f32> {
    (0..t.rows * t.cols).map(|i| value(t, i / t.cols, i % t.cols)).collect()
}

fn find<'m>(model: &Model<'m>, role: Role, layer: Option<usize>) -> Tensor<'m> {
    model.tensors().find(|t| (t.role, t.layer) == (role, layer)).unwrap()
}

fn verify(model: &Model<'_>) {
    for i in 0..model.n_tensors() {
        model.verify_tensor(i).unwrap();
    }
}

#[test]
fn every_fixture_converts_to_every_type() {
    for name in tiny_names() {
        for kind in WeightType::ALL {
            let file = converted(&fixture("tiny").join(&name), &options(kind)).unwrap();
            let model = Model::open(&file).unwrap();
            verify(&model);
            assert_eq!(model.arch(), "LlamaForCausalLM");
            assert_eq!(find(&model, Role::Gate, Some(0)).kind, TensorType::Matrix(kind));
            let head = if kind == WeightType::F32 { kind } else { WeightType::Int8 };
            assert_eq!(model.output().kind(), head, "{name}");
            assert_eq!(model.is_f32(), kind == WeightType::F32);
            let embedding = if model.config().tied { head } else { kind };
            assert_eq!(model.embedding().kind(), embedding, "{name}");
        }
    }
}

#[test]
fn f32_holds_exactly_what_the_source_has() {
    let source = Source::of("gqa");
    let file = source.convert(&options(WeightType::F32)).unwrap();
    let model = Model::open(&file).unwrap();
    let tensors = source.tensors();
    for t in model.tensors() {
        let (_, (_, _, bytes)) = tensors.iter().find(|(name, _)| name == t.name).unwrap();
        let wanted: Vec<f32> =
            bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        match t.kind {
            TensorType::Vector => assert_eq!(t.bytes(), bytes, "{}", t.name),
            TensorType::Matrix(_) => assert_eq!(values(&t), wanted, "{}", t.name),
        }
    }
}

#[test]
fn the_same_source_and_options_give_the_same_bytes() {
    let source = Source::of("rope-llama3");
    for kind in WeightType::ALL {
        let [a, b] = [0, 1].map(|_| source.convert(&options(kind)).unwrap());
        assert!(a[..] == b[..], "{kind:?}");
    }
}

#[test]
fn quantized_weights_are_near_and_search_beats_the_textbook() {
    let source = Source::of("gqa");
    let exact = source.convert(&options(WeightType::F32)).unwrap();
    let exact = Model::open(&exact).unwrap();
    let wanted = values(&find(&exact, Role::Q, Some(0)));
    let error =
        |got: &[f32]| -> f32 { got.iter().zip(&wanted).map(|(a, b)| (a - b) * (a - b)).sum() };
    let of = |kind| {
        let file = source.convert(&options(kind)).unwrap();
        error(&values(&find(&Model::open(&file).unwrap(), Role::Q, Some(0))))
    };
    let cols = find(&exact, Role::Q, Some(0)).cols;
    let mut plain = wanted.clone();
    for row in plain.chunks_exact_mut(cols) {
        for group in row.chunks_mut(32) {
            let scale = group.iter().fold(0.0_f32, |m, v| m.max(v.abs())) / 7.0;
            group.iter_mut().for_each(|v| *v = (*v / scale).round() * scale);
        }
    }
    assert!(of(WeightType::Int4) < 0.85 * error(&plain));
    assert!(of(WeightType::Int4a) < of(WeightType::Int4));
    assert!(of(WeightType::Int8) < 0.01 * of(WeightType::Int4a));
}

#[test]
fn head_sets_the_output_and_a_tied_embedding() {
    for (name, tied) in [("gqa", true), ("rope-llama3", false)] {
        let source = Source::of(name);
        for (head, wanted) in [
            (Some(Head::Same), WeightType::Int4a),
            (Some(Head::Of(Weights::As(WeightType::F32))), WeightType::F32),
            (None, WeightType::Int8),
        ] {
            let options = ConvertOptions { head, ..options(WeightType::Int4a) };
            let file = source.convert(&options).unwrap();
            let model = Model::open(&file).unwrap();
            assert_eq!(model.output().kind(), wanted);
            let embedding = if tied { wanted } else { WeightType::Int4a };
            assert_eq!(model.embedding().kind(), embedding);
        }
    }
}

#[test]
fn sampling_and_provenance_come_from_the_source() {
    let source = Source::of("gqa");
    source.edit_json("generation_config.json", |g| {
        g.insert("temperature".into(), json!(0.6));
        g.insert("top_p".into(), json!(0.9));
        g.insert("repetition_penalty".into(), json!(1.1));
    });
    let file = source.convert(&ConvertOptions::default()).unwrap();
    let model = Model::open(&file).unwrap();
    let s = model.sampling();
    assert_eq!((s.temp, s.top_p, s.top_k, s.repeat_penalty), (0.6, 0.9, 40, 1.1));
    let text = model.provenance();
    assert!(text.starts_with("converter oarlock-convert ") && text.contains("\nweights int4\n"));
    for name in ["config.json", "generation_config.json", "tokenizer.json", "model.safetensors"] {
        let line = text.lines().find(|line| line.ends_with(&format!(" {name}"))).unwrap();
        let hash = line.split(' ').nth(1).unwrap();
        assert!(hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()), "{line}");
    }
    source
        .edit_json("generation_config.json", |g| drop(g.insert("do_sample".into(), json!(false))));
    let file = source.convert(&ConvertOptions::default()).unwrap();
    assert_eq!(Model::open(&file).unwrap().sampling().temp, 0.0);
}

/// The same model by both roads: names, shapes, q and k rows back in order.
#[test]
fn gguf_gives_the_tensors_of_the_directory_it_was_made_from() {
    let source = Source::of("gqa");
    let folder = TempDir::new();
    let path = folder.join("model.gguf");
    from_directory(&source).write(&path);
    let a = source.convert(&options(WeightType::F32)).unwrap();
    let b = converted(&path, &ConvertOptions::default()).unwrap();
    let (a, b) = (Model::open(&a).unwrap(), Model::open(&b).unwrap());
    assert_eq!(a.config(), b.config());
    assert_eq!(a.rope_phases(), b.rope_phases());
    for (a, b) in a.tensors().zip(b.tensors()) {
        assert_eq!((a.role, a.layer, a.kind), (b.role, b.layer, b.kind));
        assert!(a.bytes() == b.bytes(), "{} and {} differ", a.name, b.name);
    }
}

/// Blocks of a GGUF type with every nibble and sign, and what each value is.
fn blocks(kind: u32, n: usize, seed: usize) -> (Vec<u8>, Vec<f32>) {
    let (mut bytes, mut values) = (Vec::new(), Vec::new());
    for i in 0..n / 32 {
        let byte = |k: usize| ((i * 131 + k * 29 + seed * 7) % 256) as u8;
        let scale = 0x2400_u16 + ((i * 37 + seed) % 1000) as u16;
        let minimum = 0xA800_u16 + ((i * 11 + seed) % 1000) as u16;
        bytes.extend(scale.to_le_bytes());
        let (s, m) = (f16_to_f32(scale), f16_to_f32(minimum));
        match kind {
            Q8_0 => {
                bytes.extend((0..32).map(byte));
                values.extend((0..32).map(|k| s * f32::from(byte(k) as i8)));
            }
            Q4_0 | Q4_1 => {
                let affine = kind == Q4_1;
                if affine {
                    bytes.extend(minimum.to_le_bytes());
                }
                bytes.extend((0..16).map(byte));
                let nibbles = (0..16).map(|k| byte(k) & 15).chain((0..16).map(|k| byte(k) >> 4));
                values.extend(
                    nibbles.map(|q| {
                        if affine { s * f32::from(q) + m } else { s * (f32::from(q) - 8.0) }
                    }),
                );
            }
            _ => unreachable!(),
        }
    }
    (bytes, values)
}

#[test]
fn keep_changes_no_value_of_a_gguf() {
    let source = Source::of("gqa");
    source.edit_json("config.json", |c| {
        for (key, v) in [("hidden_size", 64), ("intermediate_size", 96), ("head_dim", 16)] {
            c.insert(key.into(), json!(v));
        }
    });
    let mut builder = from_directory(&source);
    builder.u32("llama.embedding_length", 64);
    let mut wanted = Vec::new();
    let kinds = [Q4_0, Q4_1, Q8_0];
    for (i, (name, kind, shape, bytes)) in builder.tensors.iter_mut().enumerate() {
        let full = |n: usize| match n {
            48 => 64,
            80 => 96,
            24 => 32,
            n => n,
        };
        shape.iter_mut().for_each(|n| *n = full(*n));
        let n = shape.iter().product();
        if shape.len() == 1 {
            *bytes = vec![0; 4 * n];
            continue;
        }
        *kind = kinds[i % 3];
        let values;
        (*bytes, values) = blocks(*kind, n, i);
        wanted.push((name.clone(), *kind, values));
    }
    let folder = TempDir::new();
    let path = folder.join("model.gguf");
    builder.write(&path);
    let file = converted(&path, &ConvertOptions::default()).unwrap();
    let model = Model::open(&file).unwrap();
    verify(&model);
    for t in model.tensors().filter(|t| t.kind != TensorType::Vector) {
        let (_, kind, wanted) = wanted.iter().find(|(name, ..)| name == t.name).unwrap();
        let holds = match *kind {
            Q4_0 => WeightType::Int4,
            Q4_1 => WeightType::Int4a,
            _ => WeightType::Int8,
        };
        assert_eq!(t.kind, TensorType::Matrix(holds));
        // Rows of q and k come back in the order of halves.
        let heads = model.config().n_heads * usize::from(t.role == Role::Q)
            + model.config().n_kv_heads * usize::from(t.role == Role::K);
        let bytes: Vec<u8> = values(&t).iter().flat_map(|v| v.to_le_bytes()).collect();
        let bytes = if heads > 0 { gguf::permute(&bytes, t.rows, heads) } else { bytes };
        let wanted: Vec<u8> = wanted.iter().flat_map(|v| v.to_le_bytes()).collect();
        assert!(bytes == wanted, "{}", t.name);
    }
}

#[test]
fn keep_takes_half_floats_as_f32() {
    let source = Source::of("gqa");
    let mut builder = from_directory(&source);
    for (kind, name) in [(F16, "blk.0.ffn_up.weight"), (BF16, "blk.0.ffn_down.weight")] {
        let tensor = builder.tensor(name);
        let n: usize = tensor.2.iter().product();
        tensor.1 = kind;
        tensor.3 = (0..n).flat_map(|i| (0x3C00_u16 + (i % 128) as u16).to_le_bytes()).collect();
    }
    let folder = TempDir::new();
    builder.write(&folder.join("m.gguf"));
    let file = converted(&folder.join("m.gguf"), &ConvertOptions::default()).unwrap();
    let model = Model::open(&file).unwrap();
    let (up, down) = (find(&model, Role::Up, Some(0)), find(&model, Role::Down, Some(0)));
    assert_eq!(up.kind, TensorType::Matrix(WeightType::F32));
    for (i, v) in values(&up).into_iter().enumerate() {
        assert_eq!(v, 1.0 + (i % 128) as f32 / 1024.0);
    }
    for (i, v) in values(&down).into_iter().enumerate() {
        assert_eq!(v, f32::from_bits((0x3C00 + (i % 128) as u32) << 16));
    }
}

/// Llama 3's rope scaling is a tensor there.
#[test]
fn gguf_rope_divisors_are_obeyed() {
    let source = Source::of("gqa");
    let mut builder = from_directory(&source);
    let folder = TempDir::new();
    let path = folder.join("m.gguf");
    let divisors = [1.0_f32, 1.0, 1.5, 2.0, 8.0, 8.0];
    let bytes = divisors.iter().flat_map(|v| v.to_le_bytes()).collect();
    builder.tensors.push(("rope_freqs.weight".into(), F32, vec![6], bytes));
    builder.write(&path);
    let plain = source.convert(&options(WeightType::F32)).unwrap();
    let scaled = converted(&path, &ConvertOptions::default()).unwrap();
    let plain = Model::open(&plain).unwrap();
    let scaled = Model::open(&scaled).unwrap();
    for ((a, b), d) in plain.rope_phases().iter().zip(scaled.rope_phases()).zip(divisors) {
        assert!((*a as f64 / f64::from(d) - *b as f64).abs() <= 1e-12 * *a as f64);
    }
}

#[test]
fn configs_that_change_the_mathematics_are_refused() {
    let cases = [
        ("architectures", json!(["MambaForCausalLM"]), "known: LlamaForCausalLM"),
        ("architectures", json!([]), "does not name exactly one"),
        ("model_type", json!("mistral"), "model_type"),
        ("hidden_act", json!("gelu"), "hidden_act is \"gelu\""),
        ("logit_scale", json!(0.5), "unknown key logit_scale"),
        ("quantization_config", json!({"bits": 4}), "quantization_config"),
        ("sliding_window", json!(128), "unknown key sliding_window"),
        ("partial_rotary_factor", json!(0.5), "partial_rotary_factor"),
        ("rope_parameters", json!({"rope_type": "yarn", "factor": 2}), "rope type \"yarn\""),
        ("rope_parameters", json!({"rope_type": "llama3", "factor": 2}), "low_freq_factor"),
        ("rope_parameters", json!({"rope_type": "default", "beta": 2}), "unknown key beta"),
        ("rope_parameters", json!({"rope_theta": -1.0}), "rope theta"),
        ("num_attention_heads", json!("4"), "num_attention_heads is \"4\""),
        ("num_attention_heads", json!(null), "num_attention_heads is missing"),
        ("num_attention_heads", json!(0), "n_heads"),
        ("num_key_value_heads", json!(3), "cannot share 3"),
        ("hidden_size", json!(1_u64 << 40), "dim"),
        ("head_dim", json!(16), "shape of [48, 48], where the config wants [64, 48]"),
        ("vocab_size", json!(300), "model.embed_tokens.weight"),
        ("num_hidden_layers", json!(3), "model.layers.2.input_layernorm.weight"),
        ("num_hidden_layers", json!(1), "unexpected tensor"),
        ("attention_bias", json!(true), "self_attn.q_proj.bias: the tensor is missing"),
        ("tie_word_embeddings", json!(false), "lm_head.weight: the tensor is missing"),
        ("eos_token_id", json!("x"), "eos_token_id"),
    ];
    for (key, value, part) in cases {
        let source = Source::of("gqa");
        if key == "eos_token_id" {
            std::fs::remove_file(source.join("generation_config.json")).unwrap();
        }
        source.set(key, value);
        let line = source.refusal();
        assert!(line.contains(part), "{key}: {line}");
    }
}

#[test]
fn damaged_safetensors_are_refused() {
    let f32s = |v: f32, n: usize| v.to_le_bytes().repeat(n);
    type Edit = Box<dyn FnOnce(&Source)>;
    let weights = "model.safetensors";
    let cases: Vec<(&str, Edit)> = vec![
        ("truncated", Box::new(move |s| s.edit_bytes(weights, |b| b.truncate(5)))),
        ("truncated in its header", Box::new(move |s| s.edit_bytes(weights, |b| b.truncate(99)))),
        (
            "the file ends before",
            Box::new(move |s| s.edit_bytes(weights, |b| b.truncate(b.len() - 1))),
        ),
        ("after the last tensor", Box::new(move |s| s.edit_bytes(weights, |b| b.push(0)))),
        ("over the limit", Box::new(move |s| s.edit_bytes(weights, |b| b[7] = 1))),
        ("not JSON", Box::new(move |s| s.edit_bytes(weights, |b| b[8] = b'x'))),
        (
            "overlaps",
            Box::new(|s| {
                let info = json!({"dtype": "F32", "shape": [2], "data_offsets": [0, 8]});
                s.write_weights(&json!({"a": info, "b": info}).to_string(), &[0; 8]);
            }),
        ),
        (
            "gap",
            Box::new(|s| {
                let info = json!({"dtype": "F32", "shape": [1], "data_offsets": [4, 8]});
                s.write_weights(&json!({"a": info}).to_string(), &[0; 8]);
            }),
        ),
        (
            "8 bytes for a shape of [3]",
            Box::new(|s| {
                let info = json!({"dtype": "F32", "shape": [3], "data_offsets": [0, 8]});
                s.write_weights(&json!({"a": info}).to_string(), &[0; 8]);
            }),
        ),
        (
            "bytes for a shape of",
            Box::new(|s| {
                let shape = [u64::MAX / 2, 4];
                let info = json!({"dtype": "F32", "shape": shape, "data_offsets": [0, 8]});
                s.write_weights(&json!({"a": info}).to_string(), &[0; 8]);
            }),
        ),
        ("dtype I64 is not known", Box::new(|s| s.edit_tensors(|t| t[0].1.0 = "I64".into()))),
        ("the tensor is missing", Box::new(|s| s.edit_tensors(|t| drop(t.remove(3))))),
        (
            "model.extra.weight: an unexpected tensor",
            Box::new(move |s| {
                let extra = ("F32".into(), vec![2], f32s(1.0, 2));
                s.edit_tensors(|t| t.push(("model.extra.weight".into(), extra)));
            }),
        ),
        (
            "a shape of [48, 1]",
            Box::new(|s| {
                s.edit_tensors(|t| {
                    let norm = t.iter_mut().find(|(name, _)| name == "model.norm.weight");
                    norm.unwrap().1.1 = vec![48, 1];
                });
            }),
        ),
        (
            "lm_head.weight: an unexpected tensor",
            Box::new(move |s| {
                let extra = ("F32".into(), vec![301, 48], f32s(1.0, 301 * 48));
                s.edit_tensors(|t| t.push(("lm_head.weight".into(), extra)));
            }),
        ),
    ];
    for (part, edit) in cases {
        let source = Source::of("gqa");
        edit(&source);
        let line = source.refusal();
        assert!(line.contains(part), "{part}: {line}");
    }
}

#[test]
fn a_tied_model_may_carry_its_output_all_the_same() {
    let source = Source::of("gqa");
    source.edit_tensors(|t| {
        let (_, embedding) = t.iter().find(|(name, _)| name.contains("embed")).unwrap().clone();
        t.push(("lm_head.weight".into(), embedding));
        let buffer = ("F32".into(), vec![6], vec![0; 24]);
        t.push(("model.layers.1.self_attn.rotary_emb.inv_freq".into(), buffer));
    });
    let file = source.convert(&ConvertOptions::default()).unwrap();
    assert!(Model::open(&file).unwrap().config().tied);
}

#[test]
fn weights_that_are_not_finite_are_refused_by_name() {
    for (kind, bad) in [
        (WeightType::Int4, f32::NAN),
        (WeightType::Int4a, f32::INFINITY),
        (WeightType::F32, f32::NEG_INFINITY),
        (WeightType::Int8, 1e20),
    ] {
        for name in ["model.layers.1.mlp.up_proj.weight", "model.norm.weight"] {
            let source = Source::of("gqa");
            source.edit_tensors(|t| {
                let tensor = t.iter_mut().find(|(n, _)| n == name).unwrap();
                let bytes = &mut tensor.1.2;
                let at = bytes.len() - 8;
                bytes[at..at + 4].copy_from_slice(&bad.to_le_bytes());
            });
            if bad.is_finite() && name.contains("norm") {
                source.convert(&options(kind)).unwrap();
                continue;
            }
            let line = refusal(source.path(), &options(kind));
            assert!(line.starts_with(name), "{line}");
        }
    }
}

#[test]
fn missing_files_are_named() {
    let missing = |name: &str| {
        let source = Source::of("gqa");
        std::fs::remove_file(source.join(name)).unwrap();
        source.refusal()
    };
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        let line = missing(name);
        assert!(line.contains(name), "{line}");
    }
    let nowhere = refusal(Path::new("/nonexistent/model"), &ConvertOptions::default());
    assert!(nowhere.starts_with("/nonexistent/model: no such file"), "{nowhere}");
    // What only adds to the model may be missing.
    let source = Source::of("gqa");
    for name in ["generation_config.json", "tokenizer_config.json"] {
        std::fs::remove_file(source.join(name)).unwrap();
    }
    source.convert(&ConvertOptions::default()).unwrap();
}

#[test]
fn shards_and_their_index_must_agree() {
    const INDEX: &str = "model.safetensors.index.json";
    let edit = |f: &dyn Fn(&mut serde_json::Map<String, serde_json::Value>)| {
        let source = Source::of("sharded-v4");
        source.edit_json(INDEX, |index| f(index["weight_map"].as_object_mut().unwrap()));
        source.refusal()
    };
    let line = edit(&|map| drop(map.insert("lm_head.weight".into(), json!("gone.safetensors"))));
    assert!(line.contains("gone.safetensors: no such file"), "{line}");
    let line = edit(&|map| drop(map.insert("lm_head.weight".into(), json!("../up.safetensors"))));
    assert!(line.contains("not the name of a file beside it"), "{line}");
    let line = edit(&|map| drop(map.insert("x".into(), map["lm_head.weight"].clone())));
    assert!(line.contains("tensor x is in none"), "{line}");
    let line = edit(&|map| drop(map.remove("lm_head.weight")));
    assert!(line.contains("does not list tensor lm_head.weight"), "{line}");
    let source = Source::of("sharded-v4");
    let name = "model-00001-of-00003.safetensors";
    std::fs::copy(source.join(name), source.join("copy.safetensors")).unwrap();
    source.edit_json(INDEX, |index| {
        let map = index["weight_map"].as_object_mut().unwrap();
        map.insert("model.embed_tokens.weight".into(), json!("copy.safetensors"));
    });
    let line = source.refusal();
    assert!(line.contains("the tensor is there twice"), "{line}");
}

#[test]
fn damaged_ggufs_are_refused() {
    let source = Source::of("gqa");
    let good = from_directory(&source);
    let folder = TempDir::new();
    let path = folder.join("m.gguf");
    type Edit = Box<dyn Fn(&mut gguf::Builder)>;
    let cases: Vec<(&str, Edit)> = vec![
        ("known in GGUF: llama", Box::new(|b| b.str("general.architecture", "gpt-oss"))),
        ("llama.expert_count", Box::new(|b| b.u32("llama.expert_count", 8))),
        ("llama.logit_scale: unknown key", Box::new(|b| b.f32("llama.logit_scale", 0.5))),
        ("it is \"yarn\"", Box::new(|b| b.str("llama.rope.scaling.type", "yarn"))),
        ("llama.block_count", Box::new(|b| b.str("llama.block_count", "2"))),
        ("pre", Box::new(|b| b.str("tokenizer.ggml.pre", "mystery"))),
        ("type Q4_K is not known", Box::new(|b| b.tensor("blk.0.ffn_up.weight").1 = 12)),
        ("a shape of", Box::new(|b| b.tensor("blk.0.ffn_up.weight").1 = Q4_0)),
        ("where the config wants", Box::new(|b| b.tensor("blk.0.ffn_up.weight").2.swap(0, 1))),
        ("the tensor is missing", Box::new(|b| drop(b.tensors.pop()))),
        (
            "blk.0.extra: an unexpected tensor",
            Box::new(|b| b.tensors.push(("blk.0.extra".into(), F32, vec![1], vec![0; 4]))),
        ),
        ("the file ends before", Box::new(|b| b.tensors.last_mut().unwrap().3.truncate(4))),
        ("power of two", Box::new(|b| b.u32("general.alignment", 24))),
    ];
    for (part, edit) in cases {
        let mut builder = good.clone();
        edit(&mut builder);
        builder.write(&path);
        let line = refusal(&path, &ConvertOptions::default());
        assert!(line.contains(part), "{part}: {line}");
    }
    // Truncations anywhere before the tensors, and words gone wild, are errors as well.
    let bytes = good.bytes();
    let tables = bytes.len() - good.tensors.iter().map(|t| t.3.len()).sum::<usize>();
    for len in (0..tables).step_by(41) {
        std::fs::write(&path, &bytes[..len]).unwrap();
        refusal(&path, &ConvertOptions::default());
    }
    for at in (0..600).step_by(4) {
        let mut bytes = bytes.clone();
        bytes[at..at + 8].fill(0xFF);
        std::fs::write(&path, &bytes).unwrap();
        let _ = convert(
            &path,
            &folder.join("out.oar"),
            &ConvertOptions::default(),
            &oarlock_convert::Silent,
        );
    }
}

#[test]
fn keep_needs_a_gguf() {
    let source = Source::of("gqa");
    let keep = ConvertOptions { weights: Some(Weights::Keep), head: None };
    assert!(refusal(source.path(), &keep).starts_with("--weights keep: the source is no GGUF"));
    let keep = ConvertOptions { weights: None, head: Some(Head::Of(Weights::Keep)) };
    assert!(refusal(source.path(), &keep).starts_with("--head keep"));
}

#[test]
fn an_output_that_is_an_input_is_refused() {
    let source = Source::of("gqa");
    let input = source.join("model.safetensors");
    let before = std::fs::read(&input).unwrap();
    let (hard, soft) = (source.join("hard.oar"), source.join("soft.oar"));
    std::fs::hard_link(&input, &hard).unwrap();
    std::os::unix::fs::symlink(&input, &soft).unwrap();
    let plain = ConvertOptions::default();
    for out in [&input, &hard, &soft, &source.join("tokenizer.json")] {
        let error = convert(source.path(), out, &plain, &oarlock_convert::Silent).unwrap_err();
        assert!(error.to_string().contains("the output is one of the inputs"), "{error}");
    }
    assert_eq!(std::fs::read(&input).unwrap(), before);
    for (out, part) in [
        (source.path(), "a directory"),
        (Path::new("/dev/null"), "not a regular file"),
        (&source.join("no/such/place.oar"), "no such directory"),
    ] {
        let error = convert(source.path(), out, &plain, &oarlock_convert::Silent).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
}

/// Stops at the n-th question.
struct Impatient(AtomicUsize);

impl Progress for Impatient {
    fn cancelled(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_err()
    }
}

#[test]
fn a_cancelled_conversion_leaves_what_was_there() {
    let source = Source::of("gqa");
    let folder = TempDir::new();
    let out = folder.join("model.oar");
    std::fs::write(&out, "before").unwrap();
    for patience in [0, 1, 6, 10, 20] {
        let progress = Impatient(AtomicUsize::new(patience));
        let error = convert(source.path(), &out, &ConvertOptions::default(), &progress);
        assert!(matches!(error, Err(Error::Cancelled)), "{patience}");
        assert_eq!(std::fs::read(&out).unwrap(), b"before");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

// The command line.

fn command(args: &[&str], folder: &TempDir) -> Finished {
    run(Command::new(bin("oarlock-convert")).args(args).current_dir(folder.path()), 120)
}

#[test]
fn the_command_line_is_silent_and_names_its_output() {
    let (source, folder) = (Source::of("sharded-v4"), TempDir::new());
    let path = source.path().to_str().unwrap();
    let done = command(&["convert", path], &folder).ok();
    assert_eq!((done.text().as_str(), done.stderr.as_str()), ("", ""));
    let name = format!("{}.oar", source.path().file_name().unwrap().to_str().unwrap());
    assert!(folder.join(&name).exists(), "no {name}");
    let gguf = folder.join("a.b.gguf");
    from_directory(&Source::of("gqa")).write(&gguf);
    command(&["a.b.gguf"], &folder).ok();
    assert!(folder.join("a.b.oar").exists());
}

#[test]
fn errors_are_one_line_and_exit_2() {
    let folder = TempDir::new();
    let cases: [&[&str]; 6] = [
        &[],
        &["nowhere"],
        &["convert"],
        &["x", "--weights", "int3"],
        &["x", "-o"],
        &["x", "--bits", "4"],
    ];
    for args in cases {
        let done = command(args, &folder);
        assert_eq!((done.code(), done.text().as_str()), (2, ""), "{args:?}");
        let line = done.stderr.trim_end();
        assert!(line.starts_with("error: ") && line.ends_with(')'), "{line}");
        assert_eq!(line.lines().count(), 1, "{line}");
    }
    let help = command(&["--help"], &folder).ok();
    assert!(help.text().contains("--weights") && help.stderr.is_empty());
}

/// A model with one matrix of `rows` × 1024 zeros, which takes no space on disk.
fn large(rows: u64) -> Source {
    use std::io::{Seek, SeekFrom, Write};
    let source = Source::of("gqa");
    let width = 1024_u64;
    source.edit_json("config.json", |c| {
        for (key, v) in [("vocab_size", rows), ("hidden_size", width), ("num_hidden_layers", 1)] {
            c.insert(key.into(), json!(v));
        }
    });
    let (mut header, mut offset) = (serde_json::Map::new(), 0);
    let norms =
        ["model.norm", "model.layers.0.input_layernorm", "model.layers.0.post_attention_layernorm"];
    let mut add = |name: &str, shape: Vec<u64>| {
        let end = offset + 4 * shape.iter().product::<u64>();
        let info = json!({"dtype": "F32", "shape": shape, "data_offsets": [offset, end]});
        header.insert(format!("{name}.weight"), info);
        offset = end;
    };
    norms.iter().for_each(|name| add(name, vec![width]));
    add("model.embed_tokens", vec![rows, width]);
    for (name, shape) in [
        ("self_attn.q_proj", vec![48, width]),
        ("self_attn.k_proj", vec![24, width]),
        ("self_attn.v_proj", vec![24, width]),
        ("self_attn.o_proj", vec![width, 48]),
        ("mlp.gate_proj", vec![80, width]),
        ("mlp.up_proj", vec![80, width]),
        ("mlp.down_proj", vec![width, 80]),
    ] {
        add(&format!("model.layers.0.{name}"), shape);
    }
    let header = serde_json::Value::Object(header).to_string();
    let mut file = std::fs::File::create(source.join("model.safetensors")).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    let start = file.seek(SeekFrom::Current(0)).unwrap();
    file.set_len(start + offset).unwrap();
    source
}

#[test]
fn an_interrupt_leaves_nothing() {
    let (source, folder) = (large(65536), TempDir::new());
    let mut convert = Command::new(bin("oarlock-convert"));
    convert.arg(source.path()).args(["-o", "m.oar"]).current_dir(folder.path());
    let mut child = convert.spawn().unwrap();
    let begun = || std::fs::read_dir(folder.path()).unwrap().next().is_some();
    while !begun() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    run(Command::new("kill").args(["-INT", &child.id().to_string()]), 10).ok();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!begun(), "something is left");
}

/// Anonymous memory is limited by the system while 256 MB are converted: the bound of
/// three times the largest tensor and more is never nearly used.
#[test]
#[cfg(target_os = "linux")]
fn memory_stays_small_however_large_the_tensors() {
    let (source, folder) = (large(65536), TempDir::new());
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -d 65536; exec \"$@\"", "sh"]).arg(bin("oarlock-convert"));
    limited.arg(source.path()).args(["-o", "m.oar"]).current_dir(folder.path());
    run(&mut limited, 120).ok();
    assert!(folder.join("m.oar").exists());
}

/// Where a user may mount: a disk of 64 KiB, and a model that is larger.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_said_and_nothing_is_left() {
    let (source, folder) = (Source::of("gqa"), TempDir::new());
    let script = "mount -t tmpfs -o size=64k none \"$1\" || exit 77; \
        \"$2\" \"$3\" -o \"$1/m.oar\" --weights f32; code=$?; ls -A \"$1\"; exit $code";
    let mut shell = Command::new("unshare");
    shell.args(["-rm", "sh", "-c", script, "sh"]).arg(folder.path());
    let done = run(shell.arg(bin("oarlock-convert")).arg(source.path()), 60);
    if done.code() == 77 || done.stderr.starts_with("unshare") {
        eprintln!("this system lets users mount nothing: not tried");
        return;
    }
    assert_eq!((done.code(), done.text().as_str()), (2, ""), "{}", done.stderr);
    assert!(done.stderr.contains("the disk is full"), "{}", done.stderr);
}
