//! Names in files of Hugging Face transformers.

use oarlock::internal::format::Role;

use crate::config::names::{Names, Qkv, Stacks};

/// `LlamaForCausalLM` of Hugging Face transformers, and the families that follow it: what a
/// family does without is not looked for.
pub const LLAMA_HF: Names = Names {
    roles: &[
        (Role::Embedding, "model.embed_tokens.weight"),
        (Role::AttnNorm, "model.layers.{}.input_layernorm.weight"),
        (Role::AttnNormBias, "model.layers.{}.input_layernorm.bias"),
        (Role::Q, "model.layers.{}.self_attn.q_proj.weight"),
        (Role::QBias, "model.layers.{}.self_attn.q_proj.bias"),
        (Role::QNorm, "model.layers.{}.self_attn.q_norm.weight"),
        (Role::K, "model.layers.{}.self_attn.k_proj.weight"),
        (Role::KBias, "model.layers.{}.self_attn.k_proj.bias"),
        (Role::KNorm, "model.layers.{}.self_attn.k_norm.weight"),
        (Role::V, "model.layers.{}.self_attn.v_proj.weight"),
        (Role::VBias, "model.layers.{}.self_attn.v_proj.bias"),
        (Role::SinkLogits, "model.layers.{}.self_attn.sinks"),
        (Role::O, "model.layers.{}.self_attn.o_proj.weight"),
        (Role::OBias, "model.layers.{}.self_attn.o_proj.bias"),
        // One name for two things: the norm before the next part, or that behind this one.
        (Role::AttnAfterNorm, "model.layers.{}.post_attention_layernorm.weight"),
        (Role::FfnNorm, "model.layers.{}.post_attention_layernorm.weight"),
        (Role::FfnNormBias, "model.layers.{}.post_attention_layernorm.bias"),
        (Role::Gate, "model.layers.{}.mlp.gate_proj.weight"),
        (Role::GateBias, "model.layers.{}.mlp.gate_proj.bias"),
        (Role::Up, "model.layers.{}.mlp.up_proj.weight"),
        (Role::UpBias, "model.layers.{}.mlp.up_proj.bias"),
        (Role::Down, "model.layers.{}.mlp.down_proj.weight"),
        (Role::DownBias, "model.layers.{}.mlp.down_proj.bias"),
        (Role::FfnAfterNorm, "model.layers.{}.post_feedforward_layernorm.weight"),
        (Role::OutputNorm, "model.norm.weight"),
        (Role::OutputNormBias, "model.norm.bias"),
        (Role::Output, "lm_head.weight"),
    ],
    // Old checkpoints carry the rotary frequencies, which the config gives as well.
    harmless: &[
        "model.layers.{}.self_attn.rotary_emb.inv_freq",
        "model.layers.{}.self_attn.rotary_emb.cos_cached",
        "model.layers.{}.self_attn.rotary_emb.sin_cached",
        "model.rotary_emb.inv_freq",
    ],
    ..Names::NONE
};

/// Gemma 2 and 3: norms on both sides of each part.
pub const GEMMA2_HF: Names = Names {
    roles: &[
        (Role::FfnNorm, "model.layers.{}.pre_feedforward_layernorm.weight"),
        (Role::AttnAfterNorm, "model.layers.{}.post_attention_layernorm.weight"),
    ],
    base: Some(&LLAMA_HF),
    ..Names::NONE
};

/// DiffLlama, whose λ is put together from four vectors, [`LAMBDA_HF`].
pub const DIFFLLAMA_HF: Names =
    Names { roles: &[], base: Some(&LLAMA_HF), harmless: &LAMBDA_HF, ..Names::NONE };

/// The vectors that λ of differential attention is made of: q and k of what is added, then of
/// what is taken off.
pub const LAMBDA_HF: [&str; 4] = [
    "model.layers.{}.self_attn.lambda_q1",
    "model.layers.{}.self_attn.lambda_k1",
    "model.layers.{}.self_attn.lambda_q2",
    "model.layers.{}.self_attn.lambda_k2",
];

/// Phi-3: fused matrices.
pub const PHI3_HF: Names = Names {
    roles: &[
        (Role::Q, "model.layers.{}.self_attn.qkv_proj.weight"),
        (Role::K, "model.layers.{}.self_attn.qkv_proj.weight"),
        (Role::V, "model.layers.{}.self_attn.qkv_proj.weight"),
        (Role::Gate, "model.layers.{}.mlp.gate_up_proj.weight"),
        (Role::Up, "model.layers.{}.mlp.gate_up_proj.weight"),
    ],
    base: Some(&LLAMA_HF),
    qkv: Qkv::Stacked,
    gate_up: true,
    ..Names::NONE
};

/// Phi and Phi-2.
pub const PHI_HF: Names = Names {
    roles: &[
        (Role::O, "model.layers.{}.self_attn.dense.weight"),
        (Role::OBias, "model.layers.{}.self_attn.dense.bias"),
        (Role::Up, "model.layers.{}.mlp.fc1.weight"),
        (Role::UpBias, "model.layers.{}.mlp.fc1.bias"),
        (Role::Down, "model.layers.{}.mlp.fc2.weight"),
        (Role::DownBias, "model.layers.{}.mlp.fc2.bias"),
        (Role::OutputNorm, "model.final_layernorm.weight"),
        (Role::OutputNormBias, "model.final_layernorm.bias"),
        (Role::OutputBias, "lm_head.bias"),
    ],
    base: Some(&LLAMA_HF),
    ..Names::NONE
};

/// GLM: gate and up in one matrix.
pub const GLM_HF: Names = Names {
    roles: &[
        (Role::Gate, "model.layers.{}.mlp.gate_up_proj.weight"),
        (Role::Up, "model.layers.{}.mlp.gate_up_proj.weight"),
    ],
    base: Some(&LLAMA_HF),
    gate_up: true,
    ..Names::NONE
};

/// GLM-4: norms on both sides of each part too.
pub const GLM4_HF: Names = Names {
    roles: &[
        (Role::Gate, "model.layers.{}.mlp.gate_up_proj.weight"),
        (Role::Up, "model.layers.{}.mlp.gate_up_proj.weight"),
        (Role::AttnAfterNorm, "model.layers.{}.post_self_attn_layernorm.weight"),
        (Role::FfnAfterNorm, "model.layers.{}.post_mlp_layernorm.weight"),
    ],
    base: Some(&LLAMA_HF),
    gate_up: true,
    ..Names::NONE
};

/// StarCoder2.
pub const STARCODER2_HF: Names = Names {
    roles: &[
        (Role::Up, "model.layers.{}.mlp.c_fc.weight"),
        (Role::UpBias, "model.layers.{}.mlp.c_fc.bias"),
        (Role::Down, "model.layers.{}.mlp.c_proj.weight"),
        (Role::DownBias, "model.layers.{}.mlp.c_proj.bias"),
    ],
    base: Some(&LLAMA_HF),
    ..Names::NONE
};

/// GPT-NeoX.
pub const NEOX_HF: Names = Names {
    roles: &[
        (Role::Embedding, "gpt_neox.embed_in.weight"),
        (Role::AttnNorm, "gpt_neox.layers.{}.input_layernorm.weight"),
        (Role::AttnNormBias, "gpt_neox.layers.{}.input_layernorm.bias"),
        (Role::Q, "gpt_neox.layers.{}.attention.query_key_value.weight"),
        (Role::QBias, "gpt_neox.layers.{}.attention.query_key_value.bias"),
        (Role::K, "gpt_neox.layers.{}.attention.query_key_value.weight"),
        (Role::KBias, "gpt_neox.layers.{}.attention.query_key_value.bias"),
        (Role::V, "gpt_neox.layers.{}.attention.query_key_value.weight"),
        (Role::VBias, "gpt_neox.layers.{}.attention.query_key_value.bias"),
        (Role::O, "gpt_neox.layers.{}.attention.dense.weight"),
        (Role::OBias, "gpt_neox.layers.{}.attention.dense.bias"),
        (Role::FfnNorm, "gpt_neox.layers.{}.post_attention_layernorm.weight"),
        (Role::FfnNormBias, "gpt_neox.layers.{}.post_attention_layernorm.bias"),
        (Role::Up, "gpt_neox.layers.{}.mlp.dense_h_to_4h.weight"),
        (Role::UpBias, "gpt_neox.layers.{}.mlp.dense_h_to_4h.bias"),
        (Role::Down, "gpt_neox.layers.{}.mlp.dense_4h_to_h.weight"),
        (Role::DownBias, "gpt_neox.layers.{}.mlp.dense_4h_to_h.bias"),
        (Role::OutputNorm, "gpt_neox.final_layer_norm.weight"),
        (Role::OutputNormBias, "gpt_neox.final_layer_norm.bias"),
        (Role::Output, "embed_out.weight"),
    ],
    qkv: Qkv::Grouped,
    harmless: &[
        "gpt_neox.layers.{}.attention.bias",
        "gpt_neox.layers.{}.attention.masked_bias",
        "gpt_neox.layers.{}.attention.rotary_emb.inv_freq",
    ],
    ..Names::NONE
};

/// GPT-2, whose matrices are stored as columns.
pub const GPT2_HF: Names = Names {
    roles: &[
        (Role::Embedding, "transformer.wte.weight"),
        (Role::Positions, "transformer.wpe.weight"),
        (Role::AttnNorm, "transformer.h.{}.ln_1.weight"),
        (Role::AttnNormBias, "transformer.h.{}.ln_1.bias"),
        (Role::Q, "transformer.h.{}.attn.c_attn.weight"),
        (Role::QBias, "transformer.h.{}.attn.c_attn.bias"),
        (Role::K, "transformer.h.{}.attn.c_attn.weight"),
        (Role::KBias, "transformer.h.{}.attn.c_attn.bias"),
        (Role::V, "transformer.h.{}.attn.c_attn.weight"),
        (Role::VBias, "transformer.h.{}.attn.c_attn.bias"),
        (Role::O, "transformer.h.{}.attn.c_proj.weight"),
        (Role::OBias, "transformer.h.{}.attn.c_proj.bias"),
        (Role::FfnNorm, "transformer.h.{}.ln_2.weight"),
        (Role::FfnNormBias, "transformer.h.{}.ln_2.bias"),
        (Role::Up, "transformer.h.{}.mlp.c_fc.weight"),
        (Role::UpBias, "transformer.h.{}.mlp.c_fc.bias"),
        (Role::Down, "transformer.h.{}.mlp.c_proj.weight"),
        (Role::DownBias, "transformer.h.{}.mlp.c_proj.bias"),
        (Role::OutputNorm, "transformer.ln_f.weight"),
        (Role::OutputNormBias, "transformer.ln_f.bias"),
        (Role::Output, "lm_head.weight"),
    ],
    qkv: Qkv::Stacked,
    transposed: true,
    prefix: "transformer.",
    // The causal mask.
    harmless: &[
        "transformer.h.{}.attn.bias",
        "transformer.h.{}.attn.masked_bias",
        "h.{}.attn.bias",
        "h.{}.attn.masked_bias",
    ],
    ..Names::NONE
};

/// GPT-BigCode: as GPT-2, but for the columns.
pub const BIGCODE_HF: Names =
    Names { roles: &[], base: Some(&GPT2_HF), qkv: Qkv::Grouped, transposed: false, ..GPT2_HF };

/// GPT-J.
pub const GPTJ_HF: Names = Names {
    roles: &[
        (Role::Q, "transformer.h.{}.attn.q_proj.weight"),
        (Role::K, "transformer.h.{}.attn.k_proj.weight"),
        (Role::V, "transformer.h.{}.attn.v_proj.weight"),
        (Role::O, "transformer.h.{}.attn.out_proj.weight"),
        (Role::Up, "transformer.h.{}.mlp.fc_in.weight"),
        (Role::UpBias, "transformer.h.{}.mlp.fc_in.bias"),
        (Role::Down, "transformer.h.{}.mlp.fc_out.weight"),
        (Role::DownBias, "transformer.h.{}.mlp.fc_out.bias"),
        (Role::OutputBias, "lm_head.bias"),
    ],
    base: Some(&GPT2_HF),
    qkv: Qkv::Separate,
    transposed: false,
    ..GPT2_HF
};

/// OPT, whose first position is the third row.
pub const OPT_HF: Names = Names {
    roles: &[
        (Role::Embedding, "model.decoder.embed_tokens.weight"),
        (Role::Positions, "model.decoder.embed_positions.weight"),
        (Role::AttnNorm, "model.decoder.layers.{}.self_attn_layer_norm.weight"),
        (Role::AttnNormBias, "model.decoder.layers.{}.self_attn_layer_norm.bias"),
        (Role::Q, "model.decoder.layers.{}.self_attn.q_proj.weight"),
        (Role::QBias, "model.decoder.layers.{}.self_attn.q_proj.bias"),
        (Role::K, "model.decoder.layers.{}.self_attn.k_proj.weight"),
        (Role::KBias, "model.decoder.layers.{}.self_attn.k_proj.bias"),
        (Role::V, "model.decoder.layers.{}.self_attn.v_proj.weight"),
        (Role::VBias, "model.decoder.layers.{}.self_attn.v_proj.bias"),
        (Role::O, "model.decoder.layers.{}.self_attn.out_proj.weight"),
        (Role::OBias, "model.decoder.layers.{}.self_attn.out_proj.bias"),
        (Role::FfnNorm, "model.decoder.layers.{}.final_layer_norm.weight"),
        (Role::FfnNormBias, "model.decoder.layers.{}.final_layer_norm.bias"),
        (Role::Up, "model.decoder.layers.{}.fc1.weight"),
        (Role::UpBias, "model.decoder.layers.{}.fc1.bias"),
        (Role::Down, "model.decoder.layers.{}.fc2.weight"),
        (Role::DownBias, "model.decoder.layers.{}.fc2.bias"),
        (Role::OutputNorm, "model.decoder.final_layer_norm.weight"),
        (Role::OutputNormBias, "model.decoder.final_layer_norm.bias"),
        (Role::Output, "lm_head.weight"),
    ],
    position_offset: 2,
    prefix: "model.",
    ..Names::NONE
};

/// BLOOM, and Falcon but for its norms.
pub const BLOOM_HF: Names = Names {
    roles: &[
        (Role::Embedding, "transformer.word_embeddings.weight"),
        (Role::EmbeddingNorm, "transformer.word_embeddings_layernorm.weight"),
        (Role::EmbeddingNormBias, "transformer.word_embeddings_layernorm.bias"),
        (Role::AttnNorm, "transformer.h.{}.input_layernorm.weight"),
        (Role::AttnNormBias, "transformer.h.{}.input_layernorm.bias"),
        (Role::Q, "transformer.h.{}.self_attention.query_key_value.weight"),
        (Role::QBias, "transformer.h.{}.self_attention.query_key_value.bias"),
        (Role::K, "transformer.h.{}.self_attention.query_key_value.weight"),
        (Role::KBias, "transformer.h.{}.self_attention.query_key_value.bias"),
        (Role::V, "transformer.h.{}.self_attention.query_key_value.weight"),
        (Role::VBias, "transformer.h.{}.self_attention.query_key_value.bias"),
        (Role::O, "transformer.h.{}.self_attention.dense.weight"),
        (Role::OBias, "transformer.h.{}.self_attention.dense.bias"),
        (Role::FfnNorm, "transformer.h.{}.post_attention_layernorm.weight"),
        (Role::FfnNormBias, "transformer.h.{}.post_attention_layernorm.bias"),
        (Role::Up, "transformer.h.{}.mlp.dense_h_to_4h.weight"),
        (Role::UpBias, "transformer.h.{}.mlp.dense_h_to_4h.bias"),
        (Role::Down, "transformer.h.{}.mlp.dense_4h_to_h.weight"),
        (Role::DownBias, "transformer.h.{}.mlp.dense_4h_to_h.bias"),
        (Role::OutputNorm, "transformer.ln_f.weight"),
        (Role::OutputNormBias, "transformer.ln_f.bias"),
        (Role::Output, "lm_head.weight"),
    ],
    qkv: Qkv::Grouped,
    prefix: "transformer.",
    ..Names::NONE
};

/// Falcon where each part has a norm of its own of the same stream.
pub const FALCON_TWO_HF: Names = Names {
    roles: &[
        (Role::AttnNorm, "transformer.h.{}.ln_attn.weight"),
        (Role::AttnNormBias, "transformer.h.{}.ln_attn.bias"),
        (Role::FfnNorm, "transformer.h.{}.ln_mlp.weight"),
        (Role::FfnNormBias, "transformer.h.{}.ln_mlp.bias"),
    ],
    base: Some(&BLOOM_HF),
    ..BLOOM_HF
};

/// MPT.
pub const MPT_HF: Names = Names {
    roles: &[
        (Role::Embedding, "transformer.wte.weight"),
        (Role::AttnNorm, "transformer.blocks.{}.norm_1.weight"),
        (Role::Q, "transformer.blocks.{}.attn.Wqkv.weight"),
        (Role::K, "transformer.blocks.{}.attn.Wqkv.weight"),
        (Role::V, "transformer.blocks.{}.attn.Wqkv.weight"),
        (Role::O, "transformer.blocks.{}.attn.out_proj.weight"),
        (Role::FfnNorm, "transformer.blocks.{}.norm_2.weight"),
        (Role::Up, "transformer.blocks.{}.ffn.up_proj.weight"),
        (Role::Down, "transformer.blocks.{}.ffn.down_proj.weight"),
        (Role::OutputNorm, "transformer.norm_f.weight"),
        (Role::Output, "lm_head.weight"),
    ],
    qkv: Qkv::Stacked,
    prefix: "transformer.",
    ..Names::NONE
};

/// Qwen2-MoE, Qwen3-MoE and OLMoE.
pub const QWEN_MOE_HF: Names = Names {
    roles: &[
        (Role::Router, "model.layers.{}.mlp.gate.weight"),
        (Role::ExpertGate, "model.layers.{}.mlp.experts.{}.gate_proj.weight"),
        (Role::ExpertUp, "model.layers.{}.mlp.experts.{}.up_proj.weight"),
        (Role::ExpertDown, "model.layers.{}.mlp.experts.{}.down_proj.weight"),
        (Role::SharedRouter, "model.layers.{}.mlp.shared_expert_gate.weight"),
        (Role::SharedGate, "model.layers.{}.mlp.shared_expert.gate_proj.weight"),
        (Role::SharedUp, "model.layers.{}.mlp.shared_expert.up_proj.weight"),
        (Role::SharedDown, "model.layers.{}.mlp.shared_expert.down_proj.weight"),
    ],
    base: Some(&LLAMA_HF),
    others: Some(&STACKED_HF),
    ..Names::NONE
};

/// Mixtral.
pub const MIXTRAL_HF: Names = Names {
    roles: &[
        (Role::Router, "model.layers.{}.block_sparse_moe.gate.weight"),
        (Role::ExpertGate, "model.layers.{}.block_sparse_moe.experts.{}.w1.weight"),
        (Role::ExpertUp, "model.layers.{}.block_sparse_moe.experts.{}.w3.weight"),
        (Role::ExpertDown, "model.layers.{}.block_sparse_moe.experts.{}.w2.weight"),
    ],
    base: Some(&LLAMA_HF),
    others: Some(&STACKED_HF),
    ..Names::NONE
};

/// gpt-oss.
pub const GPT_OSS_HF: Names = Names {
    roles: &[
        (Role::Router, "model.layers.{}.mlp.router.weight"),
        (Role::RouterBias, "model.layers.{}.mlp.router.bias"),
        (Role::ExpertGate, "model.layers.{}.mlp.experts.gate_up_proj"),
        (Role::ExpertGateBias, "model.layers.{}.mlp.experts.gate_up_proj_bias"),
        (Role::ExpertUp, "model.layers.{}.mlp.experts.gate_up_proj"),
        (Role::ExpertUpBias, "model.layers.{}.mlp.experts.gate_up_proj_bias"),
        (Role::ExpertDown, "model.layers.{}.mlp.experts.down_proj"),
        (Role::ExpertDownBias, "model.layers.{}.mlp.experts.down_proj_bias"),
    ],
    base: Some(&LLAMA_HF),
    stacks: Stacks::Interleaved,
    others: Some(&MXFP4_HF),
    ..Names::NONE
};

/// gpt-oss as it was published.
const MXFP4_HF: Names = Names {
    roles: &[
        (Role::ExpertGate, "model.layers.{}.mlp.experts.gate_up_proj_blocks"),
        (Role::ExpertUp, "model.layers.{}.mlp.experts.gate_up_proj_blocks"),
        (Role::ExpertDown, "model.layers.{}.mlp.experts.down_proj_blocks"),
    ],
    stacks: Stacks::Mxfp4,
    ..Names::NONE
};

/// The experts of Mixtral, Qwen and OLMoE as transformers 5 calls them while it runs them, and in
/// files where it was told not to write the names of old.
const STACKED_HF: Names = Names {
    roles: &[
        (Role::Router, "model.layers.{}.mlp.gate.weight"),
        (Role::ExpertGate, "model.layers.{}.mlp.experts.gate_up_proj"),
        (Role::ExpertUp, "model.layers.{}.mlp.experts.gate_up_proj"),
        (Role::ExpertDown, "model.layers.{}.mlp.experts.down_proj"),
    ],
    stacks: Stacks::Halves,
    ..Names::NONE
};
