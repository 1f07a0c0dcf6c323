//! Quantized decoder language models, executed where they lie.
//!
//! No standard library, no heap, no threads of its own. A board supplies four
//! things: the model's bytes, a scratch slice, an [`Isa`] token (proof of what
//! the CPU can do) and an [`Executor`] (how to run parts of a loop in parallel).
//! Everything else, from the file format to the sampler, is here.
//!
//! Data runs one way, and imports follow it:
//!
//! ```text
//! tokens → embedding → blocks (attention ⇄ cache, mlp) → logits → sampler → token
//! ```
//!
//! Logits are bit-for-bit the same for every [`Isa`], every number of threads and
//! every prefill chunk: see `docs/reference/numerics.md`.
#![no_std]
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod arena;
mod attention;
mod block;
mod cache;
mod carry;
pub mod chat;
pub mod conversation;
pub mod crc;
mod difference;
mod embedding;
pub mod exec;
pub mod format;
mod input;
#[cfg_attr(
    not(feature = "every-isa"),
    allow(dead_code, reason = "what an instruction set that is left out would use")
)]
pub mod kernels;
pub mod kv;
pub mod layout;
mod logits;
mod lookup;
pub mod math;
pub mod matrix;
mod mixture;
mod mlp;
pub mod model;
pub mod options;
mod qk_norm;
mod residual;
mod ring;
mod rope;
mod route;
pub mod sampler;
pub mod session;
pub mod tokenizer;
mod work;

pub use exec::{Executor, Serial};
pub use kernels::{Isa, Machine};
pub use kv::KvType;
pub use matrix::Matrix;
pub use model::Model;
pub use options::{Options, OptionsError};
pub use sampler::{Candidate, Sampler, Sampling};
pub use session::{Drafts, FeedError, RestoreError, Session, TruncateError};
