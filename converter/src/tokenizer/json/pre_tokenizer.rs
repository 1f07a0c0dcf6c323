//! Recognising the pre-tokenizer of a `tokenizer.json`.

use oarlock::tokenizer::Splitter;
use serde_json::Value;

use crate::tokenizer::error::TokenizerError;

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

const O200K: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Expressions that cut as Qwen 2's does, in other words.
const LIKE_QWEN2: &[&str] = &[
    QWEN2,
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
];
const QWEN35: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const SEED_CODER: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+";
const UFAKZEKA: &str =
    r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const LINES: &str = r"[^\n]+|[\n]+";

/// MiniCPM5's first expression, and DeepSeek V3's: threes of digits from the left.
const UP_TO_THREE: &str = r"\p{N}{1,3}";
const MINICPM: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const EAST: &str = "[一-龥\u{3040}-ゟ゠-ヿ]+";
const DEEPSEEK_V3: &str = "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+";

/// Steps of DeepSeek's older models.
const NEWLINE: &str = "[\r\n]";
const LETTERS: &str = r"\s?\p{L}+";
const POINTS: &str = r"\s?\p{P}+";
const WIDE: &str = "[一-龥ࠀ-一가-\u{D7FF}]+";
const CASED: &str = "\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\u{2126}ℨ\u{212A}-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+";
const LLM_POINTS: &str = "\\s?[!-/:-~！-／：-～‘-‟\u{3000}-。]+";
const LAST_SPACES: &str = r"\s+$";

const KIMI: &str = r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

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
        [Split(one), Bytes { regex: false }] if LIKE_QWEN2.contains(one) => Ok(Splitter::Qwen2),
        [Split(O200K), Bytes { regex: false }] => Ok(Splitter::O200k),
        [Split(TEKKEN), Bytes { regex: false }] => Ok(Splitter::Tekken),
        [Split(BLOOM), Bytes { regex: false }] => Ok(Splitter::Bloom),
        [rarer @ .., Bytes { regex: false }] if let Some(splitter) = rare(rarer) => Ok(splitter),
        // Digits are looked for among the characters that bytes have become.
        [Punctuation, Bytes { regex: true }, Numbers, Split(THREE_DIGITS)] => Ok(Splitter::Falcon),
        _ => Err(refused(pre_tokenizer)),
    }
}

/// Splitters that few models have, by their steps but the last.
fn rare(steps: &[Stage<'_>]) -> Option<Splitter> {
    use Stage::{Digits, Split};
    Some(match steps {
        [Split(QWEN35)] => Splitter::Qwen35,
        [Split(SEED_CODER)] => Splitter::SeedCoder,
        [Split(UFAKZEKA)] => Splitter::Ufakzeka,
        [Split(KIMI)] => Splitter::Kimi,
        [Split(UP_TO_THREE), Split(MINICPM)] => Splitter::MiniCpm,
        [Split(LINES), Split(QWEN2)] => Splitter::Laguna,
        [Split(BLOOM), Digits] => Splitter::Viking,
        [Split(UP_TO_THREE), Split(EAST), Split(DEEPSEEK_V3)] => Splitter::DeepSeekV3,
        [Split(NEWLINE), Split(LETTERS), Split(POINTS), Split(WIDE), Digits] => {
            Splitter::DeepSeekCoder
        }
        [
            Split(NEWLINE),
            Split(CASED),
            Split(LLM_POINTS),
            Split(LAST_SPACES),
            Split(WIDE),
            Digits,
        ] => Splitter::DeepSeekLlm,
        _ => return None,
    })
}

fn refused(what: &Value) -> TokenizerError {
    TokenizerError::unsupported("pre_tokenizer", what)
}

/// Whether matches become words, and so does what lies between. Where the expression matches at
/// every character there is nothing between, and taking out what does *not* match the inverted
/// expression comes to the same.
fn splits(step: &Value) -> bool {
    let (behavior, invert) = (&step["behavior"], step["invert"].as_bool());
    let regex = step["pattern"]["Regex"].as_str().unwrap_or_default();
    let whole = [GPT2, LLAMA3, QWEN35, SEED_CODER, UFAKZEKA, O200K, TEKKEN, KIMI];
    let leaves_none = || whole.contains(&regex) || LIKE_QWEN2.contains(&regex);
    (behavior == "Isolated" && invert == Some(false))
        || (behavior == "Removed" && invert == Some(true) && leaves_none())
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
