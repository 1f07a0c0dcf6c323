//! Tokens of a stream, and one layer's part in their attention.

use core::ops::Range;

use crate::cache::Ring;

/// Consecutive tokens of the stream that go through the layers together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// Stream index of the first.
    pub(crate) first: u64,
    /// At least one.
    pub(crate) tokens: usize,
}

impl Span {
    /// Stream indices of the tokens.
    pub(crate) fn indices(&self) -> Range<u64> {
        self.first..self.first + self.tokens as u64
    }

    /// `tokens` of them from the one at `start` on.
    pub(super) fn part(&self, start: usize, tokens: usize) -> Self {
        Self { first: self.first + start as u64, tokens }
    }
}

/// A layer's attention: its tokens, its part of the cache, and how it modifies scores.
#[derive(Clone, Copy)]
pub(crate) struct AttentionLayer<'p> {
    pub(crate) ring: &'p Ring,
    /// Index of the layer within its cache.
    pub(crate) layer: usize,
    pub(crate) span: Span,
    /// Whether queries and keys of the layer are rotated.
    pub(crate) rope: bool,
    /// Whether they are rotated as layers with a window are.
    pub(crate) local_rope: bool,
    /// Logit soft-cap of scores.
    pub(crate) soft_cap: Option<f32>,
    /// `(n_heads)`: ALiBi slopes (arXiv 2108.12409); empty if there are none.
    pub(crate) alibi_slopes: &'p [f32],
    /// `(n_heads)`: logits that join the softmax without a value; empty if there are none.
    pub(crate) sink_logits: &'p [f32],
}
