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
mod files;
mod ggml;
pub mod gguf;
mod heads;
pub mod image;
mod importance;
mod lambda;
mod map;
mod mxfp4;
mod names;
mod outliers;
mod output;
mod pack;
mod plan;
mod progress;
mod provenance;
mod quantize;
pub mod rope;
mod safetensors;
mod slopes;
mod source;
mod stream;
pub mod template;
pub mod tokenizer;
mod words;
pub mod write;

pub use convert::{ConvertOptions, Head, Report, convert};
pub use error::{Error, Fault, Result};
pub use image::{Board, CardOptions, ImageOptions, Made, image};
pub use plan::Weights;
pub use progress::{Progress, Silent};
