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

mod base;
mod cache;
mod format;
mod forward;
#[cfg_attr(
    not(feature = "every-isa"),
    allow(dead_code, reason = "what an instruction set that is left out would use")
)]
mod kernels;
mod model;
mod session;
mod text;

pub use base::exec::{Executor, Serial};
pub use format::kv::KvType;
pub use format::{OpenError, Sampling, SamplingError};
pub use kernels::{Isa, Machine, set_control_word};
pub use model::{Model, Options, OptionsError, VerifyError};
pub use session::{Candidate, Sampler};
pub use session::{Drafts, FeedError, RestoreError, Session, TruncateError};
pub use text::{chat, conversation, generator, tokenizer};

/// Parts that the converter, the boards and the tests are built on, and nobody else: they may
/// change in any release.
#[doc(hidden)]
pub mod internal {
    pub use crate::base::{crc, math};
    /// The bytes of a model file.
    pub mod format {
        pub use crate::format::*;
    }
    /// Products, attention and functions of vectors.
    pub mod kernels {
        pub use crate::kernels::*;
    }
    /// The weights of an open model.
    pub mod model {
        pub use crate::model::*;
    }
}
