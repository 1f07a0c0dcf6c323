//! Added tokens of a `tokenizer.json` and of the `tokenizer_config.json` beside it.

use std::collections::HashMap;

use serde_json::Value;

use crate::tokenizer::description::Added;
use crate::tokenizer::error::{TokenizerError, malformed};

/// The added tokens of both files. `tokenizer_config.json` speaks last, as in
/// `transformers`, where it also makes tokens of the vocabulary special by naming them.
pub(super) fn added_tokens(
    json: &Value,
    config: &Value,
    specials: &[(String, String)],
    vocab: &HashMap<&str, u32>,
) -> Result<Vec<Added>, TokenizerError> {
    let mut added: Vec<Added> = Vec::new();
    for token in json["added_tokens"].as_array().into_iter().flatten() {
        added.push(added_token(token["id"].as_u64(), token)?);
    }
    let decoder = config["added_tokens_decoder"].as_object().into_iter().flatten();
    let decoder = decoder.map(|(id, token)| added_token(id.parse().ok(), token));
    let mut decoder = decoder.collect::<Result<Vec<_>, _>>()?;
    decoder.sort_by_key(|token| token.id);
    for token in decoder {
        match added.iter_mut().find(|known| known.id == token.id) {
            Some(known) => *known = token,
            None => added.push(token),
        }
    }
    for (_, text) in specials {
        let known = added.iter().any(|token| token.text == *text);
        if let (false, Some(&id)) = (known, vocab.get(text.as_str())) {
            let (lstrip, rstrip, normalized, special) = (false, false, false, true);
            let text = text.clone();
            let single_word = false;
            added.push(Added { id, text, lstrip, rstrip, normalized, special, single_word });
        }
    }
    check_ids(&added, vocab)?;
    Ok(added)
}

/// `tokenizers` does not read the ids of added tokens but gives them anew: those of the
/// vocabulary, else the next free one. Where that is not what is written, nobody means it.
fn check_ids(added: &[Added], vocab: &HashMap<&str, u32>) -> Result<(), TokenizerError> {
    let mut next = vocab.len() as u32;
    for token in added {
        let given = vocab.get(token.text.as_str()).copied().unwrap_or(next);
        if given != token.id {
            let (text, id) = (&token.text, token.id);
            return Err(malformed(format!(
                "added_tokens: {text:?} has the id {id}, where it would get {given}"
            )));
        }
        next = next.max(given + 1);
    }
    Ok(())
}

fn added_token(id: Option<u64>, token: &Value) -> Result<Added, TokenizerError> {
    let wrong = || malformed(format!("added_tokens: {token}"));
    let flag = |name: &str| token[name].as_bool().unwrap_or(false);
    let text = token["content"].as_str().ok_or_else(wrong)?;
    Ok(Added {
        id: id
            .and_then(|id| u32::try_from(id).ok())
            .filter(|&id| id < 1 << 30)
            .ok_or_else(wrong)?,
        text: text.to_owned(),
        lstrip: flag("lstrip"),
        rstrip: flag("rstrip"),
        special: flag("special"),
        single_word: flag("single_word"),
        normalized: token["normalized"].as_bool().unwrap_or(!flag("special")),
    })
}
