//! Eight floats at once, in the widest registers that the CPU has.
//!
//! A program for every x86-64 has registers of 16 bytes; nearly every CPU has those of 32 (AVX2). Work
//! that is written in [`Lanes`] is compiled for both, and since each operation is rounded by itself, in
//! the order in which it is written, the bits are the same.
#![allow(unsafe_code)]

use std::ops::{Add, Mul, Sub};

/// Floats in a register, or in two.
pub const LANES: usize = 8;

/// Eight floats, on which each operation acts one by one.
pub trait Lanes: Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> {
    fn splat(v: f32) -> Self;
    fn load(v: &[f32; LANES]) -> Self;
    fn array(self) -> [f32; LANES];
    fn abs(self) -> Self;
    fn sqrt(self) -> Self;
    /// Its own float where that is greater, else the other.
    fn max(self, other: Self) -> Self;
    /// Its own float where that is less, else the other.
    fn min(self, other: Self) -> Self;
    /// Its own float where `v` is greater than `bound`, else 0.
    fn where_greater(self, v: Self, bound: Self) -> Self;
}

/// Work on floats. Whatever it calls has to be `#[inline(always)]`, as `run` itself: a function of its
/// own would be compiled for registers that every CPU has.
pub trait Work {
    type Output;

    fn run<L: Lanes>(self) -> Self::Output;
}

/// Runs the work in the widest registers that this CPU has.
pub fn in_lanes<W: Work>(work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: this CPU has AVX2.
        return unsafe { avx2::run(work) };
    }
    work.run::<Portable>()
}

/// Eight floats as any compiler has them.
#[derive(Clone, Copy)]
pub struct Portable([f32; LANES]);

impl Portable {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        let mut out = self.0;
        for (out, other) in out.iter_mut().zip(other.0) {
            *out = f(*out, other);
        }
        Self(out)
    }
}

impl Add for Portable {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
}

impl Sub for Portable {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
}

impl Mul for Portable {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
}

impl Lanes for Portable {
    #[inline(always)]
    fn splat(v: f32) -> Self {
        Self([v; LANES])
    }
    #[inline(always)]
    fn load(v: &[f32; LANES]) -> Self {
        Self(*v)
    }
    #[inline(always)]
    fn array(self) -> [f32; LANES] {
        self.0
    }
    #[inline(always)]
    fn abs(self) -> Self {
        self.zip(self, |v, _| v.abs())
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        self.zip(self, |v, _| v.sqrt())
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn where_greater(self, v: Self, bound: Self) -> Self {
        let is = v.zip(bound, |v, bound| if v > bound { 1.0 } else { 0.0 });
        self.zip(is, |a, is| if is > 0.0 { a } else { 0.0 })
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;
    use std::ops::{Add, Mul, Sub};

    use super::{LANES, Lanes, Work};

    #[target_feature(enable = "avx2")]
    pub fn run<W: Work>(work: W) -> W::Output {
        work.run::<Avx2>()
    }

    /// Eight floats in a register of AVX2; there are none but in [`run`].
    #[derive(Clone, Copy)]
    pub struct Avx2(__m256);

    impl Add for Avx2 {
        type Output = Self;
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            // SAFETY: a value of this type is proof of AVX2, here and below.
            Self(unsafe { _mm256_add_ps(self.0, other.0) })
        }
    }

    impl Sub for Avx2 {
        type Output = Self;
        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            // SAFETY: as above.
            Self(unsafe { _mm256_sub_ps(self.0, other.0) })
        }
    }

    impl Mul for Avx2 {
        type Output = Self;
        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            // SAFETY: as above.
            Self(unsafe { _mm256_mul_ps(self.0, other.0) })
        }
    }

    impl Lanes for Avx2 {
        #[inline(always)]
        fn splat(v: f32) -> Self {
            // SAFETY: only `run` names this type, on a CPU that has AVX2.
            Self(unsafe { _mm256_set1_ps(v) })
        }
        #[inline(always)]
        fn load(v: &[f32; LANES]) -> Self {
            // SAFETY: as above, and there are eight floats.
            Self(unsafe { _mm256_loadu_ps(v.as_ptr()) })
        }
        #[inline(always)]
        fn array(self) -> [f32; LANES] {
            let mut out = [0.0; LANES];
            // SAFETY: as above, and there is room for eight floats.
            unsafe { _mm256_storeu_ps(out.as_mut_ptr(), self.0) };
            out
        }
        #[inline(always)]
        fn abs(self) -> Self {
            // SAFETY: as above.
            Self(unsafe { _mm256_andnot_ps(_mm256_set1_ps(-0.0), self.0) })
        }
        #[inline(always)]
        fn sqrt(self) -> Self {
            // SAFETY: as above.
            Self(unsafe { _mm256_sqrt_ps(self.0) })
        }
        #[inline(always)]
        fn max(self, other: Self) -> Self {
            // SAFETY: as above.
            Self(unsafe { _mm256_max_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn min(self, other: Self) -> Self {
            // SAFETY: as above.
            Self(unsafe { _mm256_min_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn where_greater(self, v: Self, bound: Self) -> Self {
            // SAFETY: as above.
            Self(unsafe { _mm256_and_ps(self.0, _mm256_cmp_ps::<_CMP_GT_OQ>(v.0, bound.0)) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LANES, Lanes, Portable, Work, in_lanes};

    /// All operations on these floats.
    #[derive(Clone, Copy)]
    struct All([f32; LANES], [f32; LANES]);

    impl Work for All {
        type Output = [[f32; LANES]; 8];

        #[inline(always)]
        fn run<L: Lanes>(self) -> Self::Output {
            let (a, b) = (L::load(&self.0), L::load(&self.1));
            let (sums, kept) = ([a + b, a - b, a * b], L::splat(3.0).where_greater(a, b));
            let [sum, less, product] = sums;
            [sum, less, product, a.abs(), a.abs().sqrt(), a.max(b), a.min(b), kept].map(L::array)
        }
    }

    #[test]
    fn wide_registers_give_the_same_bits() {
        let values = [0.0, -0.0, 1.0, -1.0, 0.1, 1e-40, 3e38, -7.3];
        for shift in 0..LANES {
            let work = All(values, std::array::from_fn(|i| values[(i + shift) % LANES]));
            let bits = |all: [[f32; LANES]; 8]| all.map(|lanes| lanes.map(f32::to_bits));
            assert_eq!(bits(in_lanes(work)), bits(work.run::<Portable>()));
        }
    }
}
