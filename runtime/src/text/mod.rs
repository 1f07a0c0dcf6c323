//! Text: to tokens and back, and the turns of a conversation.

pub mod chat;
pub mod conversation;
pub mod generator;
pub mod tokenizer;
mod turns;
pub mod visible;
