//! The tokenizer of a GGUF file.

mod byte_level;
pub mod metadata;
mod scored;

use super::alphabet::Alphabet;
use super::compiled::Compiled;
use super::description::place_added;
use super::error::TokenizerError;
use super::write;
use metadata::{GgufTokenizer, specials, thought_end};

/// Compiles the tokenizer of a GGUF file.
///
/// # Errors
/// If the metadata is malformed, or says something that the runtime does not do.
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
        "gpt2" => byte_level::describe(source)?,
        "llama" => scored::describe(source)?,
        other => return Err(TokenizerError::unsupported("tokenizer.ggml.model", other)),
    };
    let alphabet = Alphabet::new();
    place_added(&mut description, |text| alphabet.decoded(text));
    let thought_end = thought_end(source);
    for id in [source.eos, source.eot, source.turn_end]
        .into_iter()
        .flatten()
        .filter(|&id| Some(id) != thought_end)
    {
        if let Some(token) = description.tokens.get_mut(id as usize) {
            token.end = true;
        }
    }
    Ok(Compiled {
        section: write::write(&description)?,
        vocab_size: description.tokens.len(),
        specials: specials(source),
        added: description.added.into_iter().map(|added| (added.id, added.text)).collect(),
    })
}
