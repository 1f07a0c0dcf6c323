//! The tokenizer of a GGUF file of the model `llama`: SentencePiece's, whose pieces have scores.

use std::collections::HashMap;

use oarlock::tokenizer::Splitter;
use oarlock::tokenizer::tables::{PREPEND, SPACE_MARK, STRIP, Units};

use super::metadata::{BYTE, GgufTokenizer, NORMAL, UNUSED, added, is_end, types};
use crate::tokenizer::description::{Merge, Token, TokenizerDescription};
use crate::tokenizer::error::{TokenizerError, malformed};
use crate::tokenizer::sentencepiece::{META_SYMBOL, byte};

/// All but the places of added tokens. A file that does not say means BOS and a space before a text.
pub(super) fn describe(source: &GgufTokenizer<'_>) -> Result<TokenizerDescription, TokenizerError> {
    let types = types(source)?;
    if source.scores.len() != source.tokens.len() {
        return Err(malformed("tokenizer.ggml.scores: not as many as tokens"));
    }
    let spaced = source.add_space_prefix.unwrap_or(true);
    let (bos, eos) = (source.add_bos.unwrap_or(true), source.add_eos.unwrap_or(false));
    let mut description = TokenizerDescription {
        splitter: Splitter::Whole,
        rules: SPACE_MARK | if spaced { PREPEND | STRIP } else { 0 },
        units: Units::FusedCharacters,
        unknown: Some(source.unknown.unwrap_or(0)),
        merges: merges(source, &types)?,
        added: added(source, &types, false),
        prefix: source.bos.filter(|_| bos).into_iter().collect(),
        suffix: source.eos.filter(|_| eos).into_iter().collect(),
        ..TokenizerDescription::default()
    };
    for ((id, text), &kind) in (0..).zip(&source.tokens).zip(&types) {
        let byte = byte(text).filter(|_| kind == BYTE);
        if let Some(byte) = byte {
            description.byte_ids[usize::from(byte)] = Some(id);
        }
        description.tokens.push(Token {
            bytes: byte
                .map_or_else(|| text.replace(META_SYMBOL, " ").into_bytes(), |byte| vec![byte]),
            merged: kind == NORMAL && !text.contains(' '),
            end: is_end(text, kind),
            special: false, // The added tokens say.
        });
    }
    Ok(description)
}

/// Every way to make a piece of two others. The highest score goes first, which is what the ranks of
/// `tokenizer.json` are made of as well; `transformers` orders those of one score like this.
fn merges(source: &GgufTokenizer<'_>, types: &[i32]) -> Result<Vec<Merge>, TokenizerError> {
    let pieces = || (0_u32..).zip(&source.tokens).zip(types).zip(&source.scores);
    let usable = |kind: i32| kind != UNUSED && kind != BYTE;
    let vocab: HashMap<&str, u32> = pieces()
        .filter(|((_, kind), _)| usable(**kind))
        .map(|(((id, text), _), _)| (*text, id))
        .collect();
    let mut found = Vec::new();
    for (((id, text), &kind), &score) in pieces() {
        if kind != NORMAL {
            continue;
        }
        if score.is_nan() {
            return Err(malformed(format!("tokenizer.ggml.scores: that of {text:?}")));
        }
        let mut own: Vec<_> = text
            .char_indices()
            .skip(1)
            .enumerate()
            .filter_map(|(i, (at, _))| {
                let (left, right) = text.split_at(at);
                let merge = Merge { left: *vocab.get(left)?, right: *vocab.get(right)?, id };
                Some((score, i + 1, right.chars().count(), merge))
            })
            .collect();
        own.sort_by_key(|(.., merge)| (merge.left, merge.right));
        found.extend(own);
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)).then(b.2.cmp(&a.2)));
    Ok(found.into_iter().map(|(.., merge)| merge).collect())
}
