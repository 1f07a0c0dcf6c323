//! Tokens that a `tokenizer.json` puts before and after a text.

use serde_json::Value;

use crate::tokenizer::description::Added;
use crate::tokenizer::error::TokenizerError;

/// Ids before and after a text.
pub(super) type Surroundings = (Vec<u32>, Vec<u32>);

/// Classes of `transformers` 4, for which files are made (5 has other ones), that read `add_bos_token` and
/// `add_eos_token`, but for the `Fast` at their end; to all others the post-processor says everything.
const READERS: [&str; 5] = [
    "LlamaTokenizer",
    "CodeLlamaTokenizer",
    "GemmaTokenizer",
    "CohereTokenizer",
    "GPTNeoXTokenizer",
];

/// Reads what the post-processor puts around a text; `add_bos_token` and `add_eos_token` replace it
/// if `tokenizer_config.json` has them, and names no class that does not read them.
pub(super) fn surroundings(
    json: &Value,
    config: &Value,
    added: &[Added],
) -> Result<Surroundings, TokenizerError> {
    let (bos, eos) = (config["add_bos_token"].as_bool(), config["add_eos_token"].as_bool());
    let class = config["tokenizer_class"].as_str();
    let reads = |class: &str| READERS.contains(&class.strip_suffix("Fast").unwrap_or(class));
    if (bos.is_none() && eos.is_none()) || !class.is_none_or(reads) {
        return post_processor(&json["post_processor"]);
    }
    let named = |name: &str, wanted: Option<bool>| {
        let text = config[name].as_str().or_else(|| config[name]["content"].as_str());
        let token = added.iter().find(|token| Some(token.text.as_str()) == text);
        token.filter(|_| wanted == Some(true)).map(|token| token.id).into_iter().collect()
    };
    Ok((named("bos_token", bos), named("eos_token", eos)))
}

fn post_processor(processor: &Value) -> Result<Surroundings, TokenizerError> {
    let refused = || TokenizerError::unsupported("post_processor", processor);
    match processor["type"].as_str() {
        None if processor.is_null() => Ok(Surroundings::default()),
        Some("ByteLevel") => Ok(Surroundings::default()),
        Some("TemplateProcessing") => template_processing(processor).ok_or_else(refused),
        Some("Sequence") => {
            let (mut prefix, mut suffix) = Surroundings::default();
            for inner in processor["processors"].as_array().ok_or_else(refused)? {
                let (before, after) = post_processor(inner)?;
                prefix.splice(..0, before);
                suffix.extend(after);
            }
            Ok((prefix, suffix))
        }
        _ => Err(refused()),
    }
}

/// Special tokens before and after the one sequence of a `single` template.
fn template_processing(processor: &Value) -> Option<Surroundings> {
    let (mut prefix, mut suffix, mut passed) = (Vec::new(), Vec::new(), false);
    for piece in processor["single"].as_array()? {
        if piece["Sequence"].is_object() {
            if std::mem::replace(&mut passed, true) {
                return None;
            }
            continue;
        }
        let name = piece["SpecialToken"]["id"].as_str()?;
        for id in processor["special_tokens"][name]["ids"].as_array()? {
            let id = u32::try_from(id.as_u64()?).ok()?;
            if passed { &mut suffix } else { &mut prefix }.push(id);
        }
    }
    passed.then_some((prefix, suffix))
}
