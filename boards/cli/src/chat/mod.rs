//! `oarlock chat`: a conversation that never fills up.

mod bar;
mod command;
mod conversation;
mod pin;
mod saved;
mod transcript;

pub use command::run;
