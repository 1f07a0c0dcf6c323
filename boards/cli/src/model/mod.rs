//! Models: where they come from, how they are run, what is in them.

mod carried;
mod encoded;
mod isa;
mod open;
mod setup;

pub mod inspect;
pub mod verify;

pub use encoded::{TellingEncoder, told};
pub use open::{encoder, model, model_fault, open, unchanged};
pub use setup::{bytes_needed, engine, memory, options, session};
