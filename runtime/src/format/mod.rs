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
mod directory;
mod error;
mod header;
pub mod kv;
pub mod layout;
pub mod matrix;
mod records;
mod sampling;

pub(crate) use cast::{f32s, u64s};
pub use config::{Activation, Clamped, Config, Mlp, Norm, Norms, Positions, QkNorm, Residual};
pub use config::{Routing, Scale};
pub use directory::{Entry, NONE, Role, TensorType};
pub use error::{Field, OpenError};
pub use header::{Extent, Header, Section, metadata_crc};
pub use records::{LayerEntry, RopeHeader, SAMPLING_LEN, read_sampling, write_sampling};
pub use sampling::{Sampling, SamplingError};

/// The first bytes of the file; the line end shows a transfer that changed line ends.
pub const MAGIC: [u8; 8] = *b"OARLOCK\n";
/// The newest version of everything in this module. A file has the first that suffices.
pub const VERSION: u32 = 4;
/// What every section, every tensor, the file's length and the slice itself are aligned to.
pub const ALIGN: usize = 64;

/// `len` rounded up to the alignment, or `None` if that overflows.
pub const fn align_up(len: u64) -> Option<u64> {
    match len.checked_add(ALIGN as u64 - 1) {
        Some(sum) => Some(sum - sum % ALIGN as u64),
        None => None,
    }
}
