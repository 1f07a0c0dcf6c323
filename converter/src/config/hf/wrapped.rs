//! Text models that are published inside of one for pictures or sound, of which they are left.

use serde_json::{Map, Value, json};

use super::keys::{FILE, HARMLESS, Keys};
use super::table::FAMILIES;
use crate::error::Result;
use crate::source::tensor::Tensors;

/// Classes whose text model is one of ours, unchanged, where there is nothing but text.
const WRAPPERS: &[&str] = &[
    "AyaVisionForConditionalGeneration",
    "Gemma3ForConditionalGeneration",
    "Idefics3ForConditionalGeneration",
    "InternVLForConditionalGeneration",
    "LlavaForConditionalGeneration",
    "LlavaNextForConditionalGeneration",
    "LlavaOnevisionForConditionalGeneration",
    "Mistral3ForConditionalGeneration",
    "Qwen2VLForConditionalGeneration",
    "Qwen2_5_VLForConditionalGeneration",
    "Qwen3VLForConditionalGeneration",
    "SmolVLMForConditionalGeneration",
];

/// Types of text models that have a name of their own in a wrapper.
const RENAMED: &[(&str, &str)] = &[
    ("qwen2_vl", "qwen2"),
    ("qwen2_vl_text", "qwen2"),
    ("qwen2_5_vl", "qwen2"),
    ("qwen2_5_vl_text", "qwen2"),
    ("qwen3_vl_text", "qwen3"),
];

/// Keys that the wrapper's own config has in some files, and the text model's in others.
const SHARED: &[&str] =
    &["eos_token_id", "quantization", "quantization_config", "tie_word_embeddings"];

/// Beginnings of the wrapper's keys that are about pictures and sound.
const OTHER_SENSES: &[&str] = &[
    "adapter_",
    "audio_",
    "boi_",
    "eoi_",
    "image_",
    "mm_",
    "multimodal_",
    "perceiver_",
    "projector_",
    "video_",
    "vision_",
    "visual_",
];

/// Keys of a wrapper that change nothing in its text model: of pictures, and what any config has.
const OF_WRAPPERS: &[&str] = &[
    "add_cross_attention",
    "alignment_intermediate_size",
    "cross_attention_hidden_size",
    "downsample_factor",
    "downsample_ratio",
    "freeze_config",
    "is_composition",
    "is_encoder_decoder",
    "pixel_shuffle_factor",
    "pruned_heads",
    "scale_factor",
    "spatial_merge_size",
    "text_config",
    "tie_encoder_decoder",
    "use_image_newline_parameter",
    "use_reentrant_checkpointing",
];

/// Keys of pictures where all keys lie in one object.
const OF_PICTURES: &[&str] = &[
    "image_token_id",
    "text_config",
    "video_token_id",
    "vision_config",
    "vision_end_token_id",
    "vision_start_token_id",
    "vision_token_id",
];

/// The config of the text model in this one, as if it were published by itself.
///
/// # Errors
/// If it has keys around the text model's that are not known: nobody else asks for them.
pub fn text_model(config: &Value) -> Result<Option<Value>> {
    let Some(text) = unwrapped(config) else { return Ok(None) };
    let keys = Keys::new(FILE, config)?;
    let inside = |key: &str| match key {
        "rope_scaling" | "rope_theta" if text.get("rope_parameters").is_some() => true,
        _ => text.get(key).is_some(),
    };
    let known = |key: &str| {
        let start = |start: &&str| key.starts_with(*start);
        inside(key) || OTHER_SENSES.iter().any(start) || OF_WRAPPERS.contains(&key)
    };
    for key in config.as_object().into_iter().flat_map(Map::keys).filter(|key| known(key)) {
        keys.get(key);
    }
    keys.refuse_the_rest(HARMLESS)?;
    Ok(Some(text))
}

fn unwrapped(config: &Value) -> Option<Value> {
    let name = config["architectures"].as_array()?.first()?.as_str()?;
    if !WRAPPERS.contains(&name) {
        return None;
    }
    let outer = config.as_object()?;
    let inner = outer.get("text_config").and_then(Value::as_object);
    let mut text = inner.unwrap_or(outer).clone();
    OF_PICTURES.iter().for_each(|key| drop(text.remove(*key)));
    // Of the text model's own keys those in the object count, as in transformers, whatever is outside;
    // these are the wrapper's as well.
    for key in SHARED.iter().filter(|key| outer.contains_key(**key)) {
        text.entry(*key).or_insert_with(|| outer[*key].clone());
    }
    let kind = text.get("model_type")?.as_str()?.to_owned();
    let defaults = defaults(&kind);
    let kind =
        RENAMED.iter().find(|(own, _)| *own == kind).map_or(kind, |(_, ours)| (*ours).into());
    for (key, value) in defaults {
        text.entry(key).or_insert(value);
    }
    let family = FAMILIES.iter().find(|family| family.model_type == kind);
    let unknown = || format!("{name} of a text model {kind}");
    let arch = family.map_or_else(unknown, |family| family.arch.into());
    text.insert("architectures".into(), json!([arch]));
    text.insert("model_type".into(), json!(kind));
    Some(Value::Object(text))
}

/// Dimensions that the class of a text model has where its config says nothing: such files hold
/// what differs from them.
fn defaults(kind: &str) -> Map<String, Value> {
    let known = match kind {
        "gemma3_text" => json!({
            "vocab_size": 262_208, "hidden_size": 2304, "intermediate_size": 9216,
            "num_hidden_layers": 26, "num_attention_heads": 8, "num_key_value_heads": 4,
            "head_dim": 256, "max_position_embeddings": 131_072, "sliding_window": 4096
        }),
        "llama" => json!({
            "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008,
            "num_hidden_layers": 32, "num_attention_heads": 32, "max_position_embeddings": 2048
        }),
        "mistral" => json!({
            "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 14336,
            "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
            "max_position_embeddings": 131_072, "sliding_window": 4096
        }),
        "qwen2" => json!({
            "vocab_size": 151_936, "hidden_size": 4096, "intermediate_size": 22016,
            "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32,
            "max_position_embeddings": 32768
        }),
        _ => Value::Null,
    };
    if let Value::Object(known) = known { known } else { Map::new() }
}

/// The beginnings that names of the text model have in a wrapper, and what they are without.
const TEXT: &[(&str, &str)] = &[
    ("language_model.model.", "model."),
    ("model.language_model.", "model."),
    ("model.text_model.", "model."),
    ("language_model.lm_head.", "lm_head."),
    ("lm_head.", "lm_head."),
];

/// Beginnings of names that are pictures' in files in which the text model has its own names.
const PICTURES: &[&str] = &[
    "visual.",
    "vision_tower.",
    "vision_model.",
    "multi_modal_projector.",
    "image_newline",
    "model.visual.",
    "model.vision_tower.",
    "model.vision_model.",
    "model.multi_modal_projector.",
    "model.connector.",
    "model.image_newline",
];

/// Names the text model's tensors as if it were published by itself, and leaves out those of
/// pictures. Returns what is left out: how many, and the first words of their names.
pub fn text_tensors(tensors: &mut Tensors<'_>) -> (usize, Vec<String>) {
    let (mut count, mut parts) = (0, Vec::new());
    for (name, raw) in std::mem::take(tensors) {
        if PICTURES.iter().any(|start| name.starts_with(start)) {
            count += 1;
            let bare = name.strip_prefix("model.").unwrap_or(&name);
            let part = bare.split('.').next().unwrap_or_default().to_owned();
            if !parts.contains(&part) {
                parts.push(part);
            }
            continue;
        }
        let renamed = TEXT.iter().find_map(|(from, to)| Some((to, name.strip_prefix(from)?)));
        let renamed = renamed.map(|(to, rest)| format!("{to}{rest}"));
        tensors.insert(renamed.unwrap_or(name), raw);
    }
    (count, parts)
}
