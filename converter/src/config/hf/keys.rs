//! The keys of a JSON object, none of them overlooked.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::config::checks::UNKNOWN_KEY;
use crate::error::{Error, Result};

/// The file that describes a model.
pub(super) const FILE: &str = "config.json";

/// Advice about a value that cannot be.
pub(super) const AGAIN: &str = "correct the file or get it again";

pub(super) const ROPE_THETA: &str = "rope_theta";
pub(super) const PARTIAL_ROTARY_FACTOR: &str = "partial_rotary_factor";

/// The keys of an object, which remembers the ones that were asked for.
pub(super) struct Keys<'v> {
    /// The object's name in messages.
    pub thing: String,
    map: &'v Map<String, Value>,
    seen: RefCell<BTreeSet<String>>,
}

impl<'v> Keys<'v> {
    pub fn new(thing: &str, value: &'v Value) -> Result<Self> {
        let map = value.as_object();
        let map = map.ok_or_else(|| Error::new(thing, "not a JSON object", AGAIN))?;
        Ok(Self { thing: thing.into(), map, seen: RefCell::default() })
    }

    /// The value, null counting as none.
    pub fn get(&self, key: &str) -> Option<&'v Value> {
        self.seen.borrow_mut().insert(key.into());
        self.map.get(key).filter(|v| !v.is_null())
    }

    /// Whether the key is there, be it without a value.
    pub fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    fn typed<T>(
        &self,
        key: &str,
        what: &str,
        f: impl Fn(&'v Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(v) = self.get(key) else { return Ok(None) };
        let wrong = || Error::new(&self.thing, format!("{key} is {v}, not {what}"), AGAIN);
        f(v).map(Some).ok_or_else(wrong)
    }

    pub fn size(&self, key: &str) -> Result<Option<usize>> {
        self.typed(key, "a whole number", |v| v.as_u64().and_then(|n| n.try_into().ok()))
    }

    pub fn need(&self, key: &str) -> Result<usize> {
        let missing = || Error::new(&self.thing, format!("{key} is missing"), AGAIN);
        self.size(key)?.ok_or_else(missing)
    }

    /// The first of these keys that has a value.
    pub fn one(&self, keys: &[&str]) -> Result<Option<usize>> {
        let mut first = None;
        // All of them are asked for, so that none of them is unknown.
        for key in keys {
            first = first.or(self.size(key)?);
        }
        Ok(first)
    }

    /// The first of these keys that has a value, of which there must be one.
    pub fn need_one(&self, keys: &[&str]) -> Result<usize> {
        let missing =
            || Error::new(&self.thing, format!("{} is missing", keys.join(" or ")), AGAIN);
        self.one(keys)?.ok_or_else(missing)
    }

    pub fn float(&self, key: &str) -> Result<Option<f64>> {
        self.typed(key, "a number", Value::as_f64)
    }

    pub fn bool(&self, key: &str) -> Result<Option<bool>> {
        self.typed(key, "true or false", Value::as_bool)
    }

    pub fn must_be(&self, key: &str, allowed: &[Value]) -> Result<()> {
        match self.get(key) {
            Some(v) if !allowed.contains(v) => {
                let todo = format!("only {} is supported", allowed[0]);
                Err(Error::new(&self.thing, format!("{key} is {v}"), todo))
            }
            _ => Ok(()),
        }
    }

    /// Those of these keys that are there, have a value and were not asked for: now they were.
    pub fn take_unread(&self, keys: &[&'static str]) -> Vec<&'static str> {
        let unread = |key: &&&'static str| !self.seen.borrow().contains(**key);
        let unread: Vec<_> = keys.iter().filter(unread).copied().collect();
        unread.into_iter().filter(|key| self.get(key).is_some()).collect()
    }

    /// Refuses keys that were not asked for, are not harmless and have a value.
    pub fn refuse_the_rest(&self, harmless: &[&str]) -> Result<()> {
        let seen = self.seen.borrow();
        let unknown = self.map.iter().find(|(key, v)| {
            let known = changes_nothing(key, v) || harmless.contains(&key.as_str());
            !v.is_null() && !seen.contains(*key) && !known
        });
        unknown.map_or(Ok(()), |(key, _)| {
            let todo = format!("{UNKNOWN_KEY}; if nothing reads it, take it out of the file");
            Err(Error::new(&self.thing, format!("unknown key {key}"), todo))
        })
    }
}

/// Whether a key that no class of transformers reads has the value that says that nothing is changed.
fn changes_nothing(key: &str, value: &Value) -> bool {
    let is = |wanted: &Value| {
        value == wanted || value.as_f64().is_some_and(|v| wanted.as_f64() == Some(v))
    };
    let of = |names: &[&str], wanted: Value| names.contains(&key) && is(&wanted);
    of(OFF, json!(false)) || of(ON, json!(true)) || of(ZERO, json!(0)) || of(ONE, json!(1))
}

/// Keys that published configs have, and change nothing where they are false.
const OFF: &[&str] = &[
    "bias",
    "log_scale",
    "mm_use_im_patch_token",
    "mm_use_im_start_end",
    "moe",
    "qk_layernorm",
    "qk_norm",
    "quantize",
    "scale_embeddings",
    "use_alibi",
    "use_cla",
    "use_dynamic_ntk",
    "use_logn_attn",
    "use_moe",
    "use_mrope",
    "use_post_norm",
    "use_qk_norm",
    "use_sliding_window",
];

/// The same, where they are true.
const ON: &[&str] = &["causal", "is_causal", "use_causal_mask", "use_rope", "use_rms_norm"];

/// The same, where they are zero.
const ZERO: &[&str] = &[
    "num_experts",
    "num_experts_per_tok",
    "num_local_experts",
    "num_nextn_predict_layers",
    "num_mtp_layers",
];

/// The same, where they are one.
const ONE: &[&str] = &[
    "embedding_multiplier",
    "full_attn_mod",
    "interpolate_factor",
    "logit_scale",
    "logits_scaling",
    "mup_multiplier",
    "residual_multiplier",
    "rope_ratio",
];

/// Keys that change nothing in the mathematics of a forward pass.
pub(super) const HARMLESS: &[&str] = &[
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_attn_implementation_internal",
    "_flash_attn_2_enabled",
    "_name_or_path",
    "architectures",
    "activation_dropout",
    "attention_dropout",
    "auto_map",
    "bad_words_ids",
    "begin_suppress_tokens",
    "attn_pdrop",
    "bos_token_id",
    "cache_implementation",
    "chunk_size_feed_forward",
    "classifier_dropout",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "dtype",
    "dropout",
    "early_stopping",
    "emb_pdrop",
    "embd_pdrop",
    "embedding_dropout",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "gradient_checkpointing",
    "hidden_dropout",
    "id2label",
    "init_std",
    "initializer_range",
    "is_decoder",
    "is_llama_config",
    "label2id",
    "layerdrop",
    "length_penalty",
    "max_length",
    "max_new_tokens",
    "min_length",
    "model_max_length",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_router_logits",
    "output_scores",
    "pad_token_id",
    "prefix",
    // Splits products for training on several devices; the sum is the same.
    "pretraining_tp",
    "problem_type",
    "remove_invalid_values",
    "repetition_penalty",
    "resid_pdrop",
    "residual_dropout",
    "return_dict",
    "return_dict_in_generate",
    // Of training.
    "router_aux_loss_coef",
    "router_jitter_noise",
    "sep_token_id",
    // Of classifiers.
    "summary_activation",
    "summary_first_dropout",
    "summary_proj_to_labels",
    "summary_type",
    "summary_use_proj",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers.js_config",
    "transformers_version",
    "typical_p",
    "unk_token_id",
    "unsloth_fixed",
    "unsloth_version",
    "use_bfloat16",
    "use_cache",
    "use_flash_attention_2",
    // Of training, of files, of how a program ran it: what authors wrote down besides.
    "_commit_hash",
    "_experts_implementation",
    "_from_model_config",
    "_num_labels",
    "_output_attentions",
    "_use_flash_attention_2",
    "attention_dropout_prob",
    "attention_probs_dropout_prob",
    "attn_dropout",
    "attn_implementation",
    "aux_loss_alpha",
    "aux_loss_coef",
    "base_model",
    "base_model_name_or_path",
    "bf16",
    "boi_token_id",
    "boi_token_index",
    "emb_dropout",
    "embedding_dropout_prob",
    "eoi_token_id",
    "eoi_token_index",
    "eos_token",
    "ffn_dropout",
    "flash_attention",
    "flash_attn",
    "float16",
    "fp16",
    "fp32",
    "freeze_mm_mlp_adapter",
    "fused_bias_fc",
    "fused_dropout_add_ln",
    "fused_mlp",
    "gradient_checkpointing_kwargs",
    "hidden_dropout_prob",
    "ignore_index",
    "image_token_id",
    "image_token_index",
    "init_method_std",
    "is_training",
    "keys_to_ignore_at_inference",
    "label_smoothing",
    "language",
    "license",
    "lora_alpha",
    "lora_r",
    "loss_type",
    "low_cpu_mem_usage",
    "max_sequence_length",
    "memory_efficient_attention",
    "mlp_dropout",
    "model_name",
    "name_or_path",
    "neftune_noise_alpha",
    "num_labels",
    "onnx",
    "optimizer",
    "pad_token",
    "padding_side",
    "params_dtype",
    "peft_version",
    "recompute",
    "seed",
    "seq_aux",
    "sequence_parallel",
    "sequence_parallel_enabled",
    "tensor_parallel",
    "tensor_parallel_size",
    "tokenizer_file",
    "tokenizer_model_max_length",
    "tokenizer_name",
    "tokenizer_padding_side",
    "train_batch_size",
    "training",
    "trl_version",
    "tune_mm_mlp_adapter",
    "unsloth",
    "use_flash_attention",
    "use_flash_attn",
    "use_flashattn",
    "use_fused_cross_entropy",
    "use_fused_mlp",
    "use_fused_rms_norm",
    "use_fused_rope",
    "use_fused_swiglu",
    "use_liger_kernel",
    "use_memory_efficient_attention",
    "use_sdpa",
    "use_triton",
    "use_xformers",
    "version",
    "vllm_config",
    "vocab_size_multiple",
    "z_loss",
    "z_loss_coefficient",
    "z_loss_weight",
];
