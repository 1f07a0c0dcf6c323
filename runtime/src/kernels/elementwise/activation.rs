//! The functions between the matrices of a feed-forward part, and the one that bounds scores
//! and logits.
// Registers come in arrays that are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop, clippy::indexing_slicing)]

use super::vector::{WIDE, exp, load_wide, store_wide};
use crate::format::{Activation, Clamped};
use crate::kernels::isa::Isa;
use crate::kernels::simd::{Op, Simd};

/// Computes a gate that is cut off: `x = min(x, limit) · sigmoid(slope · min(x, limit))`.
pub(crate) fn clamped_gate(isa: Isa, clamped: Clamped, x: &mut [f32]) {
    isa.run(Map { x, f: ClampedGate(clamped) });
}

/// Applies an activation function: `x = activation(x)`.
pub fn activate(isa: Isa, activation: Activation, x: &mut [f32]) {
    match activation {
        Activation::Silu => isa.run(Map { x, f: Silu }),
        Activation::GeluTanh => isa.run(Map { x, f: GeluTanh }),
        Activation::GeluErf => isa.run(Map { x, f: GeluErf }),
        Activation::Relu => isa.run(Map { x, f: Relu }),
        Activation::ReluSquared => isa.run(Map { x, f: ReluSquared }),
    }
}

/// Applies a logit soft-cap: `x = cap · tanh(x / cap)`.
pub fn soft_cap(isa: Isa, x: &mut [f32], cap: f32) {
    isa.run(Map { x, f: SoftCap { cap } });
}

/// Cuts off on both sides: `x = max(−limit, min(x, limit))`.
pub fn clamp(isa: Isa, x: &mut [f32], limit: f32) {
    isa.run(Map { x, f: Clamp { limit } });
}

/// A function of each element.
trait ElementFn: Copy {
    fn apply<S: Simd>(self, s: S, x: S::F) -> S::F;
}

struct Map<'a, F> {
    x: &'a mut [f32],
    f: F,
}

impl<F: ElementFn> Op for Map<'_, F> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for x in self.x.chunks_mut(WIDE) {
            let mut v = load_wide(s, x);
            for part in 0..S::PARTS {
                v[part] = self.f.apply(s, v[part]);
            }
            store_wide(s, x, v);
        }
    }
}

/// 1 / (1 + exp(−x)) of an exponent that is never positive.
#[inline(always)]
fn sigmoid<S: Simd>(s: S, x: S::F) -> S::F {
    let (zero, one) = (s.splat(0.0), s.splat(1.0));
    let e = exp(s, s.sub(zero, s.abs(x)));
    s.div(s.select_lt(x, zero, e, one), s.add(one, e))
}

/// cap · tanh(x / cap), the exponent never positive: within 2⁻²² · cap.
#[inline(always)]
pub(crate) fn soft_capped<S: Simd>(s: S, x: S::F, cap: f32) -> S::F {
    let (zero, one, cap) = (s.splat(0.0), s.splat(1.0), s.splat(cap));
    let y = s.div(x, cap);
    let e = exp(s, s.mul(s.abs(y), s.splat(-2.0)));
    let tanh = s.div(s.sub(one, e), s.add(one, e));
    let capped = s.mul(tanh, cap);
    s.select_lt(y, zero, s.sub(zero, capped), capped)
}

#[derive(Clone, Copy)]
struct Silu;

impl ElementFn for Silu {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, x: S::F) -> S::F {
        s.mul(x, sigmoid(s, x))
    }
}

#[derive(Clone, Copy)]
struct GeluTanh;

/// 2 · sqrt(2 / π)
pub(crate) const GELU: f32 = 1.595_769;

impl ElementFn for GeluTanh {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, x: S::F) -> S::F {
        let cube = s.mul(s.mul(x, x), x);
        let inner = s.mul(s.splat(GELU), s.fma(s.splat(0.044_715), cube, x));
        s.mul(x, sigmoid(s, inner))
    }
}

#[derive(Clone, Copy)]
struct GeluErf;

/// erfc(z) = t · (…) · exp(−z²) for z ≥ 0, t = 1 / (1 + p · z), highest power first: Abramowitz
/// and Stegun 7.1.26, within 1.5e-7.
pub(crate) const ERFC: [f32; 5] =
    [1.061_405_4, -1.453_152, 1.421_413_8, -0.284_496_74, 0.254_829_6];
pub(crate) const ERFC_P: f32 = 0.327_591_1;

impl ElementFn for GeluErf {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, x: S::F) -> S::F {
        let (zero, one) = (s.splat(0.0), s.splat(1.0));
        let z = s.mul(s.abs(x), s.splat(core::f32::consts::FRAC_1_SQRT_2));
        let t = s.div(one, s.fma(s.splat(ERFC_P), z, one));
        let mut p = s.splat(ERFC[0]);
        for c in &ERFC[1..] {
            p = s.fma(p, t, s.splat(*c));
        }
        let tail = s.mul(s.mul(p, t), exp(s, s.sub(zero, s.mul(z, z))));
        // Φ(−|x|), which is exact where it is small.
        let half = s.mul(tail, s.splat(0.5));
        s.mul(x, s.select_lt(x, zero, half, s.sub(one, half)))
    }
}

#[derive(Clone, Copy)]
struct Relu;

impl ElementFn for Relu {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, x: S::F) -> S::F {
        s.max(x, s.splat(0.0))
    }
}

#[derive(Clone, Copy)]
struct ReluSquared;

impl ElementFn for ReluSquared {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, x: S::F) -> S::F {
        let x = s.max(x, s.splat(0.0));
        s.mul(x, x)
    }
}

#[derive(Clone, Copy)]
struct SoftCap {
    cap: f32,
}

impl ElementFn for SoftCap {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, x: S::F) -> S::F {
        soft_capped(s, x, self.cap)
    }
}

#[derive(Clone, Copy)]
struct ClampedGate(Clamped);

impl ElementFn for ClampedGate {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, x: S::F) -> S::F {
        let Clamped { slope, limit } = self.0;
        let most = s.splat(limit);
        let x = s.select_lt(most, x, most, x);
        s.mul(x, sigmoid(s, s.mul(x, s.splat(slope))))
    }
}

#[derive(Clone, Copy)]
struct Clamp {
    limit: f32,
}

impl ElementFn for Clamp {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, x: S::F) -> S::F {
        clamped(s, x, self.limit)
    }
}

/// max(−limit, min(x, limit))
#[inline(always)]
pub(crate) fn clamped<S: Simd>(s: S, x: S::F, limit: f32) -> S::F {
    let (least, most) = (s.splat(-limit), s.splat(limit));
    let x = s.select_lt(most, x, most, x);
    s.select_lt(x, least, least, x)
}
