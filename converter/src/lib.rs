//! safetensors and GGUF to `.oar`.

pub mod template;
pub mod tokenizer;
