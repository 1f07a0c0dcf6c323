//! Text to tokens and back: tokenizers, vocabularies and chat templates against Hugging Face's.

mod chat_template;
mod splits;
mod tokenizer;
mod visible;
mod vocabularies;
