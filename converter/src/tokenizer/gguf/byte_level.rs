//! The tokenizer of a GGUF file of the model `gpt2`: byte-level BPE.

use std::collections::HashMap;

use oarlock::tokenizer::Splitter;

use super::metadata::{CONTROL, ENDS, GgufTokenizer, NORMAL, UNUSED, added, thought_end, types};
use crate::tokenizer::alphabet::Alphabet;
use crate::tokenizer::description::{Merge, Token, TokenizerDescription, merges, spaced_pair};
use crate::tokenizer::error::{TokenizerError, malformed};

fn splitter(source: &GgufTokenizer<'_>) -> Result<Splitter, TokenizerError> {
    match source.pre {
        Some("gpt-2" | "phi-2" | "olmo" | "mpt") => Ok(Splitter::Gpt2),
        Some("llama-bpe" | "llama3" | "llama-v3" | "glm4" | "chatglm-bpe") => Ok(Splitter::Llama3),
        Some("qwen2" | "deepseek-r1-qwen" | "stablelm2") => Ok(Splitter::Qwen2),
        Some("smollm" | "starcoder" | "refact" | "command-r") => Ok(Splitter::SmolLm),
        Some("gpt-4o") => Ok(Splitter::O200k),
        Some("tekken") => Ok(Splitter::Tekken),
        Some("bloom") => Ok(Splitter::Bloom),
        Some("falcon") => Ok(Splitter::Falcon),
        other => Err(TokenizerError::unsupported("tokenizer.ggml.pre", other.unwrap_or("none"))),
    }
}

pub(super) fn describe(source: &GgufTokenizer<'_>) -> Result<TokenizerDescription, TokenizerError> {
    let splitter = splitter(source)?;
    let types = types(source)?;
    let vocab: HashMap<&str, u32> = source.tokens.iter().copied().zip(0..).collect();
    if vocab.len() != source.tokens.len() {
        return Err(malformed("tokenizer.ggml.tokens: the same token twice"));
    }
    let (tokens, byte_ids) = tokens(source, &types);
    let pre = source.pre.unwrap_or_default();
    let is_llama3 = splitter == Splitter::Llama3 && pre != "glm4" && pre != "chatglm-bpe";
    // Files of Llama 3 and of Tekken leave the key out and mean yes.
    let add_bos = source.add_bos.unwrap_or(is_llama3 || splitter == Splitter::Tekken);
    let add_eos = source.add_eos.unwrap_or(false);
    Ok(TokenizerDescription {
        splitter,
        tokens,
        byte_ids,
        merges: merge_pairs(source, &vocab)?,
        ignore_merges: is_llama3
            || pre == "glm4"
            || matches!(splitter, Splitter::O200k | Splitter::Tekken),
        added: added(source, &types, true),
        prefix: source.bos.filter(|_| add_bos).into_iter().collect(),
        suffix: source.eos.filter(|_| add_eos).into_iter().collect(),
        ..TokenizerDescription::default()
    })
}

/// The tokens, and which of them stands for each byte.
fn tokens(source: &GgufTokenizer<'_>, types: &[i32]) -> (Vec<Token>, Vec<Option<u32>>) {
    let alphabet = Alphabet::new();
    let thought_end = thought_end(source);
    let mut byte_ids = vec![None; 256];
    let mut tokens = Vec::new();
    for ((id, text), &kind) in (0..).zip(&source.tokens).zip(types) {
        let spelled = alphabet.spelled(text).filter(|_| kind != UNUSED);
        if let (Some([byte]), NORMAL) = (spelled.as_deref(), kind) {
            byte_ids[usize::from(*byte)] = Some(id);
        }
        tokens.push(Token {
            merged: spelled.is_some() && kind == NORMAL,
            bytes: spelled.unwrap_or_else(|| text.as_bytes().to_vec()),
            end: kind == CONTROL && ENDS.contains(text) && Some(id) != thought_end,
            special: false, // The added tokens say.
        });
    }
    (tokens, byte_ids)
}

fn merge_pairs(
    source: &GgufTokenizer<'_>,
    vocab: &HashMap<&str, u32>,
) -> Result<Vec<Merge>, TokenizerError> {
    let pairs = source.merges.iter().map(|merge| {
        let wrong = || malformed(format!("tokenizer.ggml.merges: {merge:?} is no pair"));
        spaced_pair(merge).ok_or_else(wrong)
    });
    merges(pairs.collect::<Result<Vec<_>, _>>()?.into_iter(), vocab)
}
