//! One file per command.

pub mod bench;
pub mod chat;
pub mod detokenize;
pub mod generate;
pub mod inspect;
pub mod logits;
pub mod perplexity;
pub mod stream;
pub mod tokenize;
pub mod verify;
