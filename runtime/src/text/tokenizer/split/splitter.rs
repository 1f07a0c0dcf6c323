//! The pre-tokenizers by their codes.

use super::scan::Scan;
use super::{bloom, cased, falcon, gpt2, llama3};

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
            Self::Gpt2 => gpt2::word_end(Scan::<false> { text }, at),
            Self::Llama3 => llama3::word_end(Scan { text }, at, 3),
            Self::Qwen2 => llama3::word_end(Scan { text }, at, 1),
            Self::SmolLm => gpt2::smollm_word_end(text, at),
            Self::Whole => text.len(),
            Self::Spaces => spaces(text, at),
            Self::O200k => cased::word_end(text, at, 3, true),
            Self::Tekken => cased::word_end(text, at, 1, false),
            Self::Bloom => bloom::word_end(text, at),
            Self::Falcon => falcon::word_end(text, at),
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
