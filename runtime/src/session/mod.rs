//! A stream of tokens: fed, scored, sampled, drafted, taken back, saved.

mod drafts;
mod error;
mod lookup;
mod memory;
pub mod sampler;
mod save;
mod speculation;
mod stream;

pub use error::{FeedError, RestoreError, TruncateError};
pub use sampler::{Candidate, Sampler};
pub use speculation::Drafts;
pub use stream::Session;
