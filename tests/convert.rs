//! The converter: what it takes over exactly, what it refuses, and what it leaves behind.

#[path = "convert/authors.rs"]
mod authors;
#[path = "convert/command_line.rs"]
mod command_line;
#[path = "convert/defaults.rs"]
mod defaults;
#[path = "convert/exact.rs"]
mod exact;
#[path = "convert/gguf.rs"]
mod gguf;
#[path = "convert/gpt_oss.rs"]
mod gpt_oss;
#[path = "convert/kept.rs"]
mod kept;
#[path = "convert/outliers.rs"]
mod outliers;
#[path = "convert/pooled.rs"]
mod pooled;
#[path = "convert/published.rs"]
mod published;
#[path = "convert/refused.rs"]
mod refused;
#[path = "convert/source.rs"]
mod source;
#[path = "convert/values.rs"]
mod values;
