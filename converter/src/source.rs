//! Weights as they lie in the files of a source, and their numbers.

pub mod block;
pub mod decode;
pub mod dtype;
mod ggml;
pub mod gguf;
pub mod gguf_parts;
pub mod levels;
pub mod mxfp4;
pub mod quantized;
pub mod rounding;
pub mod safetensors;
pub mod tensor;
