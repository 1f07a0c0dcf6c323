//! `oarlock generate`, and the ways between text and tokens that it shares with chat.

mod answer;
mod command;
pub mod detokenize;
mod figures;
mod printer;
pub mod sampling;
pub mod template;
pub mod tokenize;

pub use answer::{Answerer, Limits};
pub use command::run;
pub use figures::{Answer, per_second};
