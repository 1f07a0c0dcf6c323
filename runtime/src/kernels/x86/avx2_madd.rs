//! Integer dot products of every AVX2: products of pairs.
//!
//! There is no signed byte product here, only unsigned × signed pairs summed in 16 bits
//! (`vpmaddubsw`). Nibbles fit it eight groups deep: 15 · 127 · 2 · 8 = 30,480; values of 5
//! bits do once their offset is taken off. Bytes do not: two products of 255 · 127 overflow. So int8 weights and their activations are
//! widened to 16 bits, once for many tokens and many tiles, and multiplied by `vpmaddwd`.
//! Every way around that takes as many instructions for 32 weights, two multiplications and
//! two additions (`docs/lab/x86.md`), and then has to put sums together again.
#![allow(unsafe_code)]

use core::arch::asm;
use core::arch::x86_64::*;

use super::avx2::{Avx2, Avx2Dot, ByteGroups, Rows16, has};
use crate::format::layout::GROUPS;
use crate::kernels::simd::Op;

/// Proof of AVX2: made by [`enter`] alone.
#[derive(Clone, Copy)]
pub(crate) struct Madd(());

/// Runs an operation with these registers.
#[target_feature(enable = "avx2,fma,f16c")]
pub(crate) fn enter<O: Op>(op: O) -> O::Out {
    // SAFETY: this function has the features.
    op.run(unsafe { Avx2::new(Madd(())) })
}

/// Broadcasts the 4 bytes at `from + at`, multiplies both registers of weights with them in
/// pairs, and adds the sums of the pairs to `z`.
///
/// In assembly, because a compiler reorders such additions into a tree, and keeps what it
/// has broadcast for the next register of rows: in either case there are soon more values
/// alive than registers, and they go to memory and back.
macro_rules! add_products {
    ($multiply:literal, $add:literal, $at:expr, $z:expr, $w:expr, $from:expr) => {{
        let [mut low, mut high] = $z;
        asm!(
            "vbroadcastss {a}, dword ptr [{from} + {at}]",
            concat!($multiply, " {pairs}, {w0}, {a}"),
            concat!($multiply, " {a}, {w1}, {a}"),
            concat!($add, " {low}, {low}, {pairs}"),
            concat!($add, " {high}, {high}, {a}"),
            a = out(ymm_reg) _,
            pairs = out(ymm_reg) _,
            from = in(reg) $from,
            at = const $at,
            w0 = in(ymm_reg) $w[0],
            w1 = in(ymm_reg) $w[1],
            low = inout(ymm_reg) low,
            high = inout(ymm_reg) high,
            options(pure, readonly, nostack, preserves_flags),
        );
        [low, high]
    }};
}

/// Adds the products of unsigned bytes with group `G` of signed bytes, in 16 bits.
#[inline]
#[target_feature(enable = "avx2")]
fn add_products_bytes<const G: usize>(
    z: Rows16,
    unsigned: Rows16,
    signed: &[i32; GROUPS],
) -> Rows16 {
    const { assert!(G < GROUPS) };
    // SAFETY: instructions of AVX2, which this function has; they read element `G`.
    unsafe { add_products!("vpmaddubsw", "vpaddw", 4 * G, z, unsigned, signed.as_ptr()) }
}

/// Adds the products of signed words with pair `G` of signed words, in 32 bits.
#[inline]
#[target_feature(enable = "avx2")]
fn add_products_words<const G: usize>(z: Rows16, w: Rows16, a: &[i32; GROUPS]) -> Rows16 {
    const { assert!(G < GROUPS) };
    // SAFETY: as in `add_products_bytes`.
    unsafe { add_products!("vpmaddwd", "vpaddd", 4 * G, z, w, a.as_ptr()) }
}

/// Adds the products of signed bytes with group `G` of bytes within 0 … 127: two of them fit 16
/// bits, and are put into 32 at once.
#[inline]
#[target_feature(enable = "avx2")]
fn add_products_uint7<const G: usize>(
    z: Rows16,
    signed: Rows16,
    unsigned: &[i32; GROUPS],
) -> Rows16 {
    const { assert!(G < GROUPS) };
    let [mut low, mut high] = z;
    // SAFETY: instructions of AVX2, which this function has; they read element `G`.
    unsafe {
        asm!(
            "vpbroadcastd {a}, dword ptr [{from} + {at}]",
            "vpmaddubsw {pairs}, {a}, {w0}",
            "vpmaddubsw {a}, {a}, {w1}",
            "vpmaddwd {pairs}, {pairs}, {ones}",
            "vpmaddwd {a}, {a}, {ones}",
            "vpaddd {low}, {low}, {pairs}",
            "vpaddd {high}, {high}, {a}",
            a = out(ymm_reg) _,
            pairs = out(ymm_reg) _,
            from = in(reg) unsigned.as_ptr(),
            at = const 4 * G,
            ones = in(ymm_reg) _mm256_set1_epi16(1),
            w0 = in(ymm_reg) signed[0],
            w1 = in(ymm_reg) signed[1],
            low = inout(ymm_reg) low,
            high = inout(ymm_reg) high,
            options(pure, readonly, nostack, preserves_flags),
        );
    }
    [low, high]
}

/// The even and the odd bytes of each 32-bit lane as words: of weights and activations
/// alike, so that the pairs meet.
#[inline]
#[target_feature(enable = "avx2")]
fn widen(bytes: __m256i) -> (__m256i, __m256i) {
    let even = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(bytes));
    (even, _mm256_srai_epi16::<8>(bytes))
}

/// Activations widened, by groups.
#[derive(Clone, Copy)]
pub(crate) struct WordGroups {
    even: [i32; GROUPS],
    odd: [i32; GROUPS],
}

impl Avx2Dot for Madd {
    const INT8_OFFSET: i32 = 0;
    type WeightsInt8 = (__m256i, __m256i);
    type ActivationsInt4 = ByteGroups;
    type ActivationsInt8 = WordGroups;

    #[inline(always)]
    fn prepare_int8(self, w: __m256i) -> (__m256i, __m256i) {
        has!(widen(w))
    }
    #[inline(always)]
    unsafe fn load_activations_int4(self, from: *const i8, correction: i32) -> ByteGroups {
        // The upper word starts at 0: either then holds its half of the dot product, and the
        // lower one minus what was to be taken off. Both stay within 16 bits: a half of the
        // products less its own 8 · sum is at most 7 or 8 · 127 · 16 = 16,256, and the other
        // half's 8 · sum as much again.
        // SAFETY: the caller vouches for 32 elements.
        unsafe { ByteGroups::load(from, correction.wrapping_neg() & 0xffff) }
    }
    #[inline(always)]
    unsafe fn load_activations_int5(self, from: *const i8, _correction: i32) -> ByteGroups {
        // Here either word starts with 16 times minus the sum of its own columns, and so ends
        // with their exact products: at most 16 · 127 · 16 = 32,512. Wrapping on the way is no harm.
        has!({
            let activations = _mm256_loadu_si256(from.cast());
            let pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(16), activations);
            let halves = (_mm256_castsi256_si128(pairs), _mm256_extracti128_si256::<1>(pairs));
            let sums = _mm_add_epi16(halves.0, halves.1);
            let sums = _mm_add_epi16(sums, _mm_shuffle_epi32::<0b01_00_11_10>(sums));
            let sums = _mm_add_epi16(sums, _mm_shuffle_epi32::<0b10_11_00_01>(sums));
            let start = _mm_cvtsi128_si32(_mm_sub_epi16(_mm_setzero_si128(), sums));
            ByteGroups::load(from, start)
        })
    }
    #[inline(always)]
    unsafe fn load_activations_int8(self, from: *const i8, _nothing: i32) -> WordGroups {
        let mut words = WordGroups { even: [0; GROUPS], odd: [0; GROUPS] };
        has!({
            let (even, odd) = widen(_mm256_loadu_si256(from.cast()));
            _mm256_storeu_si256(words.even.as_mut_ptr().cast(), even);
            _mm256_storeu_si256(words.odd.as_mut_ptr().cast(), odd);
        });
        words
    }
    #[inline(always)]
    fn start_int4(self, a: &ByteGroups) -> __m256i {
        has!(_mm256_set1_epi32(a.start))
    }
    #[inline(always)]
    fn start_int8(self, _a: &WordGroups) -> __m256i {
        has!(_mm256_setzero_si256())
    }
    #[inline(always)]
    fn add_int4<const G: usize>(self, z: Rows16, w: Rows16, a: &ByteGroups) -> Rows16 {
        has!(add_products_bytes::<G>(z, w, &a.groups))
    }
    #[inline(always)]
    fn add_int8<const G: usize>(
        self,
        z: Rows16,
        w: [(__m256i, __m256i); 2],
        a: &WordGroups,
    ) -> Rows16 {
        has!({
            let z = add_products_words::<G>(z, [w[0].0, w[1].0], &a.even);
            add_products_words::<G>(z, [w[0].1, w[1].1], &a.odd)
        })
    }
    #[inline(always)]
    fn finish_int4(self, z: __m256i) -> __m256i {
        has!(_mm256_madd_epi16(z, _mm256_set1_epi16(1)))
    }
    #[inline(always)]
    fn add_uint7<const G: usize>(self, z: Rows16, w: Rows16, a: &[i32; GROUPS]) -> Rows16 {
        has!(add_products_uint7::<G>(z, w, a))
    }
}
