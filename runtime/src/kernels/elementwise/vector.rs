//! Vectors of f32, lane by lane: reading, writing, exp, sums of two.
#![allow(unsafe_code, clippy::indexing_slicing)]
// Registers come in arrays that are walked in step: an index says so, iterators would not. (And
// a closure would be compiled for no instruction set in particular, unless it is inlined.)
#![allow(clippy::needless_range_loop)]

use crate::base::math;
use crate::kernels::isa::Isa;
use crate::kernels::simd::{MAX_PARTS, Op, Simd, Wide};

/// Lanes that a reduction strides over.
pub(crate) const WIDE: usize = 16;

/// Scales: `x = x · factor`.
pub fn scale(isa: Isa, x: &mut [f32], factor: f32) {
    isa.run(Scale { x, factor });
}

/// Subtracts a multiple: `out = x − factor · y`, rounded once; as many as the shortest has.
pub fn sub_scaled(isa: Isa, x: &[f32], y: &[f32], factor: f32, out: &mut [f32]) {
    isa.run(SubScaled { x, y, factor, out });
}

/// Adds: `x = x + y`, both of one length.
pub fn add(isa: Isa, x: &mut [f32], y: &[f32]) {
    isa.run(Add { x, y });
}

/// Adds a multiple: `x = x + y · factor`, rounded once; as many as the shorter has.
pub fn add_scaled(isa: Isa, x: &mut [f32], y: &[f32], factor: f32) {
    isa.run(AddScaled { x, y, factor });
}

/// exp, lane by lane: see [`math::exp`].
#[inline(always)]
pub(crate) fn exp<S: Simd>(s: S, v: S::F) -> S::F {
    let most = s.splat(math::EXP_MAX);
    exp_limited(s, s.select_lt(most, v, most, v))
}

/// [`exp`] of what is at most 88.
#[inline(always)]
pub(crate) fn exp_limited<S: Simd>(s: S, v: S::F) -> S::F {
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
    s.select_lt(v, s.splat(math::EXP_MIN), s.splat(0.0), e)
}

/// Reads up to 16 values, zeros after them.
#[inline(always)]
pub(crate) fn load_wide<S: Simd>(s: S, from: &[f32]) -> Wide<S> {
    if from.len() >= WIDE {
        // SAFETY: the slice has at least that many elements.
        return unsafe { load_16(s, from.as_ptr()) };
    }
    let mut lanes = [0.0; WIDE];
    lanes[..from.len()].copy_from_slice(from);
    // SAFETY: an array of 16.
    unsafe { load_16(s, lanes.as_ptr()) }
}

/// Reads 16 values.
///
/// # Safety
/// They are there.
#[inline(always)]
pub(crate) unsafe fn load_16<S: Simd>(s: S, from: *const f32) -> Wide<S> {
    let mut wide = [s.splat(0.0); MAX_PARTS];
    for part in 0..S::PARTS {
        // SAFETY: `PARTS · LANES` is 16.
        wide[part] = unsafe { s.load(from.add(part * S::LANES)) };
    }
    wide
}

/// Writes as many lanes as there is room for, at most 16.
#[inline(always)]
pub(crate) fn store_wide<S: Simd>(s: S, to: &mut [f32], v: Wide<S>) {
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

/// Writes 16 values.
///
/// # Safety
/// There is room for them.
#[inline(always)]
unsafe fn store_16<S: Simd>(s: S, to: *mut f32, v: Wide<S>) {
    for part in 0..S::PARTS {
        // SAFETY: `PARTS · LANES` is 16.
        unsafe { s.store(to.add(part * S::LANES), v[part]) };
    }
}

/// `x + y`
#[inline(always)]
pub(super) fn add_wide<S: Simd>(s: S, mut x: Wide<S>, y: Wide<S>) -> Wide<S> {
    for part in 0..S::PARTS {
        x[part] = s.add(x[part], y[part]);
    }
    x
}

/// `x · factor`
#[inline(always)]
pub(crate) fn scale_wide<S: Simd>(s: S, mut x: Wide<S>, factor: S::F) -> Wide<S> {
    for part in 0..S::PARTS {
        x[part] = s.mul(x[part], factor);
    }
    x
}

struct Scale<'a> {
    x: &'a mut [f32],
    factor: f32,
}

impl Op for Scale<'_> {
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

struct SubScaled<'a> {
    x: &'a [f32],
    y: &'a [f32],
    factor: f32,
    out: &'a mut [f32],
}

impl Op for SubScaled<'_> {
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
