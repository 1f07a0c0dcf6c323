//! Score modifiers: what some models do to scores before the softmax.
#![allow(clippy::indexing_slicing)]
// Registers come in arrays that are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop)]

use super::tile::{KEYS, Scores};
use crate::format::kv::TILE_KEYS;
use crate::format::layout::TILE_ROWS;
use crate::kernels::elementwise::activation::soft_capped;
use crate::kernels::elementwise::vector::{load_wide, store_wide};
use crate::kernels::simd::Simd;

/// A change of scores before the softmax.
#[derive(Clone, Copy)]
pub struct ScoreModifier<'a> {
    /// The logit soft-cap c: scores become c · tanh(score / c).
    pub soft_cap: Option<f32>,
    /// Linear biases: scores are less by a slope for each token between key and query.
    pub alibi: Option<AlibiSlopes<'a>>,
}

/// The slopes of linear biases (ALiBi, arXiv 2108.12409).
#[derive(Clone, Copy)]
pub struct AlibiSlopes<'a> {
    /// `(group)`: query `i` has slope `i % group`
    pub each: &'a [f32],
    /// The distance of query `i`'s token from the run's first key, as far as whole numbers are
    /// exact in f32.
    pub from: &'a dyn Fn(usize) -> f32,
}

impl ScoreModifier<'_> {
    /// Changes the scores of `Q` queries, from `query` on, with the run's tile `tile`.
    #[inline(always)]
    pub(super) fn apply<S: Simd, const Q: usize>(
        &self,
        s: S,
        tile: usize,
        query: usize,
        scores: &mut Scores<Q>,
    ) {
        for (i, scores) in (query..).zip(scores) {
            let sloped = self.alibi.map(|slopes| {
                let slope = slopes.each.get(i % slopes.each.len().max(1)).copied();
                let slope = slope.unwrap_or_default();
                (slope, (slopes.from)(i) - (tile * TILE_KEYS) as f32)
            });
            for (scores, keys) in scores.chunks_mut(TILE_ROWS).zip(KEYS.chunks(TILE_ROWS)) {
                let (mut v, keys) = (load_wide(s, scores), load_wide(s, keys));
                for part in 0..S::PARTS {
                    if let Some(cap) = self.soft_cap {
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
