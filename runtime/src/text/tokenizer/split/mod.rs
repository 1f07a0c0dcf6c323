//! Pre-tokenizers, which cut a text into words.
//!
//! Each is the regular expression of its tokenizer, written out by hand. All of them but one
//! match at every character, so a text is its words without rest; what BLOOM's leaves out
//! between two matches is a word too. Words end between characters, but for Falcon's.

mod bloom;
mod cased;
mod falcon;
mod gpt2;
mod llama3;
mod scan;
mod splitter;

pub use splitter::Splitter;
