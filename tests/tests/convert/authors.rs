//! The keys of published `config.json` files of models with experts, written down as they are
//! remembered (the files themselves were not at hand), with the sizes of a tiny model.

use oarlock::Model;
use oarlock::internal::format::layout::WeightType;
use oarlock::internal::format::{Config, Routing};
use serde_json::{Value, json};

use crate::source::Source;
use crate::values::options;

/// Keys that keep the tiny model's values: its tensors have these sizes.
const SIZES: &[&str] = &[
    "decoder_sparse_step",
    "head_dim",
    "hidden_size",
    "intermediate_size",
    "mlp_only_layers",
    "moe_intermediate_size",
    "num_attention_heads",
    "num_experts_per_tok",
    "num_hidden_layers",
    "num_key_value_heads",
    "shared_expert_intermediate_size",
    "vocab_size",
];

/// The configuration made of a published config.
fn config(name: &str, published: &Value) -> Config {
    let source = Source::of(name);
    source.edit_json("config.json", |config| {
        config.retain(|key, _| SIZES.contains(&key.as_str()));
        let published = published.as_object().unwrap();
        config.extend(published.iter().map(|(key, value)| (key.clone(), value.clone())));
    });
    let file = source.convert(&options(WeightType::F32)).unwrap_or_else(|e| panic!("{name}: {e}"));
    *Model::open(&file).unwrap().config()
}

#[test]
fn mixtral_8x7b_is_read() {
    let published = json!({
        "architectures": ["MixtralForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 1,
        "eos_token_id": 2, "hidden_act": "silu", "initializer_range": 0.02,
        "max_position_embeddings": 32768, "model_type": "mixtral", "num_local_experts": 5,
        "output_router_logits": false, "rms_norm_eps": 1e-05, "rope_theta": 1000000.0,
        "router_aux_loss_coef": 0.02, "sliding_window": null, "tie_word_embeddings": false,
        "torch_dtype": "bfloat16", "transformers_version": "4.36.0.dev0", "use_cache": true
    });
    let config = config("mixtral", &published);
    assert_eq!((config.routing, config.window), (Routing::Chosen, 0));
}

#[test]
fn qwen15_moe_a27b_is_read() {
    let published = json!({
        "architectures": ["Qwen2MoeForCausalLM"], "attention_dropout": 0.0,
        "bos_token_id": 151643, "eos_token_id": 151643, "hidden_act": "silu",
        "initializer_range": 0.02, "max_position_embeddings": 8192, "max_window_layers": 21,
        "model_type": "qwen2_moe", "norm_topk_prob": false, "num_experts": 5,
        "output_router_logits": false, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0,
        "router_aux_loss_coef": 0.001, "sliding_window": 32768, "tie_word_embeddings": false,
        "torch_dtype": "bfloat16", "transformers_version": "4.39.0.dev0", "use_cache": true,
        "use_sliding_window": false
    });
    let config = config("qwen2-moe", &published);
    assert_eq!((config.routing, config.window), (Routing::All, 0));
}

#[test]
fn qwen3_30b_a3b_is_read() {
    let mut published = json!({
        "architectures": ["Qwen3MoeForCausalLM"], "attention_bias": false,
        "attention_dropout": 0.0, "bos_token_id": 151643, "eos_token_id": 151645,
        "hidden_act": "silu", "initializer_range": 0.02, "max_position_embeddings": 40960,
        "max_window_layers": 48, "model_type": "qwen3_moe", "norm_topk_prob": true,
        "num_experts": 9, "output_router_logits": false, "rms_norm_eps": 1e-06,
        "rope_scaling": null, "rope_theta": 1000000.0, "router_aux_loss_coef": 0.001,
        "sliding_window": null, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
        "transformers_version": "4.51.0", "use_cache": true, "use_sliding_window": false
    });
    let general = config("qwen3-moe", &published);
    assert_eq!((general.routing, general.window), (Routing::Chosen, 0));
    // Qwen3-Coder says that it has nothing of Qwen2-MoE.
    for (key, value) in [
        ("qkv_bias", json!(false)),
        ("shared_expert_intermediate_size", json!(0)),
        ("use_qk_norm", json!(true)),
    ] {
        published[key] = value;
    }
    assert_eq!(config("qwen3-moe", &published), general);
}

#[test]
fn olmoe_1b_7b_is_read() {
    let published = json!({
        "architectures": ["OlmoeForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
        "clip_qkv": null, "eos_token_id": 50279, "hidden_act": "silu", "initializer_range": 0.02,
        "max_position_embeddings": 4096, "model_type": "olmoe", "norm_topk_prob": false,
        "num_experts": 8, "output_router_logits": false, "pad_token_id": 1, "rms_norm_eps": 1e-05,
        "rope_scaling": null, "rope_theta": 10000.0, "router_aux_loss_coef": 0.01,
        "tie_word_embeddings": false, "torch_dtype": "bfloat16",
        "transformers_version": "4.43.0.dev0", "use_cache": true
    });
    assert_eq!(config("olmoe", &published).routing, Routing::All);
}

#[test]
fn gpt_oss_20b_is_read() {
    let published = json!({
        "architectures": ["GptOssForCausalLM"], "attention_bias": true, "attention_dropout": 0.0,
        "eos_token_id": 200002, "experts_per_token": 2, "hidden_act": "silu",
        "initial_context_length": 4096, "initializer_range": 0.02,
        "layer_types": ["sliding_attention", "full_attention"],
        "max_position_embeddings": 131072, "model_type": "gpt_oss", "num_local_experts": 4,
        "output_router_logits": false, "pad_token_id": 199999,
        "quantization_config": {
            "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router",
                "model.embed_tokens", "lm_head"],
            "quant_method": "mxfp4"
        },
        "rms_norm_eps": 1e-05,
        "rope_scaling": {
            "beta_fast": 32.0, "beta_slow": 1.0, "factor": 32.0,
            "original_max_position_embeddings": 4096, "rope_type": "yarn", "truncate": false
        },
        "rope_theta": 150000, "router_aux_loss_coef": 0.9, "sliding_window": 128,
        "swiglu_limit": 7.0, "tie_word_embeddings": false,
        "transformers_version": "4.55.0.dev0", "use_cache": true
    });
    let config = config("gpt-oss-mxfp4", &published);
    let clamped = config.clamped.map(|c| (c.slope, c.limit));
    assert_eq!((clamped, config.window), (Some((1.702, 7.0)), 128));
}
