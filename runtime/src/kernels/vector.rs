//! What is done to a vector of f32, lane by lane, and the sum of its squares.
#![allow(unsafe_code, clippy::indexing_slicing)]
// Registers come in arrays that are walked in step: an index says so, iterators would not. (And
// a closure would be compiled for no instruction set in particular, unless it is inlined.)
#![allow(clippy::needless_range_loop)]

use super::isa::{Isa, Op};
use super::simd::{MOST_PARTS, Simd};
use crate::base::math;

/// Lanes that a reduction strides over.
pub(super) const WIDE: usize = 16;

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
    isa.run(LayerNorm { x: Some(x), gain, bias, eps, out });
}

/// [`layer_norm`] in place.
pub fn layer_norm_in(isa: Isa, x: &mut [f32], gain: &[f32], bias: Option<&[f32]>, eps: f32) {
    isa.run(LayerNorm { x: None, gain, bias, eps, out: x });
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

/// `out = x − factor · y`, rounded once; as many as the shortest has.
pub fn difference(isa: Isa, x: &[f32], y: &[f32], factor: f32, out: &mut [f32]) {
    isa.run(Difference { x, y, factor, out });
}

/// `x = x + y`, both of one length.
pub fn add(isa: Isa, x: &mut [f32], y: &[f32]) {
    isa.run(Add { x, y });
}

/// `x = x + y · factor`, rounded once; as many as the shorter has.
pub fn add_scaled(isa: Isa, x: &mut [f32], y: &[f32], factor: f32) {
    isa.run(AddScaled { x, y, factor });
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
    exp_limited(s, s.select_lt(most, v, most, v))
}

/// [`exp`] of what is at most 88.
#[inline(always)]
pub(super) fn exp_limited<S: Simd>(s: S, v: S::F) -> S::F {
    let rounder = s.splat(math::ROUNDER);
    let shifted = s.fma(v, s.splat(math::LOG2_E), rounder);
    let n = s.sub(shifted, rounder);
    let r = s.fma(n, s.splat(-math::LN2_HIGH), v);
    let r = s.fma(n, s.splat(-math::LN2_LOW), r);
    // The first step of Horner's from 0 would only give the coefficient itself.
    let mut p = s.splat(math::EXP[0]);
    for c in &math::EXP[1..] {
        p = s.fma(p, r, s.splat(*c));
    }
    let e = s.mul(p, s.exp2_magic(shifted));
    s.select_lt(v, s.splat(math::EXP_LEAST), s.splat(0.0), e)
}

/// 16 lanes: the first [`Simd::PARTS`] registers are used.
pub(super) type Wide<S> = [<S as Simd>::F; MOST_PARTS];

/// Up to 16 values, zeros after them.
#[inline(always)]
pub(super) fn load_wide<S: Simd>(s: S, from: &[f32]) -> Wide<S> {
    if from.len() >= WIDE {
        // SAFETY: the slice has at least that many elements.
        return unsafe { load_16(s, from.as_ptr()) };
    }
    let mut lanes = [0.0; WIDE];
    lanes[..from.len()].copy_from_slice(from);
    // SAFETY: an array of 16.
    unsafe { load_16(s, lanes.as_ptr()) }
}

/// # Safety
/// 16 values are there.
#[inline(always)]
pub(super) unsafe fn load_16<S: Simd>(s: S, from: *const f32) -> Wide<S> {
    let mut wide = [s.splat(0.0); MOST_PARTS];
    for part in 0..S::PARTS {
        // SAFETY: `PARTS · LANES` is 16.
        wide[part] = unsafe { s.load(from.add(part * S::LANES)) };
    }
    wide
}

/// As many lanes as there is room for, at most 16.
#[inline(always)]
pub(super) fn store_wide<S: Simd>(s: S, to: &mut [f32], v: Wide<S>) {
    if to.len() >= WIDE {
        // SAFETY: the slice has at least that many elements.
        return unsafe { store_16(s, to.as_mut_ptr(), v) };
    }
    let mut lanes = [0.0; WIDE];
    // SAFETY: an array of 16.
    unsafe { store_16(s, lanes.as_mut_ptr(), v) };
    let len = to.len();
    to.copy_from_slice(&lanes[..len]);
}

/// # Safety
/// There is room for 16 values.
#[inline(always)]
unsafe fn store_16<S: Simd>(s: S, to: *mut f32, v: Wide<S>) {
    for part in 0..S::PARTS {
        // SAFETY: `PARTS · LANES` is 16.
        unsafe { s.store(to.add(part * S::LANES), v[part]) };
    }
}

/// The sum of squares by 16 strided partial sums.
///
/// What pads the last lanes is 0, and a partial sum of squares is never −0: adding 0
/// leaves it as it is, as skipping would.
#[inline(always)]
fn sum_squares<S: Simd>(s: S, x: &[f32]) -> f32 {
    let mut sums = [s.splat(0.0); MOST_PARTS];
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
    let mut sums = [s.splat(0.0); MOST_PARTS];
    for x in x.chunks(WIDE) {
        sums = add_wide(s, sums, load_wide(s, x));
    }
    s.sum16(sums)
}

#[inline(always)]
fn add_wide<S: Simd>(s: S, mut x: Wide<S>, y: Wide<S>) -> Wide<S> {
    for part in 0..S::PARTS {
        x[part] = s.add(x[part], y[part]);
    }
    x
}

/// `x · factor`
#[inline(always)]
pub(super) fn scale_wide<S: Simd>(s: S, mut x: Wide<S>, factor: S::F) -> Wide<S> {
    for part in 0..S::PARTS {
        x[part] = s.mul(x[part], factor);
    }
    x
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
    /// What is not there is in `out`.
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

struct Scaled<'a> {
    x: &'a mut [f32],
    factor: f32,
}

impl Op for Scaled<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let factor = s.splat(self.factor);
        for x in self.x.chunks_mut(WIDE) {
            let scaled = scale_wide(s, load_wide(s, x), factor);
            store_wide(s, x, scaled);
        }
    }
}

struct Difference<'a> {
    x: &'a [f32],
    y: &'a [f32],
    factor: f32,
    out: &'a mut [f32],
}

impl Op for Difference<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let minus = s.splat(-self.factor);
        let inputs = self.x.chunks(WIDE).zip(self.y.chunks(WIDE));
        for ((x, y), out) in inputs.zip(self.out.chunks_mut(WIDE)) {
            let (mut x, y) = (load_wide(s, x), load_wide(s, y));
            for part in 0..S::PARTS {
                x[part] = s.fma(minus, y[part], x[part]);
            }
            store_wide(s, out, x);
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
        for (x, y) in self.x.chunks_mut(WIDE).zip(self.y.chunks(WIDE)) {
            let sum = add_wide(s, load_wide(s, x), load_wide(s, y));
            store_wide(s, x, sum);
        }
    }
}

struct AddScaled<'a> {
    x: &'a mut [f32],
    y: &'a [f32],
    factor: f32,
}

impl Op for AddScaled<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let factor = s.splat(self.factor);
        for (x, y) in self.x.chunks_mut(WIDE).zip(self.y.chunks(WIDE)) {
            let (mut sum, y) = (load_wide(s, x), load_wide(s, y));
            for part in 0..S::PARTS {
                sum[part] = s.fma(y[part], factor, sum[part]);
            }
            store_wide(s, x, sum);
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
            let pairs = low.chunks_mut(WIDE).zip(high.chunks_mut(WIDE));
            let angles = self.cos.chunks(WIDE).zip(self.sin.chunks(WIDE));
            for ((x0, x1), (cos, sin)) in pairs.zip(angles) {
                let (v0, v1) = (load_wide(s, x0), load_wide(s, x1));
                let (cos, sin) = (load_wide(s, cos), load_wide(s, sin));
                let (mut turned0, mut turned1) = (v0, v1);
                for part in 0..S::PARTS {
                    let (v0, v1, cos, sin) = (v0[part], v1[part], cos[part], sin[part]);
                    // 0 − v1·sin would turn −0 into +0; the product is negated exactly.
                    let minus = s.mul(v1, s.sub(s.splat(-0.0), sin));
                    turned0[part] = s.fma(v0, cos, minus);
                    turned1[part] = s.fma(v1, cos, s.mul(v0, sin));
                }
                store_wide(s, x0, turned0);
                store_wide(s, x1, turned1);
            }
        }
    }
}
