//! 32 floats that share a scale, in registers.
//!
//! Sums run in eight strided partials, one a lane: the result is the same on every machine.

use std::ops::{Add, Mul, Sub};

use oarlock::internal::format::layout::BLOCK_COLS;

use super::lanes::{LANES, Lanes};

/// A group of weights that share a scale.
pub type Group = [f32; BLOCK_COLS];

const REGISTERS: usize = BLOCK_COLS / LANES;

/// A [`Group`] in registers.
#[derive(Clone, Copy)]
pub struct Wide<L>([L; REGISTERS]);

impl<L: Lanes> Wide<L> {
    #[inline(always)]
    pub fn splat(v: f32) -> Self {
        Self([L::splat(v); REGISTERS])
    }

    #[inline(always)]
    pub fn load(x: &Group) -> Self {
        let mut wide = [L::splat(0.0); REGISTERS];
        for (lanes, x) in wide.iter_mut().zip(x.as_chunks().0) {
            *lanes = L::load(x);
        }
        Self(wide)
    }

    #[inline(always)]
    pub fn dot(self, other: Self) -> f32 {
        let mut sums = L::splat(0.0);
        for i in 0..REGISTERS {
            sums = sums + self.0[i] * other.0[i];
        }
        let s = sums.array();
        let four = [s[0] + s[4], s[1] + s[5], s[2] + s[6], s[3] + s[7]];
        (four[0] + four[2]) + (four[1] + four[3])
    }

    #[inline(always)]
    pub fn sqrt(mut self) -> Self {
        for lanes in &mut self.0 {
            *lanes = lanes.sqrt();
        }
        self
    }

    /// The largest magnitude.
    #[inline(always)]
    pub fn peak(self) -> f32 {
        let mut peaks = L::splat(0.0);
        for lanes in self.0 {
            peaks = lanes.abs().max(peaks);
        }
        let mut peak = 0.0;
        for v in peaks.array() {
            peak = if v > peak { v } else { peak };
        }
        peak
    }

    /// The nearest levels of `lo` to `hi`, ties to even (adding 1.5 · 2²³ leaves no bits for a
    /// fraction).
    #[inline(always)]
    pub fn levels(mut self, inverse: f32, lo: f32, hi: f32) -> Self {
        let (inverse, magic) = (L::splat(inverse), L::splat(12_582_912.0));
        let (lo, hi) = (L::splat(lo), L::splat(hi));
        for lanes in &mut self.0 {
            *lanes = ((*lanes * inverse).max(lo).min(hi) + magic) - magic;
        }
        self
    }

    /// The nearest of levels that rise from `levels[0]`.
    #[inline(always)]
    pub fn nearest(mut self, levels: &[i8; 16]) -> Self {
        for lanes in &mut self.0 {
            let mut level = L::splat(f32::from(levels[0]));
            for i in 1..levels.len() {
                let (low, high) = (f32::from(levels[i - 1]), f32::from(levels[i]));
                let step = L::splat(high - low);
                level = level + step.where_greater(*lanes, L::splat(0.5 * (low + high)));
            }
            *lanes = level;
        }
        self
    }

    /// The integers that these floats are.
    #[inline(always)]
    pub fn quants(self) -> [i8; BLOCK_COLS] {
        let mut quants = [0; BLOCK_COLS];
        for (lanes, quants) in self.0.iter().zip(quants.as_chunks_mut::<LANES>().0) {
            let floats = lanes.array();
            for i in 0..LANES {
                quants[i] = floats[i] as i8;
            }
        }
        quants
    }
}

impl<L: Lanes> Add for Wide<L> {
    type Output = Self;
    #[inline(always)]
    fn add(mut self, other: Self) -> Self {
        for i in 0..REGISTERS {
            self.0[i] = self.0[i] + other.0[i];
        }
        self
    }
}

impl<L: Lanes> Sub for Wide<L> {
    type Output = Self;
    #[inline(always)]
    fn sub(mut self, other: Self) -> Self {
        for i in 0..REGISTERS {
            self.0[i] = self.0[i] - other.0[i];
        }
        self
    }
}

impl<L: Lanes> Mul for Wide<L> {
    type Output = Self;
    #[inline(always)]
    fn mul(mut self, other: Self) -> Self {
        for i in 0..REGISTERS {
            self.0[i] = self.0[i] * other.0[i];
        }
        self
    }
}
