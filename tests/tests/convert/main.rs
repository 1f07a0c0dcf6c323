//! The converter: what it takes over exactly, what it refuses, and what it leaves behind.

mod authors;
mod command_line;
mod defaults;
mod exact;
mod example;
mod gguf;
mod gpt_oss;
mod hostile_templates;
mod kept;
mod outliers;
mod pooled;
mod published;
mod quantized;
mod real_files;
mod refused;
mod source;
mod values;
mod version;
mod visible;
