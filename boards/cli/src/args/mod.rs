//! The command line.

pub mod date;
mod options;
mod parse;

pub use options::*;
pub use parse::parse;
