//! Attention: every token looks at the sinks and at the newest keys before it.
//!
//! ```text
//! q, k, v → rotated → k, v into the cache
//!           q · keys → softmax → · values → attended
//! ```
//!
//! Keys are rotated once, at their true position. A query is rotated at its own for the
//! window, and for the sinks a second time, as if the stream had never grown past the
//! context (arXiv 2309.17453): their distance stays what the model was trained on.

mod attend;
mod buffers;
mod layer;
mod prepare;
mod rope;

pub(crate) use buffers::{AttentionBuffers, AttentionShape};
pub(crate) use layer::{AttentionLayer, Span};
pub(crate) use prepare::Projected;
pub(crate) use rope::Rope;
