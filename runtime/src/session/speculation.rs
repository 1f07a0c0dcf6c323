//! State of speculative decoding: the drafts behind the end of the stream, and counts.

use super::lookup::Pace;

/// Counts of drafted and of accepted tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Drafts {
    /// Tokens that were drafted and computed.
    pub drafted: u64,
    /// Those of them that then were fed.
    pub accepted: u64,
}

/// Drafts behind the end of the stream.
#[derive(Default)]
pub(super) struct Speculation {
    /// Drafts that are still there.
    pub(super) tokens: usize,
    /// Drafts of the same pass that were accepted.
    pub(super) accepted: usize,
    pub(super) pace: Pace,
    pub(super) count: Drafts,
}

impl Speculation {
    /// Forgets the drafts and how they fared; what was counted stays.
    pub(super) fn reset(&mut self) {
        *self = Self { count: self.count, ..Self::default() };
    }
}
