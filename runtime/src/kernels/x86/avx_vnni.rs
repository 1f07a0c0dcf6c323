//! Integer dot products of AVX2 with AVX-VNNI: `vpdpbusd` is four products a lane of
//! unsigned × signed bytes, in 32 bits.
//!
//! int8 weights are moved to 0 … 255, and 128 times the sum of the activations is taken off
//! at the start.
#![allow(unsafe_code, clippy::indexing_slicing)]

use core::arch::x86_64::*;

use super::avx2::{Avx2, Avx2Dot, ByteGroups, Rows16, has};
use crate::format::layout::GROUPS;
use crate::kernels::simd::Op;

/// Proof of AVX2 and AVX-VNNI: made by [`enter`] alone.
#[derive(Clone, Copy)]
pub(crate) struct Vnni(());

/// Runs an operation with these registers.
#[target_feature(enable = "avx2,fma,f16c,avxvnni")]
pub(crate) fn enter<O: Op>(op: O) -> O::Out {
    // SAFETY: this function has the features.
    op.run(unsafe { Avx2::new(Vnni(())) })
}

impl Avx2Dot for Vnni {
    const INT8_OFFSET: i32 = 128;
    type WeightsInt8 = __m256i;
    type ActivationsInt4 = ByteGroups;
    type ActivationsInt8 = ByteGroups;

    #[inline(always)]
    fn prepare_int8(self, w: __m256i) -> __m256i {
        has!(_mm256_xor_si256(w, _mm256_set1_epi8(-128)))
    }
    #[inline(always)]
    unsafe fn load_activations_int4(self, from: *const i8, correction: i32) -> ByteGroups {
        // SAFETY: the caller vouches for 32 elements.
        unsafe { ByteGroups::load(from, correction.wrapping_neg()) }
    }
    #[inline(always)]
    unsafe fn load_activations_int5(self, from: *const i8, correction: i32) -> ByteGroups {
        // SAFETY: the caller vouches for 32 elements.
        unsafe { ByteGroups::load(from, correction.wrapping_neg()) }
    }
    #[inline(always)]
    unsafe fn load_activations_int8(self, from: *const i8, correction: i32) -> ByteGroups {
        // SAFETY: the caller vouches for 32 elements.
        unsafe { ByteGroups::load(from, correction.wrapping_neg()) }
    }
    #[inline(always)]
    fn start_int4(self, a: &ByteGroups) -> __m256i {
        has!(_mm256_set1_epi32(a.start))
    }
    #[inline(always)]
    fn start_int8(self, a: &ByteGroups) -> __m256i {
        self.start_int4(a)
    }
    #[inline(always)]
    fn add_int4<const G: usize>(self, z: Rows16, w: Rows16, a: &ByteGroups) -> Rows16 {
        has!({
            let a = _mm256_set1_epi32(a.groups[G]);
            [_mm256_dpbusd_avx_epi32(z[0], w[0], a), _mm256_dpbusd_avx_epi32(z[1], w[1], a)]
        })
    }
    #[inline(always)]
    fn add_int8<const G: usize>(self, z: Rows16, w: Rows16, a: &ByteGroups) -> Rows16 {
        self.add_int4::<G>(z, w, a)
    }
    #[inline(always)]
    fn finish_int4(self, z: __m256i) -> __m256i {
        z
    }
    #[inline(always)]
    fn add_uint7<const G: usize>(self, z: Rows16, w: Rows16, a: &[i32; GROUPS]) -> Rows16 {
        has!({
            let a = _mm256_set1_epi32(a[G]);
            [_mm256_dpbusd_avx_epi32(z[0], a, w[0]), _mm256_dpbusd_avx_epi32(z[1], a, w[1])]
        })
    }
}
