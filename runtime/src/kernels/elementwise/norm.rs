//! Norms: root mean square (RMSNorm, arXiv 1910.07467) and layer norm.
#![allow(clippy::indexing_slicing)]
// Registers come in arrays that are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop)]

use super::vector::{WIDE, add_wide, load_wide, scale_wide, store_wide};
use crate::base::math;
use crate::kernels::isa::Isa;
use crate::kernels::simd::{MAX_PARTS, Op, Simd, Wide};

/// Normalises by the root mean square: `out = (x · r) · gain` with r = 1 / sqrt(mean of squares + eps), all `(dim)`.
pub fn rms_norm(isa: Isa, x: &[f32], gain: &[f32], eps: f32, out: &mut [f32]) {
    isa.run(RmsNorm { x, gain, eps, out });
}

/// Normalises by mean and variance: `out = ((x − mean) · r) · gain` with
/// r = 1 / sqrt(mean square of x − mean, plus eps), and then `out + bias` if there is one, all `(dim)`.
pub fn layer_norm(
    isa: Isa,
    x: &[f32],
    gain: &[f32],
    bias: Option<&[f32]>,
    eps: f32,
    out: &mut [f32],
) {
    isa.run(LayerNorm { x: Some(x), gain, bias, eps, out });
}

/// Normalises in place as [`layer_norm`] does.
pub fn layer_norm_in(isa: Isa, x: &mut [f32], gain: &[f32], bias: Option<&[f32]>, eps: f32) {
    isa.run(LayerNorm { x: None, gain, bias, eps, out: x });
}

/// Normalises in place, as [`rms_norm`] does, each head of `x` `(heads, head_dim)`, all with one
/// gain `(head_dim)`.
pub fn norm_heads(isa: Isa, x: &mut [f32], gain: &[f32], eps: f32) {
    isa.run(NormHeads { x, gain, eps });
}

struct RmsNorm<'a> {
    x: &'a [f32],
    gain: &'a [f32],
    eps: f32,
    out: &'a mut [f32],
}

impl Op for RmsNorm<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        assert!(self.x.len() == self.gain.len() && self.x.len() == self.out.len());
        let r = s.splat(inverse_rms(s, self.x, self.eps));
        let inputs = self.x.chunks(WIDE).zip(self.gain.chunks(WIDE));
        for ((x, gain), out) in inputs.zip(self.out.chunks_mut(WIDE)) {
            store_wide(s, out, norm_wide(s, load_wide(s, x), r, load_wide(s, gain)));
        }
    }
}

struct LayerNorm<'a> {
    /// The input, unless it is in `out`.
    x: Option<&'a [f32]>,
    gain: &'a [f32],
    bias: Option<&'a [f32]>,
    eps: f32,
    out: &'a mut [f32],
}

impl Op for LayerNorm<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let n = self.out.len();
        assert!(self.x.is_none_or(|x| x.len() == n) && self.gain.len() == n);
        assert!(self.bias.is_none_or(|bias| bias.len() == n));
        let mean = s.splat(sum(s, self.x.unwrap_or(self.out)) / n as f32);
        let mut given = self.x.unwrap_or_default().chunks(WIDE);
        for out in self.out.chunks_mut(WIDE) {
            let mut x = load_wide(s, given.next().unwrap_or(out));
            for part in 0..S::PARTS {
                x[part] = s.sub(x[part], mean);
            }
            store_wide(s, out, x);
        }
        let r = s.splat(inverse_rms(s, self.out, self.eps));
        let mut bias = self.bias.unwrap_or_default().chunks(WIDE);
        for (gain, out) in self.gain.chunks(WIDE).zip(self.out.chunks_mut(WIDE)) {
            let mut normed = norm_wide(s, load_wide(s, out), r, load_wide(s, gain));
            if let Some(bias) = bias.next() {
                normed = add_wide(s, normed, load_wide(s, bias));
            }
            store_wide(s, out, normed);
        }
    }
}

struct NormHeads<'a> {
    x: &'a mut [f32],
    gain: &'a [f32],
    eps: f32,
}

impl Op for NormHeads<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for head in self.x.chunks_exact_mut(self.gain.len().max(1)) {
            let r = s.splat(inverse_rms(s, head, self.eps));
            for (x, gain) in head.chunks_mut(WIDE).zip(self.gain.chunks(WIDE)) {
                let normed = norm_wide(s, load_wide(s, x), r, load_wide(s, gain));
                store_wide(s, x, normed);
            }
        }
    }
}

/// The sum of squares by 16 strided partial sums.
///
/// What pads the last lanes is 0, and a partial sum of squares is never −0: adding 0
/// leaves it as it is, as skipping would.
#[inline(always)]
fn sum_squares<S: Simd>(s: S, x: &[f32]) -> f32 {
    let mut sums = [s.splat(0.0); MAX_PARTS];
    for x in x.chunks(WIDE) {
        let v = load_wide(s, x);
        for part in 0..S::PARTS {
            sums[part] = s.fma(v[part], v[part], sums[part]);
        }
    }
    s.sum16(sums)
}

/// The sum by 16 strided partial sums, each begun at +0: adding what pads the last lanes
/// leaves it as it is.
#[inline(always)]
fn sum<S: Simd>(s: S, x: &[f32]) -> f32 {
    let mut sums = [s.splat(0.0); MAX_PARTS];
    for x in x.chunks(WIDE) {
        sums = add_wide(s, sums, load_wide(s, x));
    }
    s.sum16(sums)
}

/// `(x · r) · gain`
#[inline(always)]
fn norm_wide<S: Simd>(s: S, x: Wide<S>, r: S::F, gain: Wide<S>) -> Wide<S> {
    let mut x = scale_wide(s, x, r);
    for part in 0..S::PARTS {
        x[part] = s.mul(x[part], gain[part]);
    }
    x
}

/// 1 / sqrt(mean of squares + eps)
#[inline(always)]
fn inverse_rms<S: Simd>(s: S, x: &[f32], eps: f32) -> f32 {
    1.0 / math::sqrt(sum_squares(s, x) / x.len() as f32 + eps)
}
