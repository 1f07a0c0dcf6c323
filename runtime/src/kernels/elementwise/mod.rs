//! Functions of vectors: norms, rotations, activation functions, quantization, rows of an embedding.

pub(super) mod activation;
mod embedding;
mod norm;
pub(super) mod quantize;
mod rotary;
pub(super) mod vector;

pub use activation::{activate, clamp, soft_cap};
pub use embedding::{add_embedding_row, embedding_row};
pub use norm::{layer_norm, layer_norm_in, norm_heads, rms_norm};
pub use quantize::{QuantizedActivations, QuantizedActivationsMut};
pub use rotary::rotate;
pub use vector::{add, add_scaled, scale, sub_scaled};
