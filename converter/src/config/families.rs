//! What sets the families of Hugging Face apart from each other: options of one decoder.

mod gated;
mod plain;
pub(super) mod shared;
mod sparse;

use oarlock::internal::format::{Activation, Config};
use serde_json::Value;

use super::keys::Keys;
use super::{Biases, Gains};
use crate::error::Result;
use crate::names::{
    BIGCODE_HF, BLOOM_HF, DIFFLLAMA_HF, GEMMA2_HF, GLM_HF, GLM4_HF, GPT_OSS_HF, GPT2_HF, GPTJ_HF,
    LLAMA_HF, MIXTRAL_HF, MPT_HF, NEOX_HF, Names, OPT_HF, PHI_HF, PHI3_HF, QWEN_MOE_HF,
    STARCODER2_HF,
};

/// A family, by the name of its class.
pub(super) struct Family {
    pub arch: &'static str,
    pub model_type: &'static str,
    /// What it calls dimensions.
    pub words: &'static Words,
    /// What it calls tensors.
    pub names: &'static Names,
    /// The non-linearity where the config does not name it.
    pub activation: Activation,
    /// Whether the output matrix is the embedding where the config says nothing.
    pub tied: bool,
    /// Size of a head where the config says nothing of it, if not a share of the hidden one.
    pub head_dim: Option<usize>,
    /// Key and value heads where the config says nothing of them, if not as many as of queries.
    pub kv_heads: Option<usize>,
    /// Whether queries and keys are rotated.
    pub rotated: bool,
    /// What the base of rotary frequencies is called outside of their own object.
    pub base: &'static str,
    /// It, where the config does not have it.
    pub theta: f64,
    /// The same of layers with a window, where those have their own.
    pub local_theta: Option<f64>,
    /// What the rotated part of a head is called outside of that object.
    pub part: &'static str,
    /// It, where the config does not say, if it may be less than all.
    pub partial_rotary: Option<f64>,
    /// Elements of a head that are rotated where `rotary_dim` is not there, in a family that
    /// reads nothing else of rotary positions.
    pub rotary_dim: Option<usize>,
    /// Whether elements (2i, 2i + 1) are rotated together, and not (i, i + half).
    pub interleaved: bool,
    /// The one `quantization_config` that is read, by its method.
    pub quantization: Option<&'static str>,
    /// Sets the family's options, and reads the keys that it does not share with others.
    pub traits: fn(&Keys<'_>, &mut Config, &mut Vec<String>) -> Result<Traits>,
}

impl Family {
    /// The activation of this name.
    pub fn activation_of(&self, name: &Value) -> Option<Activation> {
        Some(match name.as_str()? {
            "silu" | "swish" => Activation::Silu,
            // The first files of Gemma have it so, and mean the other.
            "gelu" if self.arch == "GemmaForCausalLM" => Activation::GeluTanh,
            "gelu" | "gelu_python" => Activation::GeluErf,
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Activation::GeluTanh,
            "relu" => Activation::Relu,
            "relu2" => Activation::ReluSquared,
            _ => return None,
        })
    }
}

/// What a config calls dimensions; where there are several words, the first that is there.
pub(super) struct Words {
    pub hidden: &'static [&'static str],
    pub heads: &'static [&'static str],
    pub layers: &'static [&'static str],
    pub inner: &'static [&'static str],
    /// Whether the inner dimension is four times the hidden one where it is not there.
    pub four_times: bool,
    pub context: &'static [&'static str],
    pub activation: &'static [&'static str],
}

const WORDS: Words = Words {
    hidden: &["hidden_size"],
    heads: &["num_attention_heads"],
    layers: &["num_hidden_layers"],
    inner: &["intermediate_size"],
    four_times: false,
    context: &["max_position_embeddings"],
    activation: &["hidden_act"],
};

/// What the config section of the file has no place for.
#[derive(Debug, Default)]
pub(super) struct Traits {
    pub biases: Biases,
    /// Layers without rotation; those beyond have it.
    pub no_rope: Vec<bool>,
    /// Layers with a window; those beyond have none.
    pub local: Vec<bool>,
    /// Layers with experts; those beyond have none.
    pub sparse: Vec<bool>,
    pub gains: Gains,
    /// Of linear biases.
    pub slopes: Vec<f32>,
    /// What tensors are called, if not as in all of the family.
    pub names: Option<&'static Names>,
}

pub(super) const ROPE_THETA: &str = "rope_theta";
pub(super) const PARTIAL_ROTARY_FACTOR: &str = "partial_rotary_factor";

const LLAMA: Family = Family {
    arch: "LlamaForCausalLM",
    model_type: "llama",
    words: &WORDS,
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
    words: &Words { activation: &["hidden_activation", "hidden_act"], ..WORDS },
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
        words: &Words { inner: &["ffn_dim"], activation: &["activation_function"], ..WORDS },
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
        words: &Words {
            heads: &["num_attention_heads", "n_head"],
            layers: &["num_hidden_layers", "n_layer"],
            inner: &["ffn_hidden_size"],
            four_times: true,
            activation: &["activation"],
            ..WORDS
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
        words: &Words {
            hidden: &["d_model"],
            heads: &["n_heads"],
            layers: &["n_layers"],
            inner: &[],
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
        words: &Words {
            hidden: &["hidden_size", "n_embed"],
            heads: &["n_head", "num_attention_heads"],
            layers: &["n_layer", "num_hidden_layers"],
            inner: &[],
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
    words: &Words {
        hidden: &["n_embd"],
        heads: &["n_head"],
        layers: &["n_layer"],
        inner: &["n_inner"],
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
