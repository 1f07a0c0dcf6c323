//! Descriptions of models, read in either spelling: `config.json` or GGUF's metadata.
//!
//! A key that is neither read, nor checked to have the value that changes nothing, nor on
//! the list of harmless ones, is refused: it could change the mathematics.

mod checks;
pub mod description;
pub mod gguf;
pub mod hf;
pub mod names;
mod traits;
