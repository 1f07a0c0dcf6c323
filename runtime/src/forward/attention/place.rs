//! Tokens of a stream, and what a layer does with them.

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
    pub(crate) fn indices(&self) -> Range<u64> {
        self.first..self.first + self.tokens as u64
    }

    /// `tokens` of them from the one at `start` on.
    pub(super) fn part(&self, start: usize, tokens: usize) -> Self {
        Self { first: self.first + start as u64, tokens }
    }
}

/// Which tokens, in which layer, where they lie and what is done to their scores.
#[derive(Clone, Copy)]
pub(crate) struct Place<'p> {
    pub(crate) ring: &'p Ring,
    pub(crate) layer: usize,
    pub(crate) span: Span,
    /// Whether queries and keys of the layer are turned.
    pub(crate) rotated: bool,
    /// Whether they are turned as layers with a window are.
    pub(crate) local_rope: bool,
    /// What scores stay within.
    pub(crate) cap: Option<f32>,
    /// `(n_heads)`: what they are less by for each token of distance; empty if they are not.
    pub(crate) slopes: &'p [f32],
    /// `(n_heads)`: logits that join the softmax without a value; empty if there are none.
    pub(crate) sink_logits: &'p [f32],
}
