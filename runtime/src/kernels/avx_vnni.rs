//! Integer dot products of AVX2 with AVX-VNNI: `vpdpbusd` is four products a lane of
//! unsigned × signed bytes, in 32 bits.
//!
//! int8 weights are moved to 0 … 255, and 128 times the sum of the activations is taken off
//! at the start.
#![allow(unsafe_code, clippy::indexing_slicing)]

use core::arch::x86_64::*;

use super::avx2::{Avx2, Both, Dot, has};
use super::isa::Op;
use crate::format::layout::GROUPS;

/// Proof of AVX2 and AVX-VNNI: made by [`enter`] alone.
#[derive(Clone, Copy)]
pub(crate) struct Vnni(());

/// Runs an operation with these registers.
#[target_feature(enable = "avx2,fma,f16c,avxvnni")]
pub(super) fn enter<O: Op>(op: O) -> O::Out {
    // SAFETY: this function has the features.
    op.run(unsafe { Avx2::new(Vnni(())) })
}

/// Activations by groups of 4, to be broadcast from memory, and where dot products start.
#[derive(Clone, Copy)]
pub(crate) struct Acts {
    pub(super) groups: [i32; GROUPS],
    pub(super) start: i32,
}

impl Acts {
    /// # Safety
    /// 32 activations are there.
    #[inline(always)]
    pub(super) unsafe fn new(from: *const i8, less: i32) -> Self {
        // SAFETY: 32 bytes, as the caller promises.
        Self { groups: unsafe { from.cast::<[i32; GROUPS]>().read_unaligned() }, start: -less }
    }
}

impl Dot for Vnni {
    const I8_OFFSET: i32 = 128;
    type W8 = __m256i;
    type A4 = Acts;
    type A8 = Acts;

    #[inline(always)]
    fn ready_i8(self, w: __m256i) -> __m256i {
        has!(_mm256_xor_si256(w, _mm256_set1_epi8(-128)))
    }
    #[inline(always)]
    unsafe fn acts4(self, from: *const i8, less: i32) -> Acts {
        // SAFETY: the caller vouches for 32 elements.
        unsafe { Acts::new(from, less) }
    }
    #[inline(always)]
    unsafe fn acts8(self, from: *const i8, less: i32) -> Acts {
        // SAFETY: the caller vouches for 32 elements.
        unsafe { Acts::new(from, less) }
    }
    #[inline(always)]
    fn start4(self, a: &Acts) -> __m256i {
        has!(_mm256_set1_epi32(a.start))
    }
    #[inline(always)]
    fn start8(self, a: &Acts) -> __m256i {
        self.start4(a)
    }
    #[inline(always)]
    fn dot_u4<const G: usize>(self, z: Both, w: Both, a: &Acts) -> Both {
        has!({
            let a = _mm256_set1_epi32(a.groups[G]);
            [_mm256_dpbusd_avx_epi32(z[0], w[0], a), _mm256_dpbusd_avx_epi32(z[1], w[1], a)]
        })
    }
    #[inline(always)]
    fn dot_i8<const G: usize>(self, z: Both, w: Both, a: &Acts) -> Both {
        self.dot_u4::<G>(z, w, a)
    }
    #[inline(always)]
    fn sum4(self, z: __m256i) -> __m256i {
        z
    }
    #[inline(always)]
    fn dot_u7<const G: usize>(self, z: Both, w: Both, a: &[i32; GROUPS]) -> Both {
        has!({
            let a = _mm256_set1_epi32(a[G]);
            [_mm256_dpbusd_avx_epi32(z[0], a, w[0]), _mm256_dpbusd_avx_epi32(z[1], a, w[1])]
        })
    }
}
