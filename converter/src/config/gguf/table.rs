//! Architectures of GGUF, a row each.

use super::architecture::Architecture;
use super::keys::{EPS, EXPERT_FFN, EXPERTS, EXPERTS_USED, LOGIT_CAP, PATTERN, SHARED_FFN, WINDOW};
use super::names::{GATE_UP_GGUF, GPT_OSS_GGUF, LLAMA_GGUF, QKV_GATE_UP_GGUF, QKV_GGUF};
use super::traits;
use crate::config::traits::Traits;

const LLAMA: Architecture = Architecture {
    arch: "llama",
    reads: &[],
    interleaved: true,
    names: [&LLAMA_GGUF, &QKV_GGUF],
    truncated: true,
    warning: None,
    traits: |_, _| Ok(Traits::default()),
};
/// Architectures whose files keep the rows of q and k in order: halves of a head are rotated
/// together.
const HALVES: Architecture = Architecture { interleaved: false, ..LLAMA };
const EXPERT_KEYS: &[&str] = &[EXPERTS, EXPERTS_USED];
const QWEN_EXPERT_KEYS: &[&str] = &[EXPERTS, EXPERTS_USED, EXPERT_FFN, SHARED_FFN];

/// The architectures that are converted.
pub(super) const ARCHITECTURES: &[Architecture] = &[
    Architecture { reads: EXPERT_KEYS, traits: traits::llama, ..LLAMA },
    Architecture { arch: "qwen2moe", reads: QWEN_EXPERT_KEYS, traits: traits::qwen2moe, ..HALVES },
    Architecture { arch: "qwen3moe", reads: QWEN_EXPERT_KEYS, traits: traits::qwen3moe, ..HALVES },
    Architecture { arch: "olmoe", reads: EXPERT_KEYS, traits: traits::olmoe, ..HALVES },
    Architecture {
        arch: "gpt-oss",
        reads: &[EXPERTS, EXPERTS_USED, EXPERT_FFN, WINDOW, PATTERN],
        names: [&GPT_OSS_GGUF, &GPT_OSS_GGUF],
        truncated: false,
        traits: traits::gpt_oss,
        ..HALVES
    },
    Architecture { arch: "qwen2", ..HALVES },
    Architecture { arch: "qwen3", traits: traits::qwen3, ..HALVES },
    Architecture { arch: "smollm3", traits: traits::smollm3, ..LLAMA },
    Architecture {
        arch: "granite",
        reads: &["embedding_scale", "residual_scale", "logit_scale"],
        traits: traits::granite,
        ..LLAMA
    },
    Architecture {
        arch: "olmo",
        reads: &[EPS, "attention.clamp_kqv"],
        traits: traits::olmo,
        ..LLAMA
    },
    Architecture { arch: "olmo2", traits: traits::olmo2, ..HALVES },
    Architecture { arch: "stablelm", reads: &[EPS], traits: traits::stablelm, ..HALVES },
    Architecture {
        arch: "command-r",
        reads: &[EPS, "logit_scale"],
        traits: traits::command_r,
        ..LLAMA
    },
    Architecture {
        arch: "cohere2",
        reads: &[EPS, "logit_scale", WINDOW, PATTERN],
        traits: traits::cohere2,
        ..LLAMA
    },
    Architecture { arch: "gemma", traits: traits::gemma, ..HALVES },
    Architecture {
        arch: "gemma2",
        reads: &["attn_logit_softcapping", LOGIT_CAP, WINDOW, PATTERN],
        traits: traits::gemma2,
        ..HALVES
    },
    Architecture {
        arch: "gemma3",
        reads: &[LOGIT_CAP, WINDOW, PATTERN, "rope.freq_base_swa"],
        traits: traits::gemma3,
        ..HALVES
    },
    Architecture { arch: "phi2", reads: &[EPS], traits: traits::phi2, ..HALVES },
    Architecture {
        arch: "phi3",
        reads: &[WINDOW, "rope.scaling.attn_factor"],
        names: [&GATE_UP_GGUF, &QKV_GATE_UP_GGUF],
        traits: traits::phi3,
        ..HALVES
    },
    Architecture {
        arch: "gptneox",
        reads: &[EPS, "use_parallel_residual"],
        traits: traits::gptneox,
        ..HALVES
    },
    Architecture { arch: "gpt2", reads: &[EPS], traits: traits::gpt2, ..HALVES },
    Architecture { arch: "starcoder", reads: &[EPS], traits: traits::gpt2, ..HALVES },
    Architecture {
        arch: "starcoder2",
        reads: &[EPS],
        warning: Some("starcoder2: GGUF does not say whether layers have a window: they get none"),
        traits: traits::starcoder2,
        ..HALVES
    },
    Architecture {
        arch: "falcon",
        reads: &[EPS, "tensor_data_layout"],
        traits: traits::falcon,
        ..HALVES
    },
    Architecture {
        arch: "mpt",
        reads: &[EPS, "attention.max_alibi_bias", "attention.clamp_kqv"],
        traits: traits::mpt,
        ..HALVES
    },
    Architecture { arch: "bloom", reads: &[EPS], traits: traits::bloom, ..HALVES },
    Architecture { arch: "nemotron", reads: &[EPS], traits: traits::nemotron, ..HALVES },
    Architecture { arch: "chatglm", names: [&GATE_UP_GGUF, &QKV_GATE_UP_GGUF], ..LLAMA },
    Architecture {
        arch: "glm4",
        names: [&GATE_UP_GGUF, &QKV_GATE_UP_GGUF],
        traits: traits::glm4,
        ..LLAMA
    },
];
