//! Architectures of GGUF, a row each.

use super::family::Family;
use super::keys::{COUNT, EPS, INNER, LOGIT_CAP, PATTERN, SHARED, USED, WINDOW};
use super::names::{GATE_UP_GGUF, GPT_OSS_GGUF, LLAMA_GGUF, QKV_GATE_UP_GGUF, QKV_GGUF};
use super::traits;
use crate::config::traits::Traits;

const LLAMA: Family = Family {
    arch: "llama",
    reads: &[],
    interleaved: true,
    names: [&LLAMA_GGUF, &QKV_GGUF],
    truncated: true,
    warning: None,
    traits: |_, _| Ok(Traits::default()),
};
/// Where nothing was reordered, halves of a head are rotated together.
const HALVES: Family = Family { interleaved: false, ..LLAMA };
const EXPERTS: &[&str] = &[COUNT, USED];
const QWEN_EXPERTS: &[&str] = &[COUNT, USED, INNER, SHARED];

/// The architectures that are converted.
pub(super) const FAMILIES: &[Family] = &[
    Family { reads: EXPERTS, traits: traits::llama, ..LLAMA },
    Family { arch: "qwen2moe", reads: QWEN_EXPERTS, traits: traits::qwen2moe, ..HALVES },
    Family { arch: "qwen3moe", reads: QWEN_EXPERTS, traits: traits::qwen3moe, ..HALVES },
    Family { arch: "olmoe", reads: EXPERTS, traits: traits::olmoe, ..HALVES },
    Family {
        arch: "gpt-oss",
        reads: &[COUNT, USED, INNER, WINDOW, PATTERN],
        names: [&GPT_OSS_GGUF, &GPT_OSS_GGUF],
        truncated: false,
        traits: traits::gpt_oss,
        ..HALVES
    },
    Family { arch: "qwen2", ..HALVES },
    Family { arch: "qwen3", traits: traits::qwen3, ..HALVES },
    Family { arch: "smollm3", traits: traits::smollm3, ..LLAMA },
    Family {
        arch: "granite",
        reads: &["embedding_scale", "residual_scale", "logit_scale"],
        traits: traits::granite,
        ..LLAMA
    },
    Family { arch: "olmo", reads: &[EPS, "attention.clamp_kqv"], traits: traits::olmo, ..LLAMA },
    Family { arch: "olmo2", traits: traits::olmo2, ..HALVES },
    Family { arch: "stablelm", reads: &[EPS], traits: traits::stablelm, ..HALVES },
    Family { arch: "command-r", reads: &[EPS, "logit_scale"], traits: traits::command_r, ..LLAMA },
    Family {
        arch: "cohere2",
        reads: &[EPS, "logit_scale", WINDOW, PATTERN],
        traits: traits::cohere2,
        ..LLAMA
    },
    Family { arch: "gemma", traits: traits::gemma, ..HALVES },
    Family {
        arch: "gemma2",
        reads: &["attn_logit_softcapping", LOGIT_CAP, WINDOW, PATTERN],
        traits: traits::gemma2,
        ..HALVES
    },
    Family {
        arch: "gemma3",
        reads: &[LOGIT_CAP, WINDOW, PATTERN, "rope.freq_base_swa"],
        traits: traits::gemma3,
        ..HALVES
    },
    Family { arch: "phi2", reads: &[EPS], traits: traits::phi2, ..HALVES },
    Family {
        arch: "phi3",
        reads: &[WINDOW, "rope.scaling.attn_factor"],
        names: [&GATE_UP_GGUF, &QKV_GATE_UP_GGUF],
        traits: traits::phi3,
        ..HALVES
    },
    Family {
        arch: "gptneox",
        reads: &[EPS, "use_parallel_residual"],
        traits: traits::gptneox,
        ..HALVES
    },
    Family { arch: "gpt2", reads: &[EPS], traits: traits::gpt2, ..HALVES },
    Family { arch: "starcoder", reads: &[EPS], traits: traits::gpt2, ..HALVES },
    Family {
        arch: "starcoder2",
        reads: &[EPS],
        warning: Some("starcoder2: GGUF does not say whether layers have a window: they get none"),
        traits: traits::starcoder2,
        ..HALVES
    },
    Family {
        arch: "falcon",
        reads: &[EPS, "tensor_data_layout"],
        traits: traits::falcon,
        ..HALVES
    },
    Family {
        arch: "mpt",
        reads: &[EPS, "attention.max_alibi_bias", "attention.clamp_kqv"],
        traits: traits::mpt,
        ..HALVES
    },
    Family { arch: "bloom", reads: &[EPS], traits: traits::bloom, ..HALVES },
    Family { arch: "nemotron", reads: &[EPS], traits: traits::nemotron, ..HALVES },
    Family { arch: "chatglm", names: [&GATE_UP_GGUF, &QKV_GATE_UP_GGUF], ..LLAMA },
    Family {
        arch: "glm4",
        names: [&GATE_UP_GGUF, &QKV_GATE_UP_GGUF],
        traits: traits::glm4,
        ..LLAMA
    },
];
