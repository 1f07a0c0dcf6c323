//! A tokenizer's published form to the tables that the runtime searches.
//!
//! Two sources, [`from_json`] and [`from_gguf`], end in one description and one
//! writer. What the runtime does not do exactly is refused by name.

mod alphabet;
mod compiled;
mod description;
mod error;
mod gguf;
mod json;
mod sentencepiece;
mod write;

pub use compiled::Compiled;
pub use error::TokenizerError;
pub use gguf::from_gguf;
pub use gguf::metadata::GgufTokenizer;
pub use json::from_json;
