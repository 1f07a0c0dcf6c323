//! `oarlock generate`, and the ways between text and tokens that it shares with chat.

mod command;
pub mod detokenize;
mod generator;
mod printer;
pub mod sampling;
pub mod template;
pub mod tokenize;

pub use command::run;
pub use generator::{Answer, Generator, Limits, per_second};
