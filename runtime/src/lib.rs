//! An inference runtime for quantized decoder language models, which are executed where they lie.
//!
//! No standard library, no heap, no threads of its own: a program hands in the model's bytes and
//! a slice of memory, and says what computes. Nothing grows, however long the text.
//!
//! ```
//! use oarlock::{Aligned, Machine, Model, Options, Sampler, Session};
//!
//! // 60 KB of random weights; a real one is a memory map, or lies in flash.
//! static MODEL: &Aligned<[u8]> =
//!     &Aligned(*include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tiny.oar")));
//!
//! # fn main() -> Result<(), Box<dyn core::error::Error>> {
//! let model = Model::open(&MODEL.0)?; // checked once; a view, nothing is copied
//! let options = Options { context: 64, ..Options::for_model(&model) };
//! let mut memory = [0; 330_000]; // at least `Session::bytes_needed(&model, &options)?`
//! let mut session = Session::new(model, options, &mut memory)?;
//!
//! let machine = Machine::SCALAR; // plain Rust on this thread; the same bits as any other
//! let mut sampler = Sampler::new(model.sampling(), 1); // as the authors recommend; seed 1
//! session.feed(&machine, &[5, 23, 42])?; // token ids; `Tokenizer` makes them of text
//! for _ in 0..8 {
//!     let id = session.sample(&machine, &mut sampler);
//!     session.feed(&machine, &[id])?;
//! }
//! assert_eq!(session.len(), 11);
//! # Ok(())
//! # }
//! ```
//!
//! `examples/minimal.rs` goes from text to text. A program on Linux or macOS has a shorter way:
//! `oarlock-hosted`, whose `Engine` maps the file, starts threads and detects the CPU.
//!
//! # Parts
//!
//! - [`Model`]: a file, checked once and read where it lies.
//! - [`Options`], [`Session`]: a stream of tokens with its cache, in memory of the caller's: fed,
//!   scored, sampled, taken back, saved. Past [`Options::context`] the first tokens and the newest
//!   stay visible.
//! - [`Sampler`], [`Sampling`]: the choice of a token by its logits.
//! - [`Tokenizer`], [`Chat`], [`Conversation`]: text to tokens and back, and the turns of a chat.
//! - [`visible`]: text of strangers, shown so that no terminal obeys it.
//! - [`Machine`]: an [`Isa`] (proof of what the CPU can do) and an [`Executor`] (how to run parts
//!   of a loop in parallel; [`Serial`] runs them in turn).
//!
//! Logits are bit-for-bit the same for every [`Isa`], every number of threads and every prefill
//! chunk: see `docs/reference/numerics.md`.
//!
//! # Map of the sources
//!
//! Each floor imports those before it alone:
//!
//! ```text
//! base      memory, threads, mathematics, checksums
//! format    the bytes of a model file, of packed matrices and of the cache
//! kernels   products, attention and functions of vectors, for each instruction set
//! cache     a ring with attention sinks, and the keys and values in it
//! model     an open file: its configuration and weights
//! forward   tokens → embedding → layers (attention, feed-forward) → logits
//! session   the stream: feeding, sampling, drafting, saving
//! text      tokenizer, chat template, conversation; text that is safe to show
//! ```
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

pub use base::aligned::Aligned;
pub use base::exec::{Executor, Serial};
pub use format::kv::KvType;
pub use format::{Config, OpenError, Sampling, SamplingError};
pub use kernels::{Isa, Machine, set_control_word};
pub use model::{Model, Options, OptionsError, VerifyError};
pub use session::{Candidate, Drafts, FeedError, RestoreError, Sampler, Session, TruncateError};
pub use text::chat::{Chat, ChatUnavailable};
pub use text::conversation::{Conversation, TurnError};
pub use text::tokenizer::{BadTables, EncodeError, Tokenizer};
pub use text::{chat, conversation, generator, tokenizer, visible};

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
