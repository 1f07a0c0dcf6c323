//! The bytes of an `.oar` file; `docs/reference/format.md` has every one of them in words.
//!
//! Little-endian throughout. Metadata comes first, all of it under the header's CRC;
//! tensors follow in the order of use, each under a CRC of its own that also covers the
//! padding after it. Everything starts on a 64-byte boundary, at the one offset that
//! the rules leave: a reader recomputes each offset instead of trusting it, so nothing
//! can overlap, and there is one file for one content.
//!
//! ```text
//! header · config · rope · layers · directory · names · tokenizer · chat · sampling · provenance
//! tensors: embedding · per layer { attention norm, q, k, v, o, ffn norm, then gate, up, down,
//!          or router, those of all experts and of the shared one } · output norm · output
//! ```
//!
//! The records here are both read (by [`Model::open`](crate::model::Model::open)) and
//! written (by the converter), so the two cannot disagree.

mod cast;
mod config;
mod constants;
mod directory;
mod error;
mod extent;
mod fields;
mod header;
pub mod kv;
pub mod layout;
pub mod matrix;
mod records;
mod role;
mod sampling;
mod section;
mod shape;
mod tensor_type;

pub(crate) use cast::{f32s, u64s};
pub use config::{Activation, Clamped, Config, Mlp, Norm, Norms, Positions, QkNorm, Residual};
pub use config::{Routing, Scale};
pub use constants::{ALIGN, MAGIC, NONE, VERSION, align_up};
pub use directory::Entry;
pub use error::{Field, OpenError};
pub use extent::Extent;
pub use header::{Header, metadata_crc};
pub use records::{LayerEntry, RopeHeader, SAMPLING_LEN, read_sampling, write_sampling};
pub use role::Role;
pub use sampling::{Sampling, SamplingError};
pub use section::Section;
pub use tensor_type::TensorType;
