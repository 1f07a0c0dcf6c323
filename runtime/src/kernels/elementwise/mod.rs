//! Functions of vectors: norms, rotations, activation functions, quantization, rows of an embedding.

pub(super) mod activation;
mod embedding;
pub(super) mod quantize;
pub(super) mod vector;

pub use activation::{activate, clamp, soft_cap};
pub use embedding::{add_embedding_row, embedding_row};
pub use quantize::{QuantizedActivations, QuantizedActivationsMut};
pub use vector::{add, add_scaled, layer_norm, layer_norm_in, norm_heads, rms_norm, sub_scaled};
pub use vector::{rotate, scale};
