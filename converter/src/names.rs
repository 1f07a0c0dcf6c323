//! What each family calls its tensors: one table per family and kind of source.

use oarlock::format::Role;

/// A family's names; `{}` stands for the layer.
#[derive(Debug)]
pub struct Names {
    /// The tensors that make the model.
    pub roles: &'static [(Role, &'static str)],
    /// Tensors that say nothing which is not known otherwise.
    pub harmless: &'static [&'static str],
}

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
    harmless: &["model.layers.{}.self_attn.rotary_emb.inv_freq", "model.rotary_emb.inv_freq"],
};

/// Architecture `llama` of GGUF, and those that follow it.
pub const LLAMA_GGUF: Names = Names {
    roles: &[
        (Role::Embedding, "token_embd.weight"),
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
        (Role::OutputNorm, "output_norm.weight"),
        (Role::OutputNormBias, "output_norm.bias"),
        (Role::Output, "output.weight"),
    ],
    // Read with the config: what each rotary frequency is divided by.
    harmless: &[ROPE_FREQS],
};

/// GGUF's place for Llama 3's rope scaling.
pub const ROPE_FREQS: &str = "rope_freqs.weight";

impl Names {
    /// The name of the tensor with this role, in this layer if it has one.
    pub fn of(&self, role: Role, layer: Option<usize>) -> Option<String> {
        let (_, name) = self.roles.iter().find(|(r, _)| *r == role)?;
        Some(layer.map_or_else(|| (*name).into(), |i| name.replace("{}", &i.to_string())))
    }

    /// Whether a tensor of this name may be left out.
    pub fn is_harmless(&self, name: &str) -> bool {
        self.harmless.iter().any(|pattern| match pattern.split_once("{}") {
            None => *pattern == name,
            Some((before, after)) => name
                .strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after))
                .is_some_and(|layer| layer.parse::<u32>().is_ok()),
        })
    }
}
