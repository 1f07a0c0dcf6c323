//! Rotary positions (arXiv 2104.09864): pairs of elements rotated by an angle that grows with the
//! position.

use crate::base::math::sin_cos;

/// Rotary frequencies, and the position of the stream's first token.
#[derive(Clone, Copy)]
pub(crate) struct Rope<'m> {
    /// RotaryAngles per position, in units of 2⁻⁶⁴: (rot_dim / 2)
    pub(crate) phases: &'m [u64],
    /// Multiplies sine and cosine.
    pub(crate) factor: f32,
    /// Position of stream index 0.
    pub(crate) base: u64,
}

impl Rope<'_> {
    /// Cosines and sines of the tokens at `indices`, `(tokens, rot_dim / 2)` each.
    ///
    /// The product with the position wraps where the angle does, so it is exact however
    /// long the stream.
    pub(crate) fn angles(
        &self,
        indices: impl Iterator<Item = u64>,
        cos: &mut [f32],
        sin: &mut [f32],
    ) {
        let pairs = self.phases.len().max(1);
        let rows = cos.chunks_mut(pairs).zip(sin.chunks_mut(pairs));
        for (i, (cos, sin)) in indices.zip(rows) {
            let position = self.base.wrapping_add(i);
            for ((cos, sin), phase) in cos.iter_mut().zip(sin).zip(self.phases) {
                let (s, c) = sin_cos(phase.wrapping_mul(position));
                (*cos, *sin) = (c * self.factor, s * self.factor);
            }
        }
    }
}

/// Cosines and sines of consecutive tokens, `(tokens, rot_dim / 2)` each.
#[derive(Clone, Copy)]
pub(crate) struct RotaryAngles<'a> {
    cos: &'a [f32],
    sin: &'a [f32],
    /// rot_dim / 2
    pairs: usize,
}

impl<'a> RotaryAngles<'a> {
    pub(crate) fn new(cos: &'a [f32], sin: &'a [f32], pairs: usize) -> Self {
        Self { cos, sin, pairs }
    }

    /// Cosines and sines of the `t`th token, `(rot_dim / 2)` each.
    pub(crate) fn row(&self, t: usize) -> (&'a [f32], &'a [f32]) {
        let row = t * self.pairs..(t + 1) * self.pairs;
        let of = |all: &'a [f32]| all.get(row.clone()).unwrap_or_default();
        (of(self.cos), of(self.sin))
    }
}
