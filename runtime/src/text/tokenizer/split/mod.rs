//! Pre-tokenizers, which cut a text into words.
//!
//! Each is the regular expression of its tokenizer, or several one after the other, written out by
//! hand. What an expression leaves out between two matches is a word too. Words end between characters, but for Falcon's.

mod bloom;
mod cased;
mod deepseek;
#[rustfmt::skip]
mod deepseek_letters;
mod deepseek_v3;
mod falcon;
mod gpt2;
mod llama3;
mod scan;
mod splitter;
mod unnamed;

pub use splitter::Splitter;
