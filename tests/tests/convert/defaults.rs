//! Keys that a config leaves out: what the class of `transformers` 5.23 takes then.

use oarlock::Model;
use oarlock::internal::format::layout::WeightType;
use serde_json::{Value, json};

use crate::source::Source;
use crate::values::options;

/// The configuration made of a config in which `key` has this value, or is not there.
fn made(
    name: &str,
    key: &str,
    value: Option<&Value>,
) -> (oarlock::internal::format::Config, Vec<u64>) {
    let source = Source::of(name);
    source.edit_json("config.json", |config| match value {
        Some(value) => drop(config.insert(key.into(), value.clone())),
        None => drop(config.remove(key)),
    });
    let file = source.convert(&options(WeightType::F32)).unwrap();
    let model = Model::open(&file).unwrap();
    (*model.config(), model.rope(false, 2).phases.to_vec())
}

#[test]
fn an_absent_key_is_as_the_default_of_its_class() {
    let cases = [
        ("gqa", "rms_norm_eps", json!(1e-6)),
        ("gemma2", "rms_norm_eps", json!(1e-6)),
        ("granite", "rms_norm_eps", json!(1e-6)),
        ("phi3", "rms_norm_eps", json!(1e-5)),
        ("olmo2", "rms_norm_eps", json!(1e-5)),
        ("helium", "rms_norm_eps", json!(1e-8)),
        ("glm4", "rms_norm_eps", json!(1.5625e-7)),
        ("diffllama", "rms_norm_eps", json!(1e-5)),
        ("stablelm", "layer_norm_eps", json!(1e-5)),
        ("cohere", "logit_scale", json!(0.0625)),
        ("cohere2", "logit_scale", json!(0.0625)),
        ("smollm3", "rope_parameters", json!({"rope_theta": 2e6})),
        ("cohere", "rope_parameters", json!({"rope_theta": 5e5})),
        ("cohere2", "rope_parameters", json!({"rope_theta": 1e4})),
        ("helium", "rope_parameters", json!({"rope_theta": 1e5})),
        ("phi2", "rope_parameters", json!({"rope_theta": 1e4, "partial_rotary_factor": 0.5})),
        ("gpt-neox", "rotary_pct", json!(0.25)),
        ("glm", "num_key_value_heads", json!(2)),
        ("mixtral", "rms_norm_eps", json!(1e-5)),
        ("mixtral", "rope_parameters", json!({"rope_theta": 1e6})),
        ("qwen2-moe", "rms_norm_eps", json!(1e-6)),
        ("qwen2-moe", "norm_topk_prob", json!(false)),
        ("qwen3-moe", "rms_norm_eps", json!(1e-6)),
        ("olmoe", "rms_norm_eps", json!(1e-5)),
        ("gpt-oss", "rms_norm_eps", json!(1e-5)),
        ("gpt-oss", "swiglu_alpha", json!(1.702)),
        ("gpt-oss", "swiglu_limit", json!(7.0)),
        ("gpt-oss", "attention_bias", json!(true)),
    ];
    for (name, key, value) in cases {
        assert_eq!(made(name, key, None), made(name, key, Some(&value)), "{name}, {key}");
    }
}

/// Keys whose default in the class cannot be the model's: the file has to say.
#[test]
fn defaults_that_cannot_be_are_refused() {
    let cases = [
        ("gptj", "rotary_dim", "rot_dim"),
        ("mistral", "num_key_value_heads", "cannot share 8"),
        ("gemma", "head_dim", "where the config wants [1024, 48]"),
    ];
    for (name, key, part) in cases {
        let source = Source::of(name);
        source.edit_json("config.json", |config| drop(config.remove(key)));
        let line = source.refusal();
        assert!(line.contains(part), "{name}, {key}: {line}");
    }
}

/// Keys of another family, and keys that say the opposite of what the class reads.
#[test]
fn keys_that_a_class_does_not_read_are_refused() {
    let kinds = |kind: &str| json!([kind, kind]);
    let cases = [
        ("gqa", "rotary_dim", json!(8), "unknown key rotary_dim"),
        ("diffllama", "mlp_bias", json!(false), "unknown key mlp_bias"),
        ("gqa", "rotary_emb_base", json!(100.0), "unknown key rotary_emb_base"),
        ("phi2", "rotary_pct", json!(0.25), "unknown key rotary_pct"),
        ("gqa", "rotary_pct", json!(0.25), "rotary_pct is 0.25"),
        ("gpt2", "rope_theta", json!(100.0), "unknown key rope_theta"),
        ("gptj", "rope_theta", json!(100.0), "unknown key rope_theta"),
        ("gptj", "rotary_dim", json!(null), "rotary_dim is missing"),
        ("gpt-neox", "rope_theta", json!(100.0), "rope_theta is not rotary_emb_base"),
        ("gpt-neox", "partial_rotary_factor", json!(0.5), "is not rotary_pct, which is 0.25"),
        ("mistral", "layer_types", kinds("sliding_attention"), "sliding_window is missing"),
        ("mistral-window", "layer_types", kinds("full_attention"), "layer_types says another"),
        (
            "phi3",
            "layer_types",
            json!(["full_attention", "sliding_attention"]),
            "layer_types says another",
        ),
        ("starcoder2", "layer_types", kinds("full_attention"), "layer_types says another"),
        ("mixtral", "layer_types", kinds("full_attention"), "layer_types says another"),
        (
            "gemma3",
            "rope_parameters",
            json!({"full_attention": {}, "sliding_attention": {}, "factor": 8.0}),
            "unknown key factor",
        ),
        (
            "gemma3",
            "rope_parameters",
            json!({"rope_type": "linear", "factor": 8.0}),
            "rope_parameters: unknown key",
        ),
    ];
    for (name, key, value, part) in cases {
        let source = Source::of(name);
        source.set(key, value);
        let line = source.refusal();
        assert!(line.contains(part), "{name}, {key}: {line}");
    }
}

/// The spelling of Gemma 3's first files.
#[test]
fn gemma3_has_an_older_spelling() {
    let new = Source::of("gemma3");
    let old = Source::of("gemma3");
    old.edit_json("config.json", |config| {
        config.remove("rope_parameters");
        config.insert("rope_scaling".into(), json!({"rope_type": "linear", "factor": 8.0}));
        config.insert("rope_theta".into(), json!(50000.0));
        config.insert("rope_local_base_freq".into(), json!(300.0));
    });
    let [new, old] = [new, old].map(|source| source.convert(&options(WeightType::F32)).unwrap());
    let (new, old) = (Model::open(&new).unwrap(), Model::open(&old).unwrap());
    for local in [false, true] {
        assert_eq!(new.rope(local, 2).phases, old.rope(local, 2).phases);
    }
}
