//! safetensors and GGUF to `.oar`.
