//! The tokenizer of a GGUF file of the model `gpt2`: byte-level BPE.

use std::collections::HashMap;

use oarlock::tokenizer::Splitter;

use super::metadata::{GgufTokenizer, NORMAL, UNUSED, added, is_end, thought_end, types};
use crate::tokenizer::alphabet::Alphabet;
use crate::tokenizer::description::{Merge, Token, TokenizerDescription, merges, spaced_pair};
use crate::tokenizer::error::{TokenizerError, malformed};

/// Names of `tokenizer.ggml.pre` by their expression: most models gave theirs a name of their own
/// (llama.cpp, `llama_vocab::impl::load`).
const SPLITTERS: &[(Splitter, &[&str])] = &[
    (Splitter::Gpt2, &["gpt-2", "phi-2", "olmo", "mpt", "jina-es", "jina-de", "jina-v2-es"]),
    (Splitter::Gpt2, &["jina-v2-de", "gigachat", "a.x-4.0", "mellum", "exaone4", "modern-bert"]),
    (Splitter::Gpt2, &["jais", "trillion", "granite-docling"]),
    (Splitter::Llama3, &["glm4", "glm5", "chatglm-bpe", "dbrx", "smaug-bpe"]),
    (Splitter::Llama3, LIKE_LLAMA3),
    (Splitter::Qwen2, &["qwen2", "deepseek-r1-qwen", "stablelm2", "kormo", "f2llmv2", "megrez"]),
    (Splitter::Qwen2, &["hunyuan", "solar-open", "grok-2", "bailingmoe", "bailingmoe2"]),
    (Splitter::Qwen2, &["llada-moe"]),
    (Splitter::SmolLm, &["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone"]),
    (Splitter::SmolLm, &["minerva-7b", "mellum2"]),
    (Splitter::O200k, &["gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"]),
    (Splitter::Tekken, &["tekken"]),
    (Splitter::Bloom, &["bloom", "poro-chat", "gpt3-finnish"]),
    (Splitter::Falcon, &["falcon"]),
    (Splitter::Qwen35, &["qwen35"]),
    (Splitter::SeedCoder, &["seed-coder"]),
    (Splitter::Ufakzeka, &["ufakzeka"]),
    (Splitter::MiniCpm, &["minicpm5"]),
    (Splitter::Laguna, &["laguna"]),
    (Splitter::DeepSeekLlm, &["deepseek-llm"]),
    (Splitter::DeepSeekCoder, &["deepseek-coder"]),
    (Splitter::DeepSeekV3, &["deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"]),
    (Splitter::Kimi, &["kimi-k2"]),
    (Splitter::Viking, &["viking"]),
    (Splitter::Unnamed, &["default", ""]),
];
/// Names of those that have the rules of Llama 3 besides: BOS, and whole tokens before merges.
const LIKE_LLAMA3: &[&str] = &[
    "llama-bpe",
    "llama3",
    "llama-v3",
    "falcon3",
    "falcon-h1",
    "pixtral",
    "midm-2.0",
    "lfm2",
    "jina-v5-nano",
];
/// Names of those in which whole tokens go before merges, as in Llama 3, and there is no BOS.
const WHOLE_FIRST: &[&str] = &["glm4", "glm5", "minicpm5"];

fn splitter(pre: &str) -> Result<Splitter, TokenizerError> {
    let known = SPLITTERS.iter().find(|(_, names)| names.contains(&pre));
    let unknown = || TokenizerError::unsupported("tokenizer.ggml.pre", pre);
    known.map(|(splitter, _)| *splitter).ok_or_else(unknown)
}

pub(super) fn describe(source: &GgufTokenizer<'_>) -> Result<TokenizerDescription, TokenizerError> {
    let pre = source.pre.unwrap_or_default();
    let splitter = splitter(pre)?;
    let types = types(source)?;
    let vocab: HashMap<&str, u32> = source.tokens.iter().copied().zip(0..).collect();
    if vocab.len() != source.tokens.len() {
        return Err(malformed("tokenizer.ggml.tokens: the same token twice"));
    }
    let (tokens, byte_ids) = tokens(source, &types);
    let is_llama3 = LIKE_LLAMA3.contains(&pre);
    // Files of Llama 3 and of Tekken leave the key out and mean yes.
    let add_bos = source.add_bos.unwrap_or(is_llama3 || splitter == Splitter::Tekken);
    let add_eos = source.add_eos.unwrap_or(false);
    Ok(TokenizerDescription {
        splitter,
        tokens,
        byte_ids,
        merges: merge_pairs(source, &vocab)?,
        ignore_merges: is_llama3
            || WHOLE_FIRST.contains(&pre)
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
            end: is_end(text, kind) && Some(id) != thought_end,
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
