//! Tokenizer and chat sections of either kind of source.

use oarlock::chat::{Chat, Step};

use super::files::Loaded;
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::source::gguf::GgufMetadata;
use crate::template;
use crate::tokenizer::{Compiled, GgufTokenizer, TokenizerError, from_gguf, from_json};

/// Sections of the file that are about text.
pub(crate) struct TextSections {
    pub tokenizer: Vec<u8>,
    pub chat: Vec<u8>,
    pub warnings: Vec<String>,
}

/// Compiles the tokenizer and derives the chat program.
pub(crate) fn compile(source: &Loaded<'_>, progress: &dyn Progress) -> Result<TextSections> {
    let mut compiled = tokenizer(source, None)?;
    let rows = source.model.config.vocab_size;
    if compiled.vocab_size > rows {
        let what = format!("{} tokens for an embedding of {rows} rows", compiled.vocab_size);
        return Err(Error::new("tokenizer", what, "get tokenizer and weights of the same model"));
    }
    let (chat, mut warnings) = chat(source, &compiled, progress)?;
    warnings.extend(unnamed_splits(source));
    // Whatever ends are named: a model ends its answers as its template does.
    if let Some(end) = closing(&chat).and_then(|closing| added_at_start(&compiled, &closing)) {
        compiled = tokenizer(source, Some(end))?;
    }
    Ok(TextSections { tokenizer: compiled.section, chat, warnings })
}

/// A line about files of before May 2024, which do not say how a text is cut.
fn unnamed_splits(source: &Loaded<'_>) -> Option<String> {
    let get = |key: &str| source.metadata.get(key).and_then(|v| v.as_str());
    let is_unnamed = get("tokenizer.ggml.model") == Some("gpt2")
        && get("tokenizer.ggml.pre").is_none_or(str::is_empty);
    let line = "tokenizer.ggml.pre is missing: texts are cut as llama.cpp cuts them then, which may \
        not be this model's way (a newer GGUF of it says which)";
    is_unnamed.then(|| line.into())
}

/// Compiles the tokenizer, in which answers end with `turn_end` besides.
fn tokenizer(source: &Loaded<'_>, turn_end: Option<u32>) -> Result<Compiled> {
    if source.is_gguf {
        let described = GgufTokenizer { turn_end, ..describe(&source.metadata)? };
        return from_gguf(&described).map_err(|e| refuse("GGUF tokenizer", &e));
    }
    let texts = &source.texts;
    let ends: Vec<u32> = source.model.ends.iter().copied().chain(turn_end).collect();
    let compiled = from_json(&texts.tokenizer, texts.tokenizer_config.as_deref(), &ends);
    compiled.map_err(|e| refuse("tokenizer.json", &e))
}

/// The text that a chat program writes behind an answer; `None` of models that think, whose answers
/// end otherwise.
fn closing(section: &[u8]) -> Option<String> {
    let chat = Chat::new(section).ok().filter(|chat| chat.mark().is_none())?;
    let turn = [(Step::User, "u"), (Step::Assistant, "a"), (Step::User, "u")];
    let behind = |messages: &[(Step, &'static str)], last| {
        let (mut behind, mut contents) = (String::new(), 0);
        let written = chat.conversation(messages.iter().copied(), last, &mut |piece| {
            contents += usize::from(!piece.trusted);
            if contents == 2 && piece.trusted {
                behind.push_str(piece.text);
            }
        });
        written.ok().map(|()| behind)
    };
    behind(&turn[..2], Step::End).or_else(|| behind(&turn, Step::Generation))
}

/// The longest added token that a text begins with. White space, which some models have added tokens of,
/// stands inside of answers too, and ends none.
fn added_at_start(compiled: &Compiled, text: &str) -> Option<u32> {
    let at_start =
        |(_, token): &&(u32, String)| !token.trim().is_empty() && text.starts_with(token);
    let longest = compiled.added.iter().filter(at_start).max_by_key(|(_, token)| token.len());
    longest.map(|(id, _)| *id)
}

fn refuse(thing: &str, error: &TokenizerError) -> Error {
    Error::new(thing, error, "this tokenizer is not supported")
}

fn chat(
    source: &Loaded<'_>,
    compiled: &Compiled,
    progress: &dyn Progress,
) -> Result<(Vec<u8>, Vec<String>)> {
    let template = if source.is_gguf {
        let value = source.metadata.get("tokenizer.chat_template");
        value.and_then(|v| v.as_str()).map(String::from)
    } else {
        let jinja = source.texts.chat_template.as_deref().map(str::from_utf8).transpose();
        let jinja = jinja.map_err(|e| Error::new("chat_template.jinja", e, "get it again"))?;
        template::find(jinja, source.texts.tokenizer_config.as_deref())
    };
    let derived = match template {
        Some(template) => {
            let cancelled = || progress.cancelled();
            template::derive_apart(&template, &compiled.specials, &cancelled)?
        }
        None => Err(template::Underivable("the model has no chat template".into())),
    };
    Ok(match derived {
        Ok(section) => (section, Vec::new()),
        Err(reason) => {
            let warning = format!("chat will not work with this model: {}", reason.0);
            (template::unavailable(&reason), vec![warning])
        }
    })
}

/// The keys `tokenizer.ggml.…` of a GGUF.
fn describe<'m>(metadata: &GgufMetadata<'m>) -> Result<GgufTokenizer<'m>> {
    let get = |key: &str| metadata.get(&format!("tokenizer.ggml.{key}"));
    let strings = |key: &str| {
        let bad = || {
            let todo = "get the file again";
            Error::new(format_args!("tokenizer.ggml.{key}"), "not all of it is UTF-8", todo)
        };
        let array = get(key).and_then(|v| v.as_array());
        let strings = array.into_iter().flat_map(|a| a.iter());
        strings.map(|v| v.as_str().ok_or_else(bad)).collect::<Result<Vec<_>>>()
    };
    let id = |key: &str| get(key).and_then(|v| v.as_u64()).and_then(|id| u32::try_from(id).ok());
    let types = get("token_type").and_then(|v| v.as_array());
    let types = types.into_iter().flat_map(|a| a.iter());
    let scores = get("scores").and_then(|v| v.as_array());
    let scores = scores.into_iter().flat_map(|a| a.iter());
    Ok(GgufTokenizer {
        model: get("model").and_then(|v| v.as_str()).unwrap_or_default(),
        pre: get("pre").and_then(|v| v.as_str()),
        tokens: strings("tokens")?,
        token_types: types.map(|v| v.as_f64().unwrap_or(0.0) as i32).collect(),
        scores: scores.map(|v| v.as_f64().unwrap_or(f64::NAN) as f32).collect(),
        merges: strings("merges")?,
        bos: id("bos_token_id"),
        eos: id("eos_token_id"),
        eot: id("eot_token_id"),
        unknown: id("unknown_token_id"),
        padding: id("padding_token_id"),
        add_bos: get("add_bos_token").and_then(|v| v.as_bool()),
        add_eos: get("add_eos_token").and_then(|v| v.as_bool()),
        add_space_prefix: get("add_space_prefix").and_then(|v| v.as_bool()),
        turn_end: None,
        has_charsmap: get("precompiled_charsmap").is_some(),
    })
}
