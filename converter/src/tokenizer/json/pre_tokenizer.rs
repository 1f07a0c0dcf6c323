//! Recognising the pre-tokenizer of a `tokenizer.json`.

use oarlock::tokenizer::Splitter;
use serde_json::Value;

use crate::tokenizer::error::TokenizerError;

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

const O200K: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// BLOOM's expression: the text between its matches is words too.
const BLOOM: &str = r" ?[^(\s|[.,!?…。，、।۔،])]+";

/// The last of Falcon's steps, which leaves all but threes of digits as it was.
const THREE_DIGITS: &str = "[0-9][0-9][0-9]";

/// A step of a pre-tokenizer, as far as we know it.
#[derive(PartialEq, Eq)]
enum Stage<'a> {
    /// Runs of punctuation stand alone.
    Punctuation,
    /// Single digits stand alone.
    Digits,
    /// Runs of digits do.
    Numbers,
    /// A regular expression cuts out its matches.
    Split(&'a str),
    /// Bytes become characters, after GPT-2's regular expression or without.
    Bytes { regex: bool },
}

/// The splitter that does exactly what `pre_tokenizer` says.
pub(super) fn recognise(pre_tokenizer: &Value) -> Result<Splitter, TokenizerError> {
    let mut steps = Vec::new();
    flatten(pre_tokenizer, &mut steps)?;
    use Stage::{Bytes, Digits, Numbers, Punctuation, Split};
    match steps.as_slice() {
        [Bytes { regex: true }] => Ok(Splitter::Gpt2),
        [Digits, Bytes { regex: true }] => Ok(Splitter::SmolLm),
        [Split(GPT2), Bytes { regex: false }] => Ok(Splitter::Gpt2),
        [Split(LLAMA3), Bytes { regex: false }] => Ok(Splitter::Llama3),
        [Split(QWEN2), Bytes { regex: false }] => Ok(Splitter::Qwen2),
        [Split(O200K), Bytes { regex: false }] => Ok(Splitter::O200k),
        [Split(TEKKEN), Bytes { regex: false }] => Ok(Splitter::Tekken),
        [Split(BLOOM), Bytes { regex: false }] => Ok(Splitter::Bloom),
        // Digits are looked for among the characters that bytes have become.
        [Punctuation, Bytes { regex: true }, Numbers, Split(THREE_DIGITS)] => Ok(Splitter::Falcon),
        _ => Err(refused(pre_tokenizer)),
    }
}

fn refused(what: &Value) -> TokenizerError {
    TokenizerError::unsupported("pre_tokenizer", what)
}

/// Whether matches become words, and so does what lies between: of which there is none where
/// the expression matches at every character, as all but two do. Then taking out what does
/// *not* match the inverted expression comes to the same.
fn splits(step: &Value) -> bool {
    let (behavior, invert) = (&step["behavior"], step["invert"].as_bool());
    let leaves_rest = [BLOOM, THREE_DIGITS].iter().any(|regex| step["pattern"]["Regex"] == *regex);
    (behavior == "Isolated" && invert == Some(false))
        || (behavior == "Removed" && invert == Some(true) && !leaves_rest)
}

fn flatten<'a>(step: &'a Value, steps: &mut Vec<Stage<'a>>) -> Result<(), TokenizerError> {
    let flag = |name: &str| step[name].as_bool();
    let known = match step["type"].as_str() {
        Some("Sequence") => {
            let inner = step["pretokenizers"].as_array().ok_or_else(|| refused(step))?;
            return inner.iter().try_for_each(|step| flatten(step, steps));
        }
        Some("Digits") if flag("individual_digits") == Some(true) => Some(Stage::Digits),
        Some("Digits") if flag("individual_digits") == Some(false) => Some(Stage::Numbers),
        Some("Punctuation") if step["behavior"] == "Contiguous" => Some(Stage::Punctuation),
        Some("ByteLevel") if flag("add_prefix_space") == Some(false) => {
            Some(Stage::Bytes { regex: flag("use_regex").unwrap_or(true) })
        }
        Some("Split") if splits(step) => step["pattern"]["Regex"].as_str().map(Stage::Split),
        _ => None,
    };
    steps.push(known.ok_or_else(|| refused(step))?);
    Ok(())
}
