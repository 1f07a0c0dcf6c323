//! Refusals of a conversion, by name.

use std::path::Path;

use oarlock::internal::format::layout::WeightType;
use oarlock_convert::{ConvertOptions, OutputMatrix, Silent, Weights, convert};
use oarlock_tests::TempDir;
use serde_json::json;

use crate::gguf::{self, F32, Q4_0};
use crate::published::from_directory;
use crate::source::{Source, Tensor, refusal};
use crate::values::options;

#[test]
fn configs_that_change_the_mathematics_are_refused() {
    let cases = [
        (
            "architectures",
            json!(["MambaForCausalLM"]),
            "known: LlamaForCausalLM, MistralForCausalLM",
        ),
        (
            "architectures",
            json!(["DeepseekV3ForCausalLM"]),
            "architecture DeepseekV3ForCausalLM has latent attention, which is not supported",
        ),
        ("architectures", json!(["DeepseekV2ForCausalLM"]), "latent attention"),
        ("architectures", json!([]), "does not name exactly one"),
        ("model_type", json!("mistral"), "model_type"),
        ("hidden_act", json!("tanh"), "hidden_act is \"tanh\""),
        ("logit_scale", json!(0.5), "unknown key logit_scale"),
        ("quantization_config", json!({"bits": 4}), "quantization_config"),
        ("sliding_window", json!(128), "unknown key sliding_window"),
        ("partial_rotary_factor", json!(0.5), "partial_rotary_factor"),
        ("rope_parameters", json!({"rope_type": "ntk"}), "rope type \"ntk\""),
        ("rope_parameters", json!({"rope_type": "longrope"}), "short_factor is no list"),
        (
            "rope_parameters",
            json!({"rope_type": "yarn", "factor": 2, "original_max_position_embeddings": 32,
                "rope_theta": 1.0}),
            "no frequencies can be made",
        ),
        (
            "rope_parameters",
            json!({"rope_type": "yarn", "factor": 2, "original_max_position_embeddings": 32,
                "rope_theta": -1.0}),
            "rope theta of -1",
        ),
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

/// Options that a family could have and none that was published has, by name.
#[test]
fn options_inside_a_family_are_refused() {
    let cases = [
        ("stablelm", "qk_layernorm", json!(true), "qk_layernorm is true"),
        ("phi2", "qk_layernorm", json!(true), "qk_layernorm is true"),
        ("gpt2", "scale_attn_by_inverse_layer_idx", json!(true), "scale_attn_by_inverse_layer_idx"),
        ("gpt2", "activation_function", json!("mish"), "activation_function is \"mish\""),
        ("opt", "do_layer_norm_before", json!(false), "do_layer_norm_before is false"),
        ("opt", "word_embed_proj_dim", json!(24), "word_embed_proj_dim is 24"),
        ("mpt", "no_bias", json!(false), "no_bias is false"),
        ("mpt", "attn_config", json!({"qk_ln": true}), "qk_ln is true"),
        ("mpt", "attn_config", json!({"rope": true}), "unknown key rope"),
        (
            "bloom",
            "apply_residual_connection_post_layernorm",
            json!(true),
            "post_layernorm is true",
        ),
        ("gemma3", "use_bidirectional_attention", json!(true), "use_bidirectional_attention"),
        ("gemma2", "layer_types", json!(["chunked_attention"]), "chunked_attention"),
        ("gemma2", "sliding_window", json!(null), "sliding_window is missing"),
        ("gemma2", "final_logit_softcapping", json!(-1.0), "final_logit_softcapping is -1"),
        ("falcon-40b", "parallel_attn", json!(false), "no published model"),
        ("phi3", "sliding_window", json!(-1), "sliding_window is -1"),
        ("phi3", "attention_bias", json!(true), "attention_bias is true"),
        ("starcoder2", "norm_type", json!("rms_norm"), "norm_type is \"rms_norm\""),
        ("starcoder2", "mlp_type", json!("gated"), "mlp_type is \"gated\""),
        ("cohere2", "order_of_interleaved_layers", json!("global_first"), "global_first"),
        ("gptj", "rotary", json!(false), "rotary is false"),
        ("gqa", "rope_scaling", json!({"type": "linear", "factor": 2}), "rope_scaling differ"),
        ("diffllama", "num_key_value_heads", json!(1), "takes them in pairs"),
        ("mixtral", "num_experts", json!(6), "num_local_experts and num_experts differ"),
        ("mixtral", "num_local_experts", json!(4), "gate.weight: a shape of [5, 48]"),
        ("mixtral", "num_experts_per_tok", json!(6), "n_experts_used"),
        ("mixtral-stacked", "intermediate_size", json!(20), "wants [4, 40, 48]"),
        ("olmoe", "clip_qkv", json!(-8.0), "clip_qkv is -8"),
        ("qwen2-moe", "mlp_only_layers", json!([0, 1, 2, 3]), "no layer has experts"),
        ("qwen2-moe", "mlp_only_layers", json!(["1"]), "not a list of layers"),
        ("qwen2-moe", "decoder_sparse_step", json!(1), "layers.0.mlp.gate.weight"),
        ("qwen3-moe", "moe_intermediate_size", json!(24), "wants [24, 40]"),
        ("qwen3-moe", "use_qk_norm", json!(false), "use_qk_norm is false"),
        ("qwen3-moe", "qkv_bias", json!(true), "qkv_bias is true"),
        ("qwen3-moe", "shared_expert_intermediate_size", json!(20), "only 0 is supported"),
        ("gpt-oss", "experts_per_token", json!(3), "experts_per_token differ"),
        ("gpt-oss", "rope_parameters", json!(null), "rope_scaling is missing"),
        ("gpt-oss", "swiglu_limit", json!(0.0), "gate_limit"),
        ("gpt-oss", "intermediate_size", json!(24), "wants [5, 48, 48]"),
        ("gpt-oss-mxfp4", "intermediate_size", json!(64), "wants [4, 128, 2, 16]"),
        ("gpt-oss-mxfp4", "quantization_config", json!({"quant_method": "awq"}), "quantized"),
        ("gqa", "quantization_config", json!({"quant_method": "mxfp4"}), "quantized safetensors"),
    ];
    for (name, key, value, part) in cases {
        let source = Source::of(name);
        source.set(key, value);
        let line = source.refusal();
        assert!(line.contains(part), "{name}, {key}: {line}");
    }
}

/// Keys of files as their authors published them, which the class of today does not write.
#[test]
fn keys_of_published_files_are_known() {
    let cases = [
        ("bloom", "offset_alibi", json!(100)),
        ("bloom", "skip_bias_add", json!(true)),
        ("bloom", "unk_token_id", json!(0)),
        ("opt", "activation_dropout", json!(0.0)),
        ("phi3", "auto_map", json!({"AutoConfig": "configuration_phi3.Phi3Config"})),
        ("phi3", "attention_bias", json!(false)),
        ("starcoder2", "norm_type", json!("layer_norm")),
        ("starcoder2", "mlp_type", json!("default")),
        ("cohere2", "order_of_interleaved_layers", json!("local_attn_first")),
        ("gpt2", "predict_special_tokens", json!(true)),
        ("gptj", "gradient_checkpointing", json!(false)),
        ("mpt", "architectures", json!(["MPTForCausalLM"])),
        ("qwen3-moe", "use_qk_norm", json!(true)),
        ("qwen3-moe", "qkv_bias", json!(false)),
        ("qwen3-moe", "shared_expert_intermediate_size", json!(0)),
    ];
    for (name, key, value) in cases {
        let source = Source::of(name);
        source.set(key, value);
        assert!(source.convert(&options(WeightType::F32)).is_ok(), "{name}, {key}");
    }
}

/// A window in every layer, or none: the class takes 4096 where the file is silent.
#[test]
fn a_window_that_is_not_said_is_asked_for() {
    let source = Source::of("mistral");
    source.edit_json("config.json", |config| drop(config.remove("sliding_window")));
    assert!(source.refusal().contains("sliding_window is missing"));
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
        ("dtype I65 is not known", Box::new(|s| s.edit_tensors(|t| t[0].1.0 = "I65".into()))),
        ("weights in I32", Box::new(|s| s.edit_tensors(|t| t[0].1.0 = "I32".into()))),
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
    ];
    for (part, edit) in cases {
        let source = Source::of("gqa");
        edit(&source);
        let line = source.refusal();
        assert!(line.contains(part), "{part}: {line}");
    }
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

/// The vectors that λ of differential attention is made of.
#[test]
fn lambda_must_be_whole_and_finite() {
    type Edit = Box<dyn FnOnce(&mut Tensor)>;
    let cases: [(&str, &str, Edit); 3] = [
        ("lambda_q1: the tensor is missing", "q1", Box::new(|t| t.0 = "gone".into())),
        ("lambda_k2: a shape of [5, 2]", "k2", Box::new(|t| t.1 = vec![5, 2])),
        (
            "lambda of layer 1: a weight is NaN",
            "q2",
            Box::new(|t| t.2[..2].copy_from_slice(&[0xC0, 0x7F])),
        ),
    ];
    for (part, vector, edit) in cases {
        let source = Source::of("diffllama");
        source.edit_tensors(|tensors| {
            let name = format!("model.layers.1.self_attn.lambda_{vector}");
            let at = tensors.iter().position(|(n, _)| *n == name).unwrap();
            edit(&mut tensors[at].1);
            tensors.retain(|(_, tensor)| tensor.0 != "gone");
        });
        let line = source.refusal();
        assert!(line.contains(part), "{part}: {line}");
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
        ("known in GGUF: llama", Box::new(|b| b.str("general.architecture", "minimax-m2"))),
        (
            "architecture deepseek2 has latent attention, which is not supported",
            Box::new(|b| b.str("general.architecture", "deepseek2")),
        ),
        (
            "llama.expert_used_count: the key is missing",
            Box::new(|b| b.u32("llama.expert_count", 8)),
        ),
        ("llama.logit_scale: unknown key", Box::new(|b| b.f32("llama.logit_scale", 0.5))),
        ("known: none, linear, yarn", Box::new(|b| b.str("llama.rope.scaling.type", "su"))),
        ("scaling.factor: not a positive", Box::new(|b| b.str("llama.rope.scaling.type", "yarn"))),
        ("none beside a factor", Box::new(|b| b.f32("llama.rope.scaling.factor", 2.0))),
        ("llama.block_count", Box::new(|b| b.str("llama.block_count", "2"))),
        ("pre", Box::new(|b| b.str("tokenizer.ggml.pre", "mystery"))),
        ("type IQ2_XXS is not known", Box::new(|b| b.tensor("blk.0.ffn_up.weight").1 = 16)),
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
    let cases: Vec<(&str, &str, Edit)> = vec![
        ("falcon-11b", "Falcon 2, whose rotary base GGUF does not have", Box::new(|_| ())),
        (
            "falcon-7b",
            "only jploski is known",
            Box::new(|b| b.str("falcon.tensor_data_layout", "")),
        ),
        (
            "mpt",
            "max_alibi_bias: it is 0",
            Box::new(|b| b.f32("mpt.attention.max_alibi_bias", 0.0)),
        ),
        (
            "cohere2",
            "no layer has a window",
            Box::new(|b| b.u32("cohere2.attention.sliding_window", 0)),
        ),
        (
            "gemma3",
            "pattern: it names 0 of 4 layers",
            Box::new(|b| b.i32s("gemma3.attention.sliding_window_pattern", &[1, 1])),
        ),
        (
            "phi3",
            "attn_factor: it is -1",
            Box::new(|b| b.f32("phi3.rope.scaling.attn_factor", -1.0)),
        ),
        (
            "phi3",
            "rope_factors_long.weight: F32 of shape [5]",
            Box::new(|b| b.tensor("rope_factors_long.weight").2[0] = 5),
        ),
        (
            "bloom",
            "attn_norm.weight: the tensor is missing",
            Box::new(|b| {
                b.tensors.retain(|t| !t.0.ends_with("attn_norm.weight"));
            }),
        ),
    ];
    for (name, part, edit) in cases {
        let mut builder = from_directory(&Source::of(name));
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
        let _ = convert(&path, &folder.join("out.oar"), &ConvertOptions::default(), &Silent);
    }
}

#[test]
fn keep_needs_a_gguf() {
    let source = Source::of("gqa");
    let keep = ConvertOptions { weights: Some(Weights::Keep), ..ConvertOptions::default() };
    assert!(refusal(source.path(), &keep).starts_with("--weights keep: the source is no GGUF"));
    let keep = ConvertOptions {
        output_matrix: Some(OutputMatrix::Own(Weights::Keep)),
        ..ConvertOptions::default()
    };
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
        let error = convert(source.path(), out, &plain, &Silent).unwrap_err();
        assert!(error.to_string().contains("the output is one of the inputs"), "{error}");
    }
    assert_eq!(std::fs::read(&input).unwrap(), before);
    for (out, part) in [
        (source.path(), "a directory"),
        (Path::new("/dev/null"), "not a regular file"),
        (&source.join("no/such/place.oar"), "no such directory"),
    ] {
        let error = convert(source.path(), out, &plain, &Silent).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
}
