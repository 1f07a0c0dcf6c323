//! The program's surroundings: the terminal, signals, files, and the way failures are told.

pub mod console;
pub mod errors;
mod faults;
mod history;
pub mod home;
pub mod input;
pub mod lines;
pub mod os;
mod pasted;
pub mod replace;
pub mod report;
pub mod signals;
mod visible;
