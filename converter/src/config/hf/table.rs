//! Families of Hugging Face, a row each.

use oarlock::internal::format::Activation;

use super::family::{DimensionKeys, Family};
use super::keys::{PARTIAL_ROTARY_FACTOR, ROPE_THETA};
use super::names::{
    BIGCODE_HF, BLOOM_HF, DIFFLLAMA_HF, GEMMA2_HF, GLM_HF, GLM4_HF, GPT_OSS_HF, GPT2_HF, GPTJ_HF,
    LLAMA_HF, MIXTRAL_HF, MPT_HF, NEOX_HF, OPT_HF, PHI_HF, PHI3_HF, QWEN_MOE_HF, STARCODER2_HF,
};
use super::{gated, plain, sparse};

const LLAMA_KEYS: DimensionKeys = DimensionKeys {
    hidden: &["hidden_size"],
    heads: &["num_attention_heads"],
    layers: &["num_hidden_layers"],
    ffn_hidden: &["intermediate_size"],
    four_times: false,
    context: &["max_position_embeddings"],
    activation: &["hidden_act"],
};

const LLAMA: Family = Family {
    arch: "LlamaForCausalLM",
    model_type: "llama",
    keys: &LLAMA_KEYS,
    names: &LLAMA_HF,
    activation: Activation::Silu,
    tied: false,
    head_dim: None,
    kv_heads: None,
    rotated: true,
    base: ROPE_THETA,
    theta: 10000.0,
    local_theta: None,
    part: PARTIAL_ROTARY_FACTOR,
    partial_rotary: None,
    rotary_dim: None,
    interleaved: false,
    quantization: None,
    traits: gated::llama,
};

const GEMMA: Family = Family {
    arch: "GemmaForCausalLM",
    model_type: "gemma",
    keys: &DimensionKeys { activation: &["hidden_activation", "hidden_act"], ..LLAMA_KEYS },
    activation: Activation::GeluTanh,
    tied: true,
    head_dim: Some(256),
    kv_heads: Some(16),
    traits: gated::gemma,
    ..LLAMA
};

/// The families that are converted.
pub(super) const FAMILIES: &[Family] = &[
    LLAMA,
    Family {
        arch: "MistralForCausalLM",
        model_type: "mistral",
        kv_heads: Some(8),
        traits: gated::mistral,
        ..LLAMA
    },
    Family {
        arch: "Qwen2ForCausalLM",
        model_type: "qwen2",
        kv_heads: Some(32),
        traits: gated::qwen2,
        ..LLAMA
    },
    Family {
        arch: "Qwen3ForCausalLM",
        model_type: "qwen3",
        head_dim: Some(128),
        kv_heads: Some(32),
        traits: gated::qwen3,
        ..LLAMA
    },
    Family {
        arch: "SmolLM3ForCausalLM",
        model_type: "smollm3",
        tied: true,
        kv_heads: Some(4),
        theta: 2e6,
        traits: gated::smollm3,
        ..LLAMA
    },
    Family { arch: "GraniteForCausalLM", model_type: "granite", traits: gated::granite, ..LLAMA },
    Family { arch: "Olmo2ForCausalLM", model_type: "olmo2", traits: gated::olmo2, ..LLAMA },
    Family {
        arch: "StableLmForCausalLM",
        model_type: "stablelm",
        kv_heads: Some(32),
        partial_rotary: Some(0.25),
        traits: gated::stablelm,
        ..LLAMA
    },
    Family {
        arch: "CohereForCausalLM",
        model_type: "cohere",
        tied: true,
        theta: 5e5,
        interleaved: true,
        traits: gated::cohere,
        ..LLAMA
    },
    GEMMA,
    Family {
        arch: "Gemma2ForCausalLM",
        model_type: "gemma2",
        kv_heads: Some(4),
        names: &GEMMA2_HF,
        traits: gated::gemma2,
        ..GEMMA
    },
    Family {
        arch: "Gemma3ForCausalLM",
        model_type: "gemma3_text",
        kv_heads: Some(4),
        names: &GEMMA2_HF,
        theta: 1e6,
        local_theta: Some(1e4),
        traits: gated::gemma3,
        ..GEMMA
    },
    Family {
        arch: "Phi3ForCausalLM",
        model_type: "phi3",
        names: &PHI3_HF,
        partial_rotary: Some(1.0),
        traits: gated::phi3,
        ..LLAMA
    },
    Family {
        arch: "PhiForCausalLM",
        model_type: "phi",
        names: &PHI_HF,
        activation: Activation::GeluTanh,
        partial_rotary: Some(0.5),
        traits: plain::phi,
        ..LLAMA
    },
    Family {
        arch: "GPTNeoXForCausalLM",
        model_type: "gpt_neox",
        names: &NEOX_HF,
        activation: Activation::GeluErf,
        base: "rotary_emb_base",
        part: "rotary_pct",
        partial_rotary: Some(0.25),
        traits: plain::neox,
        ..LLAMA
    },
    GPT2,
    Family {
        arch: "GPTBigCodeForCausalLM",
        model_type: "gpt_bigcode",
        names: &BIGCODE_HF,
        traits: plain::bigcode,
        ..GPT2
    },
    Family {
        arch: "GPTJForCausalLM",
        model_type: "gptj",
        names: &GPTJ_HF,
        tied: false,
        rotated: true,
        rotary_dim: Some(64),
        interleaved: true,
        traits: plain::gptj,
        ..GPT2
    },
    Family {
        arch: "Starcoder2ForCausalLM",
        model_type: "starcoder2",
        names: &STARCODER2_HF,
        activation: Activation::GeluTanh,
        tied: true,
        kv_heads: Some(2),
        traits: plain::starcoder2,
        ..LLAMA
    },
    Family {
        arch: "OPTForCausalLM",
        model_type: "opt",
        keys: &DimensionKeys {
            ffn_hidden: &["ffn_dim"],
            activation: &["activation_function"],
            ..LLAMA_KEYS
        },
        names: &OPT_HF,
        activation: Activation::Relu,
        tied: true,
        rotated: false,
        traits: plain::opt,
        ..LLAMA
    },
    Family {
        arch: "FalconForCausalLM",
        model_type: "falcon",
        keys: &DimensionKeys {
            heads: &["num_attention_heads", "n_head"],
            layers: &["num_hidden_layers", "n_layer"],
            ffn_hidden: &["ffn_hidden_size"],
            four_times: true,
            activation: &["activation"],
            ..LLAMA_KEYS
        },
        names: &BLOOM_HF,
        activation: Activation::GeluErf,
        tied: true,
        traits: plain::falcon,
        ..LLAMA
    },
    Family {
        arch: "MptForCausalLM",
        model_type: "mpt",
        keys: &DimensionKeys {
            hidden: &["d_model"],
            heads: &["n_heads"],
            layers: &["n_layers"],
            ffn_hidden: &[],
            four_times: true,
            context: &["max_seq_len"],
            activation: &[],
        },
        names: &MPT_HF,
        activation: Activation::GeluErf,
        tied: true,
        rotated: false,
        traits: plain::mpt,
        ..LLAMA
    },
    Family {
        arch: "BloomForCausalLM",
        model_type: "bloom",
        keys: &DimensionKeys {
            hidden: &["hidden_size", "n_embed"],
            heads: &["n_head", "num_attention_heads"],
            layers: &["n_layer", "num_hidden_layers"],
            ffn_hidden: &[],
            four_times: true,
            context: &["seq_length"],
            activation: &[],
        },
        names: &BLOOM_HF,
        activation: Activation::GeluTanh,
        tied: true,
        rotated: false,
        traits: plain::bloom,
        ..LLAMA
    },
    Family { arch: "OlmoForCausalLM", model_type: "olmo", traits: gated::olmo, ..LLAMA },
    Family {
        arch: "Cohere2ForCausalLM",
        model_type: "cohere2",
        tied: true,
        interleaved: true,
        traits: gated::cohere2,
        ..LLAMA
    },
    Family {
        arch: "NemotronForCausalLM",
        model_type: "nemotron",
        activation: Activation::ReluSquared,
        partial_rotary: Some(0.5),
        traits: plain::nemotron,
        ..LLAMA
    },
    GLM,
    Family {
        arch: "Glm4ForCausalLM",
        model_type: "glm4",
        names: &GLM4_HF,
        traits: gated::glm4,
        ..GLM
    },
    Family {
        arch: "HeliumForCausalLM",
        model_type: "helium",
        head_dim: Some(128),
        kv_heads: Some(20),
        theta: 1e5,
        interleaved: true,
        traits: gated::helium,
        ..LLAMA
    },
    Family {
        arch: "DiffLlamaForCausalLM",
        model_type: "diffllama",
        names: &DIFFLLAMA_HF,
        traits: gated::diffllama,
        ..LLAMA
    },
    Family {
        arch: "MixtralForCausalLM",
        model_type: "mixtral",
        kv_heads: Some(8),
        names: &MIXTRAL_HF,
        theta: 1e6,
        traits: sparse::mixtral,
        ..LLAMA
    },
    Family {
        arch: "Qwen2MoeForCausalLM",
        model_type: "qwen2_moe",
        kv_heads: Some(16),
        names: &QWEN_MOE_HF,
        traits: sparse::qwen2_moe,
        ..LLAMA
    },
    Family {
        arch: "Qwen3MoeForCausalLM",
        model_type: "qwen3_moe",
        kv_heads: Some(4),
        names: &QWEN_MOE_HF,
        traits: sparse::qwen3_moe,
        ..LLAMA
    },
    Family {
        arch: "OlmoeForCausalLM",
        model_type: "olmoe",
        names: &QWEN_MOE_HF,
        traits: sparse::olmoe,
        ..LLAMA
    },
    Family {
        arch: "GptOssForCausalLM",
        model_type: "gpt_oss",
        names: &GPT_OSS_HF,
        head_dim: Some(64),
        kv_heads: Some(8),
        theta: 1.5e5,
        quantization: Some("mxfp4"),
        traits: sparse::gpt_oss,
        ..LLAMA
    },
];

const GPT2: Family = Family {
    arch: "GPT2LMHeadModel",
    model_type: "gpt2",
    keys: &DimensionKeys {
        hidden: &["n_embd"],
        heads: &["n_head"],
        layers: &["n_layer"],
        ffn_hidden: &["n_inner"],
        four_times: true,
        context: &["n_positions", "n_ctx"],
        activation: &["activation_function"],
    },
    names: &GPT2_HF,
    activation: Activation::GeluTanh,
    tied: true,
    rotated: false,
    traits: plain::gpt2,
    ..LLAMA
};

const GLM: Family = Family {
    arch: "GlmForCausalLM",
    model_type: "glm",
    names: &GLM_HF,
    head_dim: Some(128),
    kv_heads: Some(2),
    partial_rotary: Some(0.5),
    interleaved: true,
    traits: gated::glm,
    ..LLAMA
};
