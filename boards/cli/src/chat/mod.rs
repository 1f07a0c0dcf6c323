//! `oarlock chat`: a conversation that never fills up.

mod bar;
mod command;
mod dialogue;
mod faults;
mod saved;

pub use command::run;
