//! `tokenizer.json` of Hugging Face `tokenizers`.

mod added;
mod charsmap;
mod model;
mod normalizer;
mod post_processor;
mod pre_tokenizer;
mod unigram;

use oarlock::tokenizer::tables::Units;
use serde_json::Value;

use super::alphabet::Alphabet;
use super::compiled::Compiled;
use super::description::{TokenizerDescription, check_added, place_added};
use super::error::{TokenizerError, malformed};
use super::sentencepiece::Decoder;
use super::write;
use added::added_tokens;
use model::{describe, refuse_unknown, vocab};
use post_processor::surroundings;

/// Names by which `tokenizer_config.json` and chat templates know special tokens.
const NAMES: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// Compiles `tokenizer.json`, with `tokenizer_config.json` for the names of special tokens.
///
/// `ends` are the ids that end what the model generates (`eos_token_id` of
/// `generation_config.json` or `config.json`); the `eos_token` of the tokenizer is always one.
///
/// # Errors
/// If a file is malformed, or says something that the runtime does not do.
pub fn from_json(
    tokenizer: &[u8],
    config: Option<&[u8]>,
    ends: &[u32],
) -> Result<Compiled, TokenizerError> {
    let json = parse("tokenizer.json", tokenizer)?;
    let config = config.map_or(Ok(Value::Null), |json| parse("tokenizer_config.json", json))?;
    let specials = specials(&config);
    refuse_unknown(&json["model"])?;
    let vocab = vocab(&json["model"])?;
    let mut description = describe(&json, &vocab)?;
    description.added = added_tokens(&json, &config, &specials, &vocab)?;
    check_added(&description.added)?;
    if description.units == Units::Bytes {
        let alphabet = Alphabet::new();
        place_added(&mut description, |text| alphabet.decoded(text));
    } else {
        let decoder = Decoder::recognise(&json["decoder"])?;
        place_added(&mut description, |text| decoder.decoded(text));
    }
    (description.prefix, description.suffix) = surroundings(&json, &config, &description.added)?;
    mark_ends(&mut description, &specials, ends);
    Ok(Compiled {
        section: write::write(&description)?,
        vocab_size: description.tokens.len(),
        specials,
        added: description.added.into_iter().map(|added| (added.id, added.text)).collect(),
    })
}

fn parse(name: &str, bytes: &[u8]) -> Result<Value, TokenizerError> {
    serde_json::from_slice(bytes).map_err(|error| malformed(format!("{name}: {error}")))
}

/// The named special tokens of `tokenizer_config.json`, as text or as `{"content": text}`.
fn specials(config: &Value) -> Vec<(String, String)> {
    let text = |name: &str| {
        let token = &config[name];
        token.as_str().or_else(|| token["content"].as_str()).map(str::to_owned)
    };
    NAMES.iter().filter_map(|&name| Some((name.to_owned(), text(name)?))).collect()
}

fn mark_ends(description: &mut TokenizerDescription, specials: &[(String, String)], ends: &[u32]) {
    let eos = specials.iter().find(|(name, _)| name == "eos_token").map(|(_, text)| text);
    let eos = description.added.iter().find(|added| Some(&added.text) == eos);
    for id in eos.map(|added| added.id).into_iter().chain(ends.iter().copied()) {
        if let Some(token) = description.tokens.get_mut(id as usize) {
            token.end = true;
        }
    }
}
