//! The model of a `tokenizer.json`: its vocabulary, and how tokens are made of it.

use std::collections::HashMap;

use oarlock::tokenizer::tables::{SPACE_MARK, Units};
use serde_json::Value;

use super::normalizer::Normalizer;
use super::{pre_tokenizer, unigram};
use crate::tokenizer::alphabet::Alphabet;
use crate::tokenizer::description::{Merge, Token, TokenizerDescription, merges, spaced_pair};
use crate::tokenizer::error::{TokenizerError, malformed};
use crate::tokenizer::sentencepiece::{self as spaces, Decoder};

/// Refuses models that are neither plain BPE nor Unigram.
pub(super) fn refuse_unknown(model: &Value) -> Result<(), TokenizerError> {
    match model["type"].as_str() {
        Some("BPE" | "Unigram") => {}
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
    Ok(())
}

/// The model's vocabulary.
pub(super) fn vocab(model: &Value) -> Result<HashMap<&str, u32>, TokenizerError> {
    if model["type"] == "Unigram" {
        return Ok(unigram::pieces(model)?.into_iter().map(|(text, _)| text).zip(0..).collect());
    }
    let entries = model["vocab"].as_object().ok_or_else(|| malformed("model.vocab: missing"))?;
    let id = |(text, id): (&_, &Value)| {
        let id = id.as_u64().and_then(|id| u32::try_from(id).ok()).filter(|&id| id < 1 << 30);
        id.ok_or_else(|| malformed(format!("model.vocab: the id of {text:?}")))
    };
    entries.iter().map(|(text, value)| Ok((text.as_str(), id((text, value))?))).collect()
}

/// Everything but the added tokens and what goes around a text.
pub(super) fn describe(
    json: &Value,
    vocab: &HashMap<&str, u32>,
) -> Result<TokenizerDescription, TokenizerError> {
    let model = &json["model"];
    let Normalizer { rules, charsmap } = Normalizer::recognise(&json["normalizer"])?;
    let mut description = match json["decoder"]["type"].as_str() {
        Some("ByteLevel") if model["type"] != "Unigram" => byte_level(json, vocab, rules)?,
        _ => character_level(json, vocab, rules)?,
    };
    description.charsmap = charsmap;
    if model["type"] == "Unigram" {
        unigram::add_scores(model, vocab, &mut description)?;
        return Ok(description);
    }
    description.merges = model_merges(model, vocab)?;
    description.ignore_merges = model["ignore_merges"] == true;
    Ok(description)
}

/// A tokenizer whose tokens spell bytes.
fn byte_level(
    json: &Value,
    vocab: &HashMap<&str, u32>,
    rules: u32,
) -> Result<TokenizerDescription, TokenizerError> {
    let alphabet = Alphabet::new();
    let mut description = TokenizerDescription {
        splitter: pre_tokenizer::recognise(&json["pre_tokenizer"])?,
        rules,
        ..TokenizerDescription::default()
    };
    if rules & SPACE_MARK != 0 {
        return Err(TokenizerError::unsupported("normalizer", &json["normalizer"]));
    }
    for (text, &id) in vocab {
        let spelled = alphabet.spelled(text);
        if let Some([byte]) = spelled.as_deref() {
            description.byte_ids[usize::from(*byte)] = Some(id);
        }
        let token = Token {
            merged: spelled.is_some(),
            bytes: spelled.unwrap_or_else(|| text.as_bytes().to_vec()),
            ..Token::default()
        };
        place(&mut description.tokens, id, token)?;
    }
    refuse_unknown_bytes(&json["model"], &description.byte_ids)?;
    Ok(description)
}

/// A tokenizer whose tokens spell characters, SentencePiece's mark for a space.
fn character_level(
    json: &Value,
    vocab: &HashMap<&str, u32>,
    rules: u32,
) -> Result<TokenizerDescription, TokenizerError> {
    let model = &json["model"];
    let decoder = Decoder::recognise(&json["decoder"])?;
    let (splitter, rules) = spaces::splitter(&json["pre_tokenizer"], rules)?;
    let fused = model["fuse_unk"] == true;
    let mut description = TokenizerDescription {
        splitter,
        rules: rules | decoder.rules,
        units: if fused { Units::FusedCharacters } else { Units::Characters },
        ..TokenizerDescription::default()
    };
    for (text, &id) in vocab {
        // A space is never looked up: it has become a mark. Nor are names of bytes.
        let merged = !text.contains(' ') && spaces::byte(text).is_none();
        let token = Token { bytes: decoder.decoded(text), merged, ..Token::default() };
        place(&mut description.tokens, id, token)?;
    }
    if model["byte_fallback"] == true {
        description.byte_ids = byte_fallback(vocab)?;
    }
    if let Some(unknown) = model["unk_token"].as_str() {
        let id = vocab.get(unknown).ok_or_else(|| malformed("model.unk_token: no such token"))?;
        description.unknown = Some(*id);
    }
    Ok(description)
}

/// The tokens that bytes fall back to. A character that is a token itself needs none.
fn byte_fallback(vocab: &HashMap<&str, u32>) -> Result<Vec<Option<u32>>, TokenizerError> {
    let id = |byte| vocab.get(spaces::byte_token(byte).as_str()).copied();
    let ids: Vec<_> = (0..=u8::MAX).map(id).collect();
    let needed =
        |byte: u8| !byte.is_ascii() || !vocab.contains_key(char::from(byte).to_string().as_str());
    let missing = (0..=u8::MAX).zip(&ids).any(|(byte, id)| id.is_none() && needed(byte));
    if !missing || ids.iter().all(Option::is_none) {
        return Ok(ids);
    }
    let found = "byte_fallback, with tokens of only some bytes";
    Err(TokenizerError::unsupported("model", found))
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
