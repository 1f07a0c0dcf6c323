//! What some models do to scores before the softmax.
#![allow(clippy::indexing_slicing)]
// Registers come in arrays that are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop)]

use super::tile::{KEYS, Scores};
use crate::format::kv::TILE_KEYS;
use crate::format::layout::TILE_ROWS;
use crate::kernels::activation::soft_capped;
use crate::kernels::simd::Simd;
use crate::kernels::vector::{load_wide, store_wide};

/// How scores are bent.
#[derive(Clone, Copy)]
pub struct Bend<'a> {
    /// They become c · tanh(score / c).
    pub cap: Option<f32>,
    /// They are less by a slope for each token between key and query.
    pub slopes: Option<Slopes<'a>>,
}

/// Linear biases (arXiv 2108.12409).
#[derive(Clone, Copy)]
pub struct Slopes<'a> {
    /// `(group)`: query `i` has slope `i % group`
    pub each: &'a [f32],
    /// How many keys behind the run's first the token of query `i` is, as far as whole numbers
    /// are exact in f32.
    pub from: &'a dyn Fn(usize) -> f32,
}

impl Bend<'_> {
    /// Bends the scores of `Q` queries, from `query` on, with the run's tile `tile`.
    #[inline(always)]
    pub(super) fn bend<S: Simd, const Q: usize>(
        &self,
        s: S,
        tile: usize,
        query: usize,
        scores: &mut Scores<Q>,
    ) {
        for (i, scores) in (query..).zip(scores) {
            let sloped = self.slopes.map(|slopes| {
                let slope = slopes.each[i % slopes.each.len().max(1)];
                (slope, (slopes.from)(i) - (tile * TILE_KEYS) as f32)
            });
            for (scores, keys) in scores.chunks_mut(TILE_ROWS).zip(KEYS.chunks(TILE_ROWS)) {
                let (mut v, keys) = (load_wide(s, scores), load_wide(s, keys));
                for part in 0..S::PARTS {
                    if let Some(cap) = self.cap {
                        v[part] = soft_capped(s, v[part], cap);
                    }
                    if let Some((slope, from)) = sloped {
                        let distance = s.sub(s.splat(from), keys[part]);
                        v[part] = s.fma(s.splat(-slope), distance, v[part]);
                    }
                }
                store_wide(s, scores, v);
            }
        }
    }
}
