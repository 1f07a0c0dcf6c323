//! The tokenizer of a GGUF file.

use std::collections::HashMap;

use oarlock::tokenizer::Splitter;

use super::alphabet::Alphabet;
use super::description::{Added, Description, Merge, Token, merges, place_added, spaced_pair};
use super::{Compiled, TokenizerError, malformed, write};

mod scored;

/// What GGUF metadata says about a tokenizer, under keys `tokenizer.ggml.…`.
#[derive(Clone, Debug, Default)]
pub struct GgufTokenizer<'a> {
    /// `model`
    pub model: &'a str,
    /// `pre`
    pub pre: Option<&'a str>,
    /// `tokens`
    pub tokens: Vec<&'a str>,
    /// `token_type`; empty if missing
    pub token_types: Vec<i32>,
    /// `scores`; empty if missing
    pub scores: Vec<f32>,
    /// `merges`
    pub merges: Vec<&'a str>,
    /// `bos_token_id`
    pub bos: Option<u32>,
    /// `eos_token_id`
    pub eos: Option<u32>,
    /// `eot_token_id`
    pub eot: Option<u32>,
    /// `unknown_token_id`
    pub unknown: Option<u32>,
    /// `padding_token_id`
    pub padding: Option<u32>,
    /// `add_bos_token`
    pub add_bos: Option<bool>,
    /// `add_eos_token`
    pub add_eos: Option<bool>,
    /// `add_space_prefix`
    pub add_space_prefix: Option<bool>,
    /// Whether there is a `precompiled_charsmap`
    pub has_charsmap: bool,
}

/// Types of tokens in `token_type`.
const NORMAL: i32 = 1;
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;
const BYTE: i32 = 6;

/// Control tokens that end an answer; the metadata names only one or two ids.
const ENDS: [&str; 9] = [
    "<|im_end|>",
    "<|endoftext|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|end|>",
    "<end_of_turn>",
    HARMONY_END,
    "<|call|>",
];
/// What ends an answer of gpt-oss.
const HARMONY_END: &str = "<|return|>";

/// Compiles the tokenizer of a GGUF file.
pub fn from_gguf(source: &GgufTokenizer<'_>) -> Result<Compiled, TokenizerError> {
    let mut description = match source.model {
        // llama.cpp goes by one in the tokenizers of T5 and BERT only.
        "gpt2" | "llama" if source.has_charsmap => {
            let found = "a table, which is read of tokenizer.json only";
            return Err(TokenizerError::unsupported("tokenizer.ggml.precompiled_charsmap", found));
        }
        "gpt2" if source.add_space_prefix == Some(true) => {
            return Err(TokenizerError::unsupported("tokenizer.ggml.add_space_prefix", true));
        }
        "gpt2" => describe(source)?,
        "llama" => scored::describe(source)?,
        other => return Err(TokenizerError::unsupported("tokenizer.ggml.model", other)),
    };
    let alphabet = Alphabet::new();
    place_added(&mut description, |text| alphabet.decoded(text));
    let thought_end = thought_end(source);
    for id in source.eos.into_iter().chain(source.eot).filter(|&id| Some(id) != thought_end) {
        if let Some(token) = description.tokens.get_mut(id as usize) {
            token.end = true;
        }
    }
    Ok(Compiled {
        section: write::write(&description)?,
        vocab_size: description.tokens.len(),
        specials: specials(source),
    })
}

/// What ends the thoughts of gpt-oss, and its answers by no name: elsewhere the same token ends those.
fn thought_end(source: &GgufTokenizer<'_>) -> Option<u32> {
    let id = |text| (0..).zip(&source.tokens).find(|&(_, token)| *token == text).map(|(id, _)| id);
    id(HARMONY_END).and_then(|_: u32| id("<|end|>"))
}

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

fn describe(source: &GgufTokenizer<'_>) -> Result<Description, TokenizerError> {
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
    Ok(Description {
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
        ..Description::default()
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

/// The type of each token; without any, those that the metadata names are control tokens.
fn types(source: &GgufTokenizer<'_>) -> Result<Vec<i32>, TokenizerError> {
    if source.token_types.is_empty() {
        let mut types = vec![NORMAL; source.tokens.len()];
        for (_, id) in named(source) {
            if let Some(kind) = types.get_mut(id as usize) {
                *kind = CONTROL;
            }
        }
        return Ok(types);
    }
    if source.token_types.len() != source.tokens.len() {
        return Err(malformed("tokenizer.ggml.token_type: not as many as tokens"));
    }
    match source.token_types.iter().find(|kind| !(NORMAL..=BYTE).contains(kind)) {
        Some(kind) => Err(TokenizerError::unsupported("tokenizer.ggml.token_type", kind)),
        None => Ok(source.token_types.clone()),
    }
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

/// Control and user-defined tokens, whose further flags GGUF does not keep.
/// `normalized` says whether user-defined ones are looked for in the text as rewritten.
fn added(source: &GgufTokenizer<'_>, types: &[i32], normalized: bool) -> Vec<Added> {
    let token = |((id, text), &kind): ((u32, &&str), &i32)| {
        matches!(kind, CONTROL | UNKNOWN | USER_DEFINED).then(|| Added {
            id,
            text: (*text).to_owned(),
            lstrip: false,
            rstrip: false,
            normalized: normalized && kind == USER_DEFINED,
            special: kind != USER_DEFINED,
            single_word: false,
        })
    };
    (0..).zip(&source.tokens).zip(types).filter_map(token).collect()
}

/// The ids that have a name.
fn named(source: &GgufTokenizer<'_>) -> Vec<(&'static str, u32)> {
    let ids = [
        ("bos_token", source.bos),
        ("eos_token", source.eos),
        ("unk_token", source.unknown),
        ("pad_token", source.padding),
    ];
    ids.into_iter().filter_map(|(name, id)| Some((name, id?))).collect()
}

fn specials(source: &GgufTokenizer<'_>) -> Vec<(String, String)> {
    let text = |(name, id): (&str, u32)| {
        source.tokens.get(id as usize).map(|text| (name.to_owned(), (*text).to_owned()))
    };
    named(source).into_iter().filter_map(text).collect()
}
