//! What is done to a vector of f32, lane by lane, and the sum of its squares.
#![allow(unsafe_code, clippy::indexing_slicing)]

use super::isa::{Isa, Op};
use super::simd::{MOST_PARTS, Simd};
use crate::math;

/// Lanes that a reduction strides over.
const WIDE: usize = 16;

/// `out = (x · r) · gain` with r = 1 / sqrt(mean of squares + eps), all `(dim)`.
pub fn rms_norm(isa: Isa, x: &[f32], gain: &[f32], eps: f32, out: &mut [f32]) {
    isa.run(RmsNorm { x, gain, eps, out });
}

/// `out = ((x − mean) · r) · gain` with r = 1 / sqrt(mean square of x − mean, plus eps), and
/// then `out + bias` if there is one, all `(dim)`.
pub fn layer_norm(
    isa: Isa,
    x: &[f32],
    gain: &[f32],
    bias: Option<&[f32]>,
    eps: f32,
    out: &mut [f32],
) {
    isa.run(LayerNorm { x, gain, bias, eps, out });
}

/// [`rms_norm`] in place of each head of `x` `(heads, head_dim)`, all with one gain
/// `(head_dim)`.
pub fn norm_heads(isa: Isa, x: &mut [f32], gain: &[f32], eps: f32) {
    isa.run(NormHeads { x, gain, eps });
}

/// `x = x · factor`.
pub fn scale(isa: Isa, x: &mut [f32], factor: f32) {
    isa.run(Scaled { x, factor });
}

/// `x = x + y`, both of one length.
pub fn add(isa: Isa, x: &mut [f32], y: &[f32]) {
    isa.run(Add { x, y });
}

/// `gate = SiLU(gate) · up`, both of one length.
pub fn gated_silu(isa: Isa, gate: &mut [f32], up: &[f32]) {
    isa.run(GatedSilu { gate, up });
}

/// Turns each head of `x` `(heads, head_dim)` by the angles whose cosines and sines are
/// given, `(rot_dim / 2)` each: dimension i with dimension i + rot_dim / 2. Dimensions
/// from rot_dim on stay.
pub fn rotate(isa: Isa, x: &mut [f32], head_dim: usize, cos: &[f32], sin: &[f32]) {
    assert!(cos.len() == sin.len() && 2 * cos.len() <= head_dim);
    isa.run(Rotate { x, head_dim, cos, sin });
}

/// exp, lane by lane: see [`math::exp`].
#[inline(always)]
pub(super) fn exp<S: Simd>(s: S, v: S::F) -> S::F {
    let most = s.splat(math::EXP_MOST);
    let limited = s.select_lt(most, v, most, v);
    let rounder = s.splat(math::ROUNDER);
    let shifted = s.fma(limited, s.splat(math::LOG2_E), rounder);
    let n = s.sub(shifted, rounder);
    let r = s.fma(n, s.splat(-math::LN2_HIGH), limited);
    let r = s.fma(n, s.splat(-math::LN2_LOW), r);
    // The first step of Horner's from 0 would only give the coefficient itself.
    let mut p = s.splat(math::EXP[0]);
    for c in &math::EXP[1..] {
        p = s.fma(p, r, s.splat(*c));
    }
    let e = s.mul(p, s.exp2_magic(shifted));
    s.select_lt(v, s.splat(math::EXP_LEAST), s.splat(0.0), e)
}

/// SiLU(gate) · up, where SiLU(x) = x · sigmoid(x) and the exponent is never positive.
#[inline(always)]
pub(super) fn silu_times<S: Simd>(s: S, gate: S::F, up: S::F) -> S::F {
    let (zero, one) = (s.splat(0.0), s.splat(1.0));
    let e = exp(s, s.sub(zero, s.abs(gate)));
    let numerator = s.select_lt(gate, zero, e, one);
    let sigmoid = s.div(numerator, s.add(one, e));
    s.mul(s.mul(gate, sigmoid), up)
}

/// Up to [`Simd::LANES`] values, zeros after them.
#[inline(always)]
pub(super) fn load_some<S: Simd>(s: S, from: &[f32]) -> S::F {
    if from.len() >= S::LANES {
        // SAFETY: the slice has at least that many elements.
        return unsafe { s.load(from.as_ptr()) };
    }
    let mut lanes = [0.0; WIDE];
    lanes[..from.len()].copy_from_slice(from);
    // SAFETY: `LANES` is at most 16.
    unsafe { s.load(lanes.as_ptr()) }
}

/// As many lanes as there is room for, at most [`Simd::LANES`].
#[inline(always)]
pub(super) fn store_some<S: Simd>(s: S, to: &mut [f32], v: S::F) {
    if to.len() >= S::LANES {
        // SAFETY: the slice has at least that many elements.
        return unsafe { s.store(to.as_mut_ptr(), v) };
    }
    let mut lanes = [0.0; WIDE];
    // SAFETY: `LANES` is at most 16.
    unsafe { s.store(lanes.as_mut_ptr(), v) };
    let len = to.len();
    to.copy_from_slice(&lanes[..len]);
}

/// The sum of squares by 16 strided partial sums.
///
/// What pads the last lanes is 0, and a partial sum of squares is never −0: adding 0
/// leaves it as it is, as skipping would.
#[inline(always)]
fn sum_squares<S: Simd>(s: S, x: &[f32]) -> f32 {
    let mut sums = [s.splat(0.0); MOST_PARTS];
    for wide in x.chunks(WIDE) {
        for (sum, x) in sums.iter_mut().zip(wide.chunks(S::LANES)) {
            let v = load_some(s, x);
            *sum = s.fma(v, v, *sum);
        }
    }
    s.sum16(sums)
}

/// The sum by 16 strided partial sums, each begun at +0: adding what pads the last lanes
/// leaves it as it is.
#[inline(always)]
fn sum<S: Simd>(s: S, x: &[f32]) -> f32 {
    let mut sums = [s.splat(0.0); MOST_PARTS];
    for wide in x.chunks(WIDE) {
        for (sum, x) in sums.iter_mut().zip(wide.chunks(S::LANES)) {
            *sum = s.add(*sum, load_some(s, x));
        }
    }
    s.sum16(sums)
}

/// 1 / sqrt(mean of squares + eps)
#[inline(always)]
fn inverse_rms<S: Simd>(s: S, x: &[f32], eps: f32) -> f32 {
    1.0 / math::sqrt(sum_squares(s, x) / x.len() as f32 + eps)
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
        let inputs = self.x.chunks(S::LANES).zip(self.gain.chunks(S::LANES));
        for ((x, gain), out) in inputs.zip(self.out.chunks_mut(S::LANES)) {
            let scaled = s.mul(load_some(s, x), r);
            store_some(s, out, s.mul(scaled, load_some(s, gain)));
        }
    }
}

struct LayerNorm<'a> {
    x: &'a [f32],
    gain: &'a [f32],
    bias: Option<&'a [f32]>,
    eps: f32,
    out: &'a mut [f32],
}

impl Op for LayerNorm<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        assert!(self.x.len() == self.gain.len() && self.x.len() == self.out.len());
        assert!(self.bias.is_none_or(|bias| bias.len() == self.x.len()));
        let mean = s.splat(sum(s, self.x) / self.x.len() as f32);
        for (x, out) in self.x.chunks(S::LANES).zip(self.out.chunks_mut(S::LANES)) {
            store_some(s, out, s.sub(load_some(s, x), mean));
        }
        let r = s.splat(inverse_rms(s, self.out, self.eps));
        let mut bias = self.bias.unwrap_or_default().chunks(S::LANES);
        for (gain, out) in self.gain.chunks(S::LANES).zip(self.out.chunks_mut(S::LANES)) {
            let scaled = s.mul(s.mul(load_some(s, out), r), load_some(s, gain));
            let sum = bias.next().map(|bias| s.add(scaled, load_some(s, bias)));
            store_some(s, out, sum.unwrap_or(scaled));
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
            for (x, gain) in head.chunks_mut(S::LANES).zip(self.gain.chunks(S::LANES)) {
                let scaled = s.mul(load_some(s, x), r);
                store_some(s, x, s.mul(scaled, load_some(s, gain)));
            }
        }
    }
}

struct Scaled<'a> {
    x: &'a mut [f32],
    factor: f32,
}

impl Op for Scaled<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for x in self.x.chunks_mut(S::LANES) {
            store_some(s, x, s.mul(load_some(s, x), s.splat(self.factor)));
        }
    }
}

struct Add<'a> {
    x: &'a mut [f32],
    y: &'a [f32],
}

impl Op for Add<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        assert!(self.x.len() == self.y.len());
        for (x, y) in self.x.chunks_mut(S::LANES).zip(self.y.chunks(S::LANES)) {
            let sum = s.add(load_some(s, x), load_some(s, y));
            store_some(s, x, sum);
        }
    }
}

struct GatedSilu<'a> {
    gate: &'a mut [f32],
    up: &'a [f32],
}

impl Op for GatedSilu<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        assert!(self.gate.len() == self.up.len());
        for (gate, up) in self.gate.chunks_mut(S::LANES).zip(self.up.chunks(S::LANES)) {
            let v = silu_times(s, load_some(s, gate), load_some(s, up));
            store_some(s, gate, v);
        }
    }
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
            let pairs = low.chunks_mut(S::LANES).zip(high.chunks_mut(S::LANES));
            let angles = self.cos.chunks(S::LANES).zip(self.sin.chunks(S::LANES));
            for ((x0, x1), (cos, sin)) in pairs.zip(angles) {
                let (v0, v1) = (load_some(s, x0), load_some(s, x1));
                let (cos, sin) = (load_some(s, cos), load_some(s, sin));
                // 0 − v1·sin would turn −0 into +0; the product is negated exactly.
                let minus = s.mul(v1, s.sub(s.splat(-0.0), sin));
                store_some(s, x0, s.fma(v0, cos, minus));
                store_some(s, x1, s.fma(v1, cos, s.mul(v0, sin)));
            }
        }
    }
}
