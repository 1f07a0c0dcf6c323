//! Tokenizers as conversion makes them.

/// A tokenizer as the runtime reads it, and what else conversion needs of it.
#[derive(Debug)]
pub struct Compiled {
    /// The section of the model file.
    pub section: Vec<u8>,
    /// Ids that it can give: one more than the largest.
    pub vocab_size: usize,
    /// The names that chat templates know special tokens by (`bos_token`, …) and their text.
    pub specials: Vec<(String, String)>,
    /// Tokens that are found before anything is split: ids and text.
    pub added: Vec<(u32, String)>,
}
