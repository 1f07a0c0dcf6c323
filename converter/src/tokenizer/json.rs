//! `tokenizer.json` of Hugging Face `tokenizers`.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::alphabet::Alphabet;
use super::description::{Added, Description, Merge, Token, check_added, merges, spaced_pair};
use super::{Compiled, TokenizerError, malformed, pre_tokenizer, write};

/// Names by which `tokenizer_config.json` and chat templates know special tokens.
const NAMES: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// Compiles `tokenizer.json`, with `tokenizer_config.json` for the names of special tokens.
///
/// `ends` are the ids that end what the model generates (`eos_token_id` of
/// `generation_config.json` or `config.json`); the `eos_token` of the tokenizer is always one.
pub fn from_json(
    tokenizer: &[u8],
    config: Option<&[u8]>,
    ends: &[u32],
) -> Result<Compiled, TokenizerError> {
    let json = parse("tokenizer.json", tokenizer)?;
    let config = config.map_or(Ok(Value::Null), |json| parse("tokenizer_config.json", json))?;
    let specials = specials(&config);
    refuse_unknown(&json)?;
    let vocab = vocab(&json["model"])?;
    let mut description = describe(&json, &vocab)?;
    description.added = added_tokens(&json, &config, &specials, &vocab)?;
    check_added(&description.added)?;
    place_added(&mut description);
    (description.prefix, description.suffix) = surroundings(&json, &config, &description.added)?;
    mark_ends(&mut description, &specials, ends);
    Ok(Compiled {
        section: write::write(&description)?,
        vocab_size: description.tokens.len(),
        specials,
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

/// Refuses models, normalizers and decoders that are not plain byte-level BPE.
fn refuse_unknown(json: &Value) -> Result<(), TokenizerError> {
    let model = &json["model"];
    match model["type"].as_str() {
        Some("BPE") => {}
        None if model["merges"].is_array() => {}
        other => return Err(TokenizerError::unsupported("model", other.unwrap_or("none"))),
    }
    let empty = |value: &Value| value.is_null() || value == "";
    for affix in ["continuing_subword_prefix", "end_of_word_suffix"] {
        if !empty(&model[affix]) {
            return Err(TokenizerError::unsupported("model", format!("{affix} {}", model[affix])));
        }
    }
    if model["dropout"].as_f64().is_some_and(|dropout| dropout != 0.0) {
        return Err(TokenizerError::unsupported("model", format!("dropout {}", model["dropout"])));
    }
    let normalizer = &json["normalizer"];
    if !normalizer.is_null() && normalizer["normalizers"].as_array().is_none_or(|n| !n.is_empty()) {
        return Err(TokenizerError::unsupported("normalizer", normalizer));
    }
    match json["decoder"]["type"].as_str() {
        Some("ByteLevel") => Ok(()),
        _ => Err(TokenizerError::unsupported("decoder", &json["decoder"])),
    }
}

/// The model's vocabulary.
fn vocab(model: &Value) -> Result<HashMap<&str, u32>, TokenizerError> {
    let entries = model["vocab"].as_object().ok_or_else(|| malformed("model.vocab: missing"))?;
    let id = |(text, id): (&_, &Value)| {
        let id = id.as_u64().and_then(|id| u32::try_from(id).ok()).filter(|&id| id < 1 << 30);
        id.ok_or_else(|| malformed(format!("model.vocab: the id of {text:?}")))
    };
    entries.iter().map(|(text, value)| Ok((text.as_str(), id((text, value))?))).collect()
}

/// Everything but the added tokens and what goes around a text.
fn describe(json: &Value, vocab: &HashMap<&str, u32>) -> Result<Description, TokenizerError> {
    let model = &json["model"];
    let alphabet = Alphabet::new();
    let mut tokens = Vec::new();
    let mut byte_ids = vec![None; 256];
    for (text, &id) in vocab {
        let spelled = alphabet.spelled(text);
        if let Some([byte]) = spelled.as_deref() {
            byte_ids[usize::from(*byte)] = Some(id);
        }
        let token = Token {
            merged: spelled.is_some(),
            bytes: spelled.unwrap_or_else(|| text.as_bytes().to_vec()),
            ..Token::default()
        };
        place(&mut tokens, id, token)?;
    }
    refuse_unknown_bytes(model, &byte_ids)?;
    Ok(Description {
        splitter: pre_tokenizer::recognise(&json["pre_tokenizer"])?,
        tokens,
        byte_ids,
        merges: model_merges(model, vocab)?,
        ignore_merges: model["ignore_merges"] == true,
        added: Vec::new(),
        prefix: Vec::new(),
        suffix: Vec::new(),
    })
}

fn place(tokens: &mut Vec<Token>, id: u32, token: Token) -> Result<(), TokenizerError> {
    let at = id as usize;
    if tokens.len() <= at {
        tokens.resize(at + 1, Token::default());
    }
    if !tokens[at].bytes.is_empty() {
        return Err(malformed(format!("model.vocab: two tokens have the id {id}")));
    }
    tokens[at] = token;
    Ok(())
}

/// Bytes without a token are dropped; what `unk_token` or `byte_fallback` would make of them
/// is not done.
fn refuse_unknown_bytes(model: &Value, byte_ids: &[Option<u32>]) -> Result<(), TokenizerError> {
    if byte_ids.iter().all(Option::is_some) {
        return Ok(());
    }
    if let Some(unk) = model["unk_token"].as_str() {
        return Err(TokenizerError::unsupported(
            "unk_token",
            format!("{unk:?}, with bytes missing"),
        ));
    }
    if model["byte_fallback"] == true {
        return Err(TokenizerError::unsupported("model", "byte_fallback, with bytes missing"));
    }
    Ok(())
}

/// Merges are spelled `"a b"` or `["a", "b"]`.
fn model_merges(model: &Value, vocab: &HashMap<&str, u32>) -> Result<Vec<Merge>, TokenizerError> {
    let list = model["merges"].as_array().ok_or_else(|| malformed("model.merges: missing"))?;
    let pair = |merge| {
        split_merge(merge).ok_or_else(|| malformed(format!("model.merges: {merge} is no pair")))
    };
    let header = |merge: &&Value| merge.as_str().is_some_and(|text| text.starts_with("#version"));
    let pairs: Result<Vec<_>, _> = list.iter().filter(|merge| !header(merge)).map(pair).collect();
    merges(pairs?.into_iter(), vocab)
}

fn split_merge(merge: &Value) -> Option<(&str, &str)> {
    match merge {
        Value::String(text) => spaced_pair(text),
        Value::Array(pair) => match pair.as_slice() {
            [left, right] => Some((left.as_str()?, right.as_str()?)),
            _ => None,
        },
        _ => None,
    }
}

/// The added tokens of both files. `tokenizer_config.json` speaks last, as in
/// `transformers`, where it also makes tokens of the vocabulary special by naming them.
fn added_tokens(
    json: &Value,
    config: &Value,
    specials: &[(String, String)],
    vocab: &HashMap<&str, u32>,
) -> Result<Vec<Added>, TokenizerError> {
    let mut added = BTreeMap::new();
    for token in json["added_tokens"].as_array().into_iter().flatten() {
        let token = added_token(token["id"].as_u64(), token)?;
        added.insert(token.id, token);
    }
    for (id, token) in config["added_tokens_decoder"].as_object().into_iter().flatten() {
        let token = added_token(id.parse().ok(), token)?;
        added.insert(token.id, token);
    }
    for (_, text) in specials {
        let known = added.values_mut().find(|token| token.text == *text);
        if let (None, Some(&id)) = (known, vocab.get(text.as_str())) {
            let (lstrip, rstrip, normalized, special) = (false, false, false, true);
            added.insert(id, Added { id, text: text.clone(), lstrip, rstrip, normalized, special });
        }
    }
    added.values().try_for_each(|token| match vocab.get(token.text.as_str()) {
        Some(&id) if id != token.id => Err(malformed(format!(
            "added_tokens: {:?} has the id {}, in the vocabulary {id}",
            token.text, token.id
        ))),
        _ => Ok(()),
    })?;
    Ok(added.into_values().collect())
}

fn added_token(id: Option<u64>, token: &Value) -> Result<Added, TokenizerError> {
    let wrong = || malformed(format!("added_tokens: {token}"));
    let flag = |name: &str| token[name].as_bool().unwrap_or(false);
    let text = token["content"].as_str().ok_or_else(wrong)?;
    if flag("single_word") {
        let found = format!("single_word of {text:?}");
        return Err(TokenizerError::unsupported("added tokens", found));
    }
    Ok(Added {
        id: id
            .and_then(|id| u32::try_from(id).ok())
            .filter(|&id| id < 1 << 30)
            .ok_or_else(wrong)?,
        text: text.to_owned(),
        lstrip: flag("lstrip"),
        rstrip: flag("rstrip"),
        special: flag("special"),
        normalized: token["normalized"].as_bool().unwrap_or(!flag("special")),
    })
}

/// Gives the added tokens their place among the tokens.
pub(super) fn place_added(description: &mut Description) {
    let alphabet = Alphabet::new();
    for added in &description.added {
        let at = added.id as usize;
        if description.tokens.len() <= at {
            description.tokens.resize(at + 1, Token::default());
        }
        let token = &mut description.tokens[at];
        token.special = added.special;
        if token.bytes.is_empty() {
            token.bytes = alphabet.decoded(&added.text);
        }
    }
}

/// Ids before and after a text.
type Surroundings = (Vec<u32>, Vec<u32>);

/// What the post-processor puts around a text; `add_bos_token` and `add_eos_token` replace
/// it if `tokenizer_config.json` has them, as in `transformers`.
fn surroundings(
    json: &Value,
    config: &Value,
    added: &[Added],
) -> Result<Surroundings, TokenizerError> {
    let (bos, eos) = (config["add_bos_token"].as_bool(), config["add_eos_token"].as_bool());
    if bos.is_none() && eos.is_none() {
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

fn mark_ends(description: &mut Description, specials: &[(String, String)], ends: &[u32]) {
    let eos = specials.iter().find(|(name, _)| name == "eos_token").map(|(_, text)| text);
    let eos = description.added.iter().find(|added| Some(&added.text) == eos);
    for id in eos.map(|added| added.id).into_iter().chain(ends.iter().copied()) {
        if let Some(token) = description.tokens.get_mut(id as usize) {
            token.end = true;
        }
    }
}
