//! The pre-tokenizers by their codes.

use super::llama3::{LLAMA3, QWEN2, Style};
use super::scan::{MARKS_JOIN, PLAIN, Scan};
use super::{bloom, cased, deepseek, deepseek_v3, falcon, gpt2, llama3, unnamed};

/// A pre-tokenizer, which finds the ends of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Splitter {
    /// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
    Gpt2 = 0,
    /// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
    Llama3 = 1,
    /// As [`Splitter::Llama3`], numbers one by one: `\p{N}`
    Qwen2 = 2,
    /// Numbers one by one, then [`Splitter::Gpt2`] on what lies between.
    SmolLm = 3,
    /// The whole text is one word.
    Whole = 4,
    /// Each space begins a word.
    Spaces = 5,
    /// `[^\r\n\p{L}\p{N}]?U*L+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?U+L*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
    /// where U is `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]` and L is `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`
    O200k = 6,
    /// As [`Splitter::O200k`], numbers one by one and nothing after an apostrophe.
    Tekken = 7,
    /// ` ?[^(\s|.,!?…。，、।۔،)]+`
    Bloom = 8,
    /// Runs of punctuation, and [`Splitter::Gpt2`] on what lies between; of these, runs of bytes
    /// that are written as numbers, and of those, three digits at a time.
    Falcon = 9,
    /// As [`Splitter::Qwen2`], where marks are letters.
    Qwen35 = 10,
    /// As [`Splitter::Qwen2`], where punctuation takes no newlines: `[^\s\p{L}\p{N}\r\n]+`
    SeedCoder = 11,
    /// As [`Splitter::Qwen2`], where nothing is special after an apostrophe.
    Ufakzeka = 12,
    /// `\p{N}{1,3}`, then [`Splitter::Llama3`] on what lies between.
    MiniCpm = 13,
    /// `[^\n]+|[\n]+`, then [`Splitter::Qwen2`] on each.
    Laguna = 14,
    /// `[\r\n]`, ``\s?L+``, ``\s?[!-/:-~！-／：-～‘-‟　-。]+``, `\s+$`, `[一-龥ࠀ-一가-퟿]+` one after
    /// the other, then digits one by one; L are letters of scripts with two cases.
    DeepSeekLlm = 15,
    /// `[\r\n]`, `\s?\p{L}+`, `\s?\p{P}+`, `[一-龥ࠀ-一가-퟿]+` one after the other, then digits one
    /// by one.
    DeepSeekCoder = 16,
    /// `\p{N}{1,3}`, `[一-龥぀-ゟ゠-ヿ]+`, ``[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+``
    /// one after the other
    DeepSeekV3 = 17,
    /// As [`Splitter::O200k`], but that `\p{Han}+` is a word before all else, and no `/` follows
    /// punctuation.
    Kimi = 18,
    /// As [`Splitter::Bloom`], then digits one by one.
    Viking = 19,
    /// llama.cpp's own, of files that do not name theirs: `[\p{P}$+<=>^~|]+`, [`Splitter::Gpt2`],
    /// `\p{N}+`, `[0-9][0-9][0-9]` one after the other.
    Unnamed = 20,
}

impl Splitter {
    /// The pre-tokenizer with this code in the file.
    pub const fn from_code(code: u32) -> Option<Self> {
        match code {
            0 => Some(Self::Gpt2),
            1 => Some(Self::Llama3),
            2 => Some(Self::Qwen2),
            3 => Some(Self::SmolLm),
            4 => Some(Self::Whole),
            5 => Some(Self::Spaces),
            6 => Some(Self::O200k),
            7 => Some(Self::Tekken),
            8 => Some(Self::Bloom),
            9 => Some(Self::Falcon),
            10 => Some(Self::Qwen35),
            11 => Some(Self::SeedCoder),
            12 => Some(Self::Ufakzeka),
            13 => Some(Self::MiniCpm),
            14 => Some(Self::Laguna),
            15 => Some(Self::DeepSeekLlm),
            16 => Some(Self::DeepSeekCoder),
            17 => Some(Self::DeepSeekV3),
            18 => Some(Self::Kimi),
            19 => Some(Self::Viking),
            20 => Some(Self::Unnamed),
            _ => None,
        }
    }

    /// End of the word that begins at byte `at`: after `at` unless the text ends there.
    ///
    /// Words begin between characters, but for [`Splitter::Falcon`]'s; within a character there is
    /// no word, and the end is `at` or that of the text.
    #[inline]
    pub fn word_end(self, text: &str, at: usize) -> usize {
        match self {
            Self::Gpt2 => gpt2::word_end(Scan::<PLAIN> { text }, at),
            Self::Llama3 => llama3::word_end(Scan::<PLAIN> { text }, at, LLAMA3),
            Self::Qwen2 => llama3::word_end(Scan::<PLAIN> { text }, at, QWEN2),
            Self::SmolLm => gpt2::smollm_word_end(text, at),
            Self::Whole => text.len(),
            Self::Spaces => spaces(text, at),
            Self::O200k => cased::word_end(text, at, cased::O200K),
            Self::Tekken => cased::word_end(text, at, cased::TEKKEN),
            Self::Bloom => bloom::word_end::<false>(text, at),
            Self::Falcon => falcon::word_end(text, at),
            _ => self.rare_word_end(text, at),
        }
    }

    /// The same as [`Splitter::word_end`], of pre-tokenizers that few models have.
    #[inline(never)]
    fn rare_word_end(self, text: &str, at: usize) -> usize {
        match self {
            Self::Qwen35 => llama3::word_end(Scan::<MARKS_JOIN> { text }, at, QWEN2),
            Self::SeedCoder => {
                llama3::word_end(Scan::<PLAIN> { text }, at, Style { newlines: false, ..QWEN2 })
            }
            Self::Ufakzeka => {
                llama3::word_end(Scan::<PLAIN> { text }, at, Style { contractions: false, ..QWEN2 })
            }
            Self::MiniCpm => llama3::numbers_first(text, at),
            Self::Laguna => llama3::lines_first(text, at),
            Self::DeepSeekLlm => deepseek::word_end(text, at, deepseek::Generation::Llm),
            Self::DeepSeekCoder => deepseek::word_end(text, at, deepseek::Generation::Coder),
            Self::DeepSeekV3 => deepseek_v3::word_end(text, at),
            Self::Kimi => cased::word_end(text, at, cased::KIMI),
            Self::Viking => bloom::word_end::<true>(text, at),
            Self::Unnamed => unnamed::word_end(text, at),
            _ => text.len(),
        }
    }
}

/// End of the word of [`Splitter::Spaces`] at `at`: the next space behind its first character, or
/// the end of the text.
fn spaces(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let found = rest.char_indices().skip(1).find(|&(_, c)| c == ' ');
    found.map_or(text.len(), |(found, _)| at + found)
}
