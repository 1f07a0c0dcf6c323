//! The cache folder: sources converted once and kept, and the ways in which it is filled.
//!
//! A GGUF file or a model directory is converted to our format the first time it is named, and
//! found again by its path and by how its files look (size, time of change, number): nothing of it
//! is read then. Each has a folder of its own, locked by whoever fills it, with the model and notes
//! on its source; a model without notes is not complete.

mod claim;
mod command;
mod convert;
mod converted;
mod entry;
mod progress;
mod record;
mod source;
mod stamp;

pub use claim::Claim;
pub use command::run;
pub use convert::convert;
pub use converted::{converted, is_converted, source_of};
pub use progress::{Progress, TICK};
