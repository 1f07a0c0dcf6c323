//! Names in GGUF.

use oarlock::internal::format::Role;

use crate::config::names::{Names, Qkv};

/// Architecture `llama` of GGUF, and those that follow it.
pub const LLAMA_GGUF: Names = Names {
    roles: &[
        (Role::Embedding, "token_embd.weight"),
        (Role::EmbeddingNorm, "token_embd_norm.weight"),
        (Role::EmbeddingNormBias, "token_embd_norm.bias"),
        (Role::Positions, "position_embd.weight"),
        (Role::AttnNorm, "blk.{}.attn_norm.weight"),
        (Role::AttnNormBias, "blk.{}.attn_norm.bias"),
        (Role::Q, "blk.{}.attn_q.weight"),
        (Role::QBias, "blk.{}.attn_q.bias"),
        (Role::QNorm, "blk.{}.attn_q_norm.weight"),
        (Role::K, "blk.{}.attn_k.weight"),
        (Role::KBias, "blk.{}.attn_k.bias"),
        (Role::KNorm, "blk.{}.attn_k_norm.weight"),
        (Role::V, "blk.{}.attn_v.weight"),
        (Role::VBias, "blk.{}.attn_v.bias"),
        (Role::O, "blk.{}.attn_output.weight"),
        (Role::OBias, "blk.{}.attn_output.bias"),
        (Role::AttnAfterNorm, "blk.{}.post_attention_norm.weight"),
        (Role::FfnNorm, "blk.{}.ffn_norm.weight"),
        (Role::FfnNormBias, "blk.{}.ffn_norm.bias"),
        (Role::Gate, "blk.{}.ffn_gate.weight"),
        (Role::GateBias, "blk.{}.ffn_gate.bias"),
        (Role::Up, "blk.{}.ffn_up.weight"),
        (Role::UpBias, "blk.{}.ffn_up.bias"),
        (Role::Down, "blk.{}.ffn_down.weight"),
        (Role::DownBias, "blk.{}.ffn_down.bias"),
        (Role::FfnAfterNorm, "blk.{}.post_ffw_norm.weight"),
        (Role::Router, "blk.{}.ffn_gate_inp.weight"),
        (Role::ExpertGate, "blk.{}.ffn_gate_exps.weight"),
        (Role::ExpertUp, "blk.{}.ffn_up_exps.weight"),
        (Role::ExpertDown, "blk.{}.ffn_down_exps.weight"),
        (Role::SharedRouter, "blk.{}.ffn_gate_inp_shexp.weight"),
        (Role::SharedGate, "blk.{}.ffn_gate_shexp.weight"),
        (Role::SharedUp, "blk.{}.ffn_up_shexp.weight"),
        (Role::SharedDown, "blk.{}.ffn_down_shexp.weight"),
        (Role::OutputNorm, "output_norm.weight"),
        (Role::OutputNormBias, "output_norm.bias"),
        (Role::Output, "output.weight"),
        (Role::OutputBias, "output.bias"),
    ],
    others: Some(&SEPARATE_GGUF),
    // Read with the config: what each rotary frequency is divided by.
    harmless: &[ROPE_FREQS],
    ..Names::NONE
};

/// The same with queries, keys and values in one tensor, as any architecture may have them.
pub const QKV_GGUF: Names =
    Names { roles: QKV_ROLES_GGUF, base: Some(&LLAMA_GGUF), qkv: Qkv::Stacked, ..Names::NONE };

const QKV_ROLES_GGUF: &[(Role, &str)] = &[
    (Role::Q, "blk.{}.attn_qkv.weight"),
    (Role::QBias, "blk.{}.attn_qkv.bias"),
    (Role::K, "blk.{}.attn_qkv.weight"),
    (Role::KBias, "blk.{}.attn_qkv.bias"),
    (Role::V, "blk.{}.attn_qkv.weight"),
    (Role::VBias, "blk.{}.attn_qkv.bias"),
];

/// Gate and up in one tensor, which is called as if it were up alone.
pub const GATE_UP_GGUF: Names = Names {
    roles: &[(Role::Gate, "blk.{}.ffn_up.weight")],
    base: Some(&LLAMA_GGUF),
    gate_up: true,
    ..Names::NONE
};

/// Both: Phi-3.
pub const QKV_GATE_UP_GGUF: Names = Names {
    roles: QKV_ROLES_GGUF,
    base: Some(&GATE_UP_GGUF),
    qkv: Qkv::Stacked,
    gate_up: true,
    // Read with the config: what rotary frequencies are divided by.
    harmless: &[ROPE_SHORT, ROPE_LONG],
    ..Names::NONE
};

/// Falcon where each part has a norm of its own of the same stream: attention's is the second.
pub const FALCON_TWO_GGUF: Names = Names {
    roles: &[
        (Role::AttnNorm, "blk.{}.attn_norm_2.weight"),
        (Role::AttnNormBias, "blk.{}.attn_norm_2.bias"),
        (Role::FfnNorm, "blk.{}.attn_norm.weight"),
        (Role::FfnNormBias, "blk.{}.attn_norm.bias"),
    ],
    base: Some(&QKV_GGUF),
    qkv: Qkv::Stacked,
    ..Names::NONE
};

/// gpt-oss.
pub const GPT_OSS_GGUF: Names = Names {
    roles: &[
        // It stands before the next part, in spite of its name.
        (Role::FfnNorm, "blk.{}.post_attention_norm.weight"),
        (Role::SinkLogits, "blk.{}.attn_sinks.weight"),
        (Role::RouterBias, "blk.{}.ffn_gate_inp.bias"),
        (Role::ExpertGateBias, "blk.{}.ffn_gate_exps.bias"),
        (Role::ExpertUpBias, "blk.{}.ffn_up_exps.bias"),
        (Role::ExpertDownBias, "blk.{}.ffn_down_exps.bias"),
    ],
    base: Some(&LLAMA_GGUF),
    ..Names::NONE
};

/// Experts in the first files of Mixtral.
const SEPARATE_GGUF: Names = Names {
    roles: &[
        (Role::ExpertGate, "blk.{}.ffn_gate.{}.weight"),
        (Role::ExpertUp, "blk.{}.ffn_up.{}.weight"),
        (Role::ExpertDown, "blk.{}.ffn_down.{}.weight"),
    ],
    ..Names::NONE
};

/// GGUF's place for Phi-3's factors where the context is at most the original one.
pub const ROPE_SHORT: &str = "rope_factors_short.weight";
/// GGUF's place for Phi-3's factors in longer contexts.
pub const ROPE_LONG: &str = "rope_factors_long.weight";

/// GGUF's place for Llama 3's rope scaling.
pub const ROPE_FREQS: &str = "rope_freqs.weight";
