//! Scores of the pieces of a `tokenizer.json` of type Unigram.

use std::collections::HashMap;

use oarlock::tokenizer::tables::Units;
use serde_json::Value;

use crate::tokenizer::description::TokenizerDescription;
use crate::tokenizer::error::{TokenizerError, malformed};

/// The pieces and their scores, by id.
pub(super) fn pieces(model: &Value) -> Result<Vec<(&str, f64)>, TokenizerError> {
    let list = model["vocab"].as_array().ok_or_else(|| malformed("model.vocab: missing"))?;
    list.iter().enumerate().map(|(id, entry)| piece(id, entry)).collect()
}

fn piece(id: usize, entry: &Value) -> Result<(&str, f64), TokenizerError> {
    let (text, score) = (entry[0].as_str(), entry[1].as_f64());
    let wrong = || malformed(format!("model.vocab: the piece {id}"));
    text.zip(score.filter(|score| score.is_finite())).ok_or_else(wrong)
}

/// Chooses tokens by their scores.
pub(super) fn add_scores(
    model: &Value,
    vocab: &HashMap<&str, u32>,
    description: &mut TokenizerDescription,
) -> Result<(), TokenizerError> {
    let pieces = pieces(model)?;
    if vocab.len() != pieces.len() {
        return Err(malformed("model.vocab: the same piece twice"));
    }
    let unknown = model["unk_id"].as_u64().and_then(|id| u32::try_from(id).ok());
    let unknown = unknown.filter(|&id| (id as usize) < pieces.len());
    description.unknown = Some(unknown.ok_or_else(|| malformed("model.unk_id: no such token"))?);
    description.units = Units::Scored;
    description.scores = pieces.into_iter().map(|(_, score)| score).collect();
    Ok(())
}
