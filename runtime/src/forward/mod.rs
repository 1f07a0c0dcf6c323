//! The forward pass: from tokens through the layers to logits.

mod attention;
mod block;
mod diff_attention;
mod embedding;
mod ffn;
mod input;
mod logits;
mod moe;
mod norms;
mod residual;
mod router;
mod workspace;

pub(crate) use attention::{AttentionShape, Rope, Span};
pub(crate) use block::block;
pub(crate) use embedding::embed;
pub(crate) use input::Rows;
pub(crate) use logits::logits;
pub(crate) use workspace::{ForwardContext, Workspace};
