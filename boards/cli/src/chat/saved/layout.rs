//! A conversation in a file, from which it goes on with the same bits.
//!
//! ```text
//! 0    8    magic "OARTALK\n"
//! 8    4    version
//! 12   4    zero
//! 16   8    length of the file
//! 24   32   SHA-256 of the model file up to its first tensor: the checksums of all are there
//! 56   48   temp, top-k, top-p, min-p, repeat penalty, seed: f64 or u64
//! 104  32   state of the random numbers
//! 136  8    tokens kept for ever
//!           system prompt: length as u64, all ones for none; text
//!           turns: number; index of the first token and of the answer's first, u64 each
//!           tokens: number; u32 each
//!           the session, as the runtime hands it out
//!      4    CRC-32 of all that precedes
//! ```
//!
//! Little-endian.

use oarlock::Sampling;
use oarlock_hosted::Transcript;

/// First bytes of the file.
pub const MAGIC: [u8; 8] = *b"OARTALK\n";
/// 2: values of an int8 cache lie in groups of four keys, and their weights are quantized.
pub const VERSION: u32 = 2;
/// Magic, version, zero, length of the file.
pub const HEAD: usize = 24;
/// Length of a system prompt that there is not.
pub const NO_SYSTEM: u64 = u64::MAX;

/// Everything that is kept beside the session.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedChat {
    /// The model's fingerprint.
    pub model: [u8; 32],
    /// The sampling of the last answer.
    pub sampling: Sampling,
    /// The seed of the random numbers.
    pub seed: u64,
    /// Their state.
    pub random: [u64; 4],
    /// Tokens kept for ever.
    pub pinned: usize,
    /// The system prompt.
    pub system: Option<String>,
    /// All that was said.
    pub transcript: Transcript,
}
