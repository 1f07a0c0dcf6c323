//! Metadata of a GGUF file about its tokenizer.

use crate::tokenizer::description::Added;
use crate::tokenizer::error::{TokenizerError, malformed};

/// Metadata of a GGUF file about its tokenizer, under keys `tokenizer.ggml.…`.
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
    /// The token that the chat template writes behind an answer.
    pub turn_end: Option<u32>,
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
pub(super) const NORMAL: i32 = 1;
pub(super) const UNKNOWN: i32 = 2;
pub(super) const CONTROL: i32 = 3;
pub(super) const USER_DEFINED: i32 = 4;
pub(super) const UNUSED: i32 = 5;
pub(super) const BYTE: i32 = 6;

/// Tokens that end an answer, whatever type a file gives them: the metadata names only one or two
/// ids, and some files have ends of turns as text or as tokens of the user (llama.cpp makes them
/// control tokens as well).
const TURN_ENDS: [&str; 17] = [
    "<|im_end|>",
    "<|endoftext|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|end|>",
    "<end_of_turn>",
    "<end_of_utterance>",
    "<turn|>",
    "<｜end▁of▁sentence｜>",
    "<|flush|>",
    "<|calls|>",
    "<|tool_response>",
    "[e~[",
    "_<EOT>",
    HARMONY_END,
    "<|call|>",
];
/// Control tokens that end an answer: of other types they may be what a model writes, such as tags.
const CONTROL_ENDS: [&str; 5] = ["</s>", "<eos>", "<EOT>", "[EOT]", "[EOS]"];

/// Whether a token ends an answer.
pub(super) fn is_end(text: &str, kind: i32) -> bool {
    kind == CONTROL && (TURN_ENDS.contains(&text) || CONTROL_ENDS.contains(&text))
}

/// The end of an answer of gpt-oss.
const HARMONY_END: &str = "<|return|>";

/// Finds the token that ends thoughts of gpt-oss and not its answers: elsewhere the same token ends
/// those.
pub(super) fn thought_end(source: &GgufTokenizer<'_>) -> Option<u32> {
    let id = |text| (0..).zip(&source.tokens).find(|&(_, token)| *token == text).map(|(id, _)| id);
    id(HARMONY_END).and_then(|_: u32| id("<|end|>"))
}

/// The type of each token. Ends of turns are control tokens.
pub(super) fn types(source: &GgufTokenizer<'_>) -> Result<Vec<i32>, TokenizerError> {
    let mut types = written_types(source)?;
    for (kind, text) in types.iter_mut().zip(&source.tokens) {
        if matches!(*kind, NORMAL | USER_DEFINED) && TURN_ENDS.contains(text) {
            *kind = CONTROL;
        }
    }
    Ok(types)
}

/// The type of each token as it is written; without any, those that the metadata names are control
/// tokens.
fn written_types(source: &GgufTokenizer<'_>) -> Result<Vec<i32>, TokenizerError> {
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

/// Control and user-defined tokens, whose further flags GGUF does not keep.
/// `normalized` says whether user-defined ones are looked for in the text as rewritten.
pub(super) fn added(source: &GgufTokenizer<'_>, types: &[i32], normalized: bool) -> Vec<Added> {
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

pub(super) fn specials(source: &GgufTokenizer<'_>) -> Vec<(String, String)> {
    let text = |(name, id): (&str, u32)| {
        source.tokens.get(id as usize).map(|text| (name.to_owned(), (*text).to_owned()))
    };
    named(source).into_iter().filter_map(text).collect()
}
