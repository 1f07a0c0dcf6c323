//! The tokenizer: text to ids and back, from tables that lie in the model file.
//!
//! BPE of bytes or of characters, exactly as Hugging Face `tokenizers` does it. Text is cut
//! first at added tokens (`added`), rewritten where the tokenizer asks for it (`rewrite`,
//! `compose`, `charsmap`), then cut into words (`split`), and each word is looked up whole or
//! merged pair by pair (`merge`), or spelled with tokens of the best scores (`unigram`). The
//! tables (`tables`) are read where they lie; every access is checked, so damaged tables give
//! wrong ids and nothing worse.

mod added;
#[doc(hidden)]
pub mod charsmap;
mod compose;
#[rustfmt::skip]
mod compose_tables;
mod encode;
mod error;
mod grapheme;
#[rustfmt::skip]
mod grapheme_tables;
mod merge;
mod open;
mod rewrite;
mod scratch;
mod split;
#[doc(hidden)]
pub mod tables;
mod unicode;
#[rustfmt::skip]
mod unicode_tables;
mod unigram;
mod utf8;

pub use added::Special;
pub use charsmap::Charsmap;
pub use encode::Encoded;
pub use error::{BadTables, EncodeError};
pub use open::Tokenizer;
pub use rewrite::rewrite;
pub use scratch::{Scratch, ScratchLen, Symbol};
pub use split::Splitter;
pub use utf8::Utf8Stream;
