//! safetensors and GGUF to `.oar`.
//!
//! ```text
//! safetensors, gguf → files → config, names → plan → stream (pack, quantize) → write → output
//!                     tokenizer, template → words ─────────────────────────────↗
//! ```
//!
//! Weights are mapped and streamed tile by tile, so a model larger than memory converts.
//! The same input and options give the same bytes, on any machine and any number of
//! threads: no clock, no hash map's order and no mathematics of the host's.

mod config;
mod convert;
mod error;
pub mod image;
mod map;
mod math;
mod output;
mod progress;
mod source;
pub mod template;
pub mod tokenizer;

pub use convert::write;
pub use convert::{ConvertOptions, OutputMatrix, Report, Weights, convert};
pub use error::{Error, Fault, Result};
pub use image::{Board, CardOptions, ImageOptions, ImageReport, image};
pub use progress::{Progress, Silent};
