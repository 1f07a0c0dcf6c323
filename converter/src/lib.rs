//! safetensors and GGUF to `.oar`.
//!
//! ```text
//! source    safetensors, GGUF: tensors as they lie in files, and their numbers
//! math      rotary phases, ALiBi slopes, λ: the same on every machine
//! config    config.json or GGUF's metadata to one description; names of tensors
//! tokenizer tokenizer.json or GGUF's metadata to the tables that the runtime searches
//! template  a chat template to the program of gaps that the runtime chats with
//! convert   files → description → plan → stream (pack, quantize) → write
//! image     a program and a model as one thing that runs on another machine
//! ```
//!
//! Each of them imports from those above it alone, `image` from none; `error`, `progress`,
//! `map`, `memory`, `output`, `replacement` and `unfinished` stand below them all. A family is a row in `config/hf/table.rs` and one
//! in `config/gguf/table.rs`.
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
pub mod memory;
mod output;
mod progress;
pub mod replacement;
mod source;
pub mod template;
pub mod tokenizer;
mod unfinished;

pub use convert::write;
pub use convert::{
    ConvertOptions, OutputMatrix, Report, VERSION, Weights, convert, default_name, source_files,
};
pub use error::{Error, Fault, LONGEST_LINE, Result, Shown, reason};
pub use image::{Board, CardOptions, ImageOptions, ImageReport, image};
pub use progress::{Progress, Silent};
pub use source::gguf_parts::first_part;
