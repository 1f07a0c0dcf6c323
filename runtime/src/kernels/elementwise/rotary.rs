//! Rotary position embedding (RoPE, arXiv 2104.09864).
#![allow(clippy::indexing_slicing)]
// Registers come in arrays that are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop)]

use super::vector::{WIDE, load_wide, store_wide};
use crate::kernels::isa::Isa;
use crate::kernels::simd::{Op, Simd};

/// Rotates each head of `x` `(heads, head_dim)` by the angles whose cosines and sines are
/// given, `(rot_dim / 2)` each: dimension i with dimension i + rot_dim / 2. Dimensions
/// from rot_dim on stay.
pub fn rotate(isa: Isa, x: &mut [f32], head_dim: usize, cos: &[f32], sin: &[f32]) {
    assert!(cos.len() == sin.len() && 2 * cos.len() <= head_dim);
    isa.run(Rotate { x, head_dim, cos, sin });
}

struct Rotate<'a> {
    x: &'a mut [f32],
    head_dim: usize,
    cos: &'a [f32],
    sin: &'a [f32],
}

impl Op for Rotate<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let half = self.cos.len();
        for head in self.x.chunks_exact_mut(self.head_dim.max(1)) {
            let (low, rest) = head.split_at_mut(half.min(head.len()));
            let (high, _) = rest.split_at_mut(half.min(rest.len()));
            let pairs = low.chunks_mut(WIDE).zip(high.chunks_mut(WIDE));
            let angles = self.cos.chunks(WIDE).zip(self.sin.chunks(WIDE));
            for ((x0, x1), (cos, sin)) in pairs.zip(angles) {
                let (v0, v1) = (load_wide(s, x0), load_wide(s, x1));
                let (cos, sin) = (load_wide(s, cos), load_wide(s, sin));
                let (mut rotated0, mut rotated1) = (v0, v1);
                for part in 0..S::PARTS {
                    let (v0, v1, cos, sin) = (v0[part], v1[part], cos[part], sin[part]);
                    // 0 − v1·sin would turn −0 into +0; the product is negated exactly.
                    let minus = s.mul(v1, s.sub(s.splat(-0.0), sin));
                    rotated0[part] = s.fma(v0, cos, minus);
                    rotated1[part] = s.fma(v1, cos, s.mul(v0, sin));
                }
                store_wide(s, x0, rotated0);
                store_wide(s, x1, rotated1);
            }
        }
    }
}
