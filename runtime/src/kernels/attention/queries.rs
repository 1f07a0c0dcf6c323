//! Queries, scaled and in the form that meets the cached keys.
#![allow(clippy::indexing_slicing)]

use super::kv::{MAX_HEAD_DIM, padded};
use crate::format::kv::KvType;
use crate::format::layout::BLOCK_COLS;
use crate::kernels::elementwise::quantize::quantize_run;
use crate::kernels::elementwise::vector::{WIDE, load_wide, scale_wide, store_wide};
use crate::kernels::isa::Isa;
use crate::kernels::simd::{Op, Simd};

/// The queries of one kv head: those of its group's heads, for one token or several.
#[derive(Clone, Copy, Debug)]
pub struct Queries<'a> {
    pub(super) kind: KvType,
    pub(super) head_dim: usize,
    pub(super) n: usize,
    /// `(n, padded dims)`, scaled; for f16 and f32
    pub(super) x: &'a [f32],
    /// `(n, padded dims)`; for int8, as are the scales and sums `(n, padded dims / 32)`
    pub(super) q: &'a [i8],
    pub(super) scale: &'a [f32],
    pub(super) sum: &'a [i32],
}

impl<'a> Queries<'a> {
    /// `n` queries that a [`QueriesMut`] of the same buffers has made ready; `None` if one
    /// is shorter than it asks for.
    pub fn new(
        kind: KvType,
        head_dim: usize,
        n: usize,
        x: &'a [f32],
        q: &'a [i8],
        scale: &'a [f32],
        sum: &'a [i32],
    ) -> Option<Self> {
        let lens = [x.len(), q.len(), scale.len(), sum.len()];
        enough(kind, head_dim, n, lens).then_some(Self { kind, head_dim, n, x, q, scale, sum })
    }
}

/// Tells whether buffers of these lengths hold `n` queries.
fn enough(kind: KvType, head_dim: usize, n: usize, [x, q, scale, sum]: [usize; 4]) -> bool {
    let fits = |len| match kind {
        KvType::Int8 => q >= len && scale >= len / BLOCK_COLS && sum >= len / BLOCK_COLS,
        KvType::F16 | KvType::F32 => x >= len,
    };
    (1..=MAX_HEAD_DIM).contains(&head_dim) && n.checked_mul(padded(head_dim)).is_some_and(fits)
}

/// Queries that are being made ready.
#[derive(Debug)]
pub struct QueriesMut<'a> {
    kind: KvType,
    head_dim: usize,
    n: usize,
    x: &'a mut [f32],
    q: &'a mut [i8],
    scale: &'a mut [f32],
    sum: &'a mut [i32],
}

impl<'a> QueriesMut<'a> {
    /// Takes room for `n` queries in buffers of at least: for int8, `q` of `(n, padded dims)`
    /// and `scale` and `sum` of `(n, padded dims / 32)`; for f16 and f32, `x` of `(n, padded dims)`. The
    /// others may be empty. `None` if one is too short or a head has over 512 dimensions.
    pub fn new(
        kind: KvType,
        head_dim: usize,
        n: usize,
        x: &'a mut [f32],
        q: &'a mut [i8],
        scale: &'a mut [f32],
        sum: &'a mut [i32],
    ) -> Option<Self> {
        let lens = [x.len(), q.len(), scale.len(), sum.len()];
        enough(kind, head_dim, n, lens).then_some(Self { kind, head_dim, n, x, q, scale, sum })
    }

    /// Takes `x` `(head_dim)`, already rotated, times `score_scale` as query `i`.
    ///
    /// # Panics
    /// If there is no such query, or `x` has another length.
    pub fn set(&mut self, isa: Isa, i: usize, x: &[f32], score_scale: f32) {
        assert!(i < self.n && x.len() == self.head_dim);
        isa.run(SetQuery { queries: self, i, x, score_scale });
    }

    /// The queries that have been set.
    pub fn view(&self) -> Queries<'_> {
        let Self { kind, head_dim, n, .. } = *self;
        Queries { kind, head_dim, n, x: self.x, q: self.q, scale: self.scale, sum: self.sum }
    }
}

struct SetQuery<'a, 'q> {
    queries: &'a mut QueriesMut<'q>,
    i: usize,
    x: &'a [f32],
    score_scale: f32,
}

impl Op for SetQuery<'_, '_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { queries, i, x, score_scale } = self;
        let dims = padded(queries.head_dim);
        let mut row = [0.0; MAX_HEAD_DIM];
        let row = &mut row[..x.len()];
        let score_scale = s.splat(score_scale);
        for (to, x) in row.chunks_mut(WIDE).zip(x.chunks(WIDE)) {
            store_wide(s, to, scale_wide(s, load_wide(s, x), score_scale));
        }
        let at = i * dims..(i + 1) * dims;
        if queries.kind == KvType::Int8 {
            let blocks = i * dims / BLOCK_COLS..(i + 1) * dims / BLOCK_COLS;
            let outs = queries.scale[blocks.clone()].iter_mut().zip(&mut queries.sum[blocks]);
            let quants = queries.q[at].chunks_exact_mut(BLOCK_COLS);
            for ((x, q), (scale, sum)) in row.chunks(BLOCK_COLS).zip(quants).zip(outs) {
                (*scale, *sum) = quantize_run(s, x, q);
            }
        } else {
            let to = &mut queries.x[at];
            to[..row.len()].copy_from_slice(row);
            to[row.len()..].fill(0.0);
        }
    }
}
