//! The online-softmax state of queries over part of the keys (a KV split), and the merging of
//! splits (arXiv 1805.02867; split as in Flash-Decoding).
#![allow(unsafe_code, clippy::indexing_slicing)]

use super::kv::padded;
use crate::format::kv::HEAD_ALIGN;
use crate::format::layout::TILE_ROWS;
use crate::kernels::elementwise::vector::{WIDE, exp, load_wide, store_wide};
use crate::kernels::isa::Isa;
use crate::kernels::simd::{Op, Simd};

/// The online softmax of several queries over the tiles they have met so far.
#[derive(Debug)]
pub struct SoftmaxState<'a> {
    pub(super) head_dim: usize,
    /// `(n)`: the largest score
    pub(super) max: &'a mut [f32],
    /// `(n)`: the sum of exponentials; 0 until a key has been seen
    pub(super) sum: &'a mut [f32],
    /// `(n, padded dims)`: the sum of weighted values
    pub(super) acc: &'a mut [f32],
}

impl<'a> SoftmaxState<'a> {
    /// The state of `n` queries that have seen nothing, in buffers of at least `(n)`, `(n)` and
    /// `(n, padded dims)`; `None` if one is shorter.
    pub fn new(
        head_dim: usize,
        n: usize,
        max: &'a mut [f32],
        sum: &'a mut [f32],
        acc: &'a mut [f32],
    ) -> Option<Self> {
        let mut state = Self::resume(head_dim, n, max, sum, acc)?;
        state.reset();
        Some(state)
    }

    /// The state that such buffers were left with: see [`SoftmaxState::new`].
    pub fn resume(
        head_dim: usize,
        n: usize,
        max: &'a mut [f32],
        sum: &'a mut [f32],
        acc: &'a mut [f32],
    ) -> Option<Self> {
        let (max, sum) = (max.get_mut(..n)?, sum.get_mut(..n)?);
        let acc = acc.get_mut(..n.checked_mul(head_dim.checked_next_multiple_of(HEAD_ALIGN)?)?)?;
        Some(Self { head_dim, max, sum, acc })
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        self.max.fill(0.0);
        self.sum.fill(0.0);
        self.acc.fill(0.0);
    }
}

/// exp of one number.
#[inline(always)]
pub(super) fn exp_one<S: Simd>(s: S, v: f32) -> f32 {
    first_lane(s, exp(s, s.splat(v)))
}

/// The first lane of a register.
#[inline(always)]
pub(super) fn first_lane<S: Simd>(s: S, v: S::F) -> f32 {
    let mut lanes = [0.0; TILE_ROWS];
    // SAFETY: `LANES` is at most 16.
    unsafe { s.store(lanes.as_mut_ptr(), v) };
    lanes[0]
}

/// Folds a later KV split into what earlier ones have given, for all queries.
///
/// # Panics
/// If they differ in shape.
pub fn merge(isa: Isa, into: &mut SoftmaxState<'_>, later: &SoftmaxState<'_>) {
    assert!(into.head_dim == later.head_dim && into.acc.len() == later.acc.len());
    isa.run(Merge { into, later });
}

struct Merge<'a, 'p, 'q> {
    into: &'a mut SoftmaxState<'p>,
    later: &'a SoftmaxState<'q>,
}

impl Op for Merge<'_, '_, '_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { into, later } = self;
        let dims = padded(into.head_dim).max(1);
        let (a, b) = (into.acc.chunks_exact_mut(dims), later.acc.chunks_exact(dims));
        let totals = into.max.iter_mut().zip(into.sum.iter_mut()).zip(a);
        let parts = later.max.iter().zip(later.sum.iter()).zip(b);
        for (((max_a, sum_a), acc_a), ((&max_b, &sum_b), acc_b)) in totals.zip(parts) {
            if sum_b == 0.0 {
                continue;
            }
            if *sum_a == 0.0 {
                (*max_a, *sum_a) = (max_b, sum_b);
                acc_a.iter_mut().zip(acc_b).for_each(|(a, b)| *a = *b);
                continue;
            }
            let max = if *max_a > max_b { *max_a } else { max_b };
            let (a, b) = (s.splat(exp_one(s, *max_a - max)), s.splat(exp_one(s, max_b - max)));
            for (acc_a, acc_b) in acc_a.chunks_mut(WIDE).zip(acc_b.chunks(WIDE)) {
                let (mut both, later) = (load_wide(s, acc_a), load_wide(s, acc_b));
                for part in 0..S::PARTS {
                    both[part] = s.fma(later[part], b, s.mul(both[part], a));
                }
                store_wide(s, acc_a, both);
            }
            let scaled = s.mul(s.splat(*sum_a), a);
            *sum_a = first_lane(s, s.fma(s.splat(sum_b), b, scaled));
            *max_a = max;
        }
    }
}

/// Writes what query `i` attends to, `(head_dim)`: the weighted values by their sum, to which
/// the logit `sink`, if there is one, adds as the score of a key whose value is 0.
///
/// # Panics
/// If there is no such query, or `out` has another length.
pub fn finish(isa: Isa, state: &SoftmaxState<'_>, i: usize, sink: Option<f32>, out: &mut [f32]) {
    assert!(out.len() == state.head_dim && i < state.sum.len());
    isa.run(Finish { state, i, sink, out });
}

struct Finish<'a, 'p> {
    state: &'a SoftmaxState<'p>,
    i: usize,
    sink: Option<f32>,
    out: &'a mut [f32],
}

impl Op for Finish<'_, '_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let dims = padded(self.state.head_dim).max(1);
        let state = self.state;
        let sums = state.max.iter().zip(state.sum.iter());
        let query = sums.zip(state.acc.chunks_exact(dims)).nth(self.i);
        let Some(((&max, &sum), acc)) = query else { return };
        // However far above the scores it is, exp ends at e⁸⁸, which as many exponentials of at
        // most 1 as there may be tokens do not bring to infinity.
        let sum = match self.sink {
            Some(sink) => sum + exp_one(s, sink - max),
            None => sum,
        };
        let sum = s.splat(sum);
        for (out, acc) in self.out.chunks_mut(WIDE).zip(acc.chunks(WIDE)) {
            let mut values = load_wide(s, acc);
            for part in 0..S::PARTS {
                values[part] = s.div(values[part], sum);
            }
            store_wide(s, out, values);
        }
    }
}
