//! AVX2 registers: 16 lanes are two of eight.
//!
//! There is no signed byte product here, only unsigned × signed pairs summed in 16 bits
//! (`vpmaddubsw`). Nibbles fit it eight groups deep: 15 · 127 · 2 · 8 = 30,480. Bytes do
//! not: two products of 255 · 127 overflow. So int8 weights and their activations are
//! widened to 16 bits, once for many tokens and many tiles, and multiplied by `vpmaddwd`.
//! Every way around that takes as many instructions for 32 weights, two multiplications and
//! two additions (`docs/performance.md`), and then has to put sums together again.
#![allow(unsafe_code, clippy::indexing_slicing)]

use core::arch::asm;
use core::arch::x86_64::*;

use super::isa::Op;
use super::simd::{MOST_PARTS, Simd};
use crate::layout::GROUPS;

/// Proof of AVX2, FMA and F16C: made by [`enter`] alone.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

/// Runs an operation with these registers.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn enter<O: Op>(op: O) -> O::Out {
    op.run(Avx2(()))
}

/// Multiplies in pairs, and adds the sums of the pairs to `z`.
///
/// In assembly, because a compiler that sees these additions reorders them into a tree
/// and then has more sums alive than there are registers.
macro_rules! add_products {
    ($multiply:literal, $add:literal, $z:expr, $w:expr, $a:expr) => {{
        let mut sum = $z;
        asm!(
            concat!($multiply, " {pairs}, {w}, {a}"),
            concat!($add, " {sum}, {sum}, {pairs}"),
            pairs = out(ymm_reg) _,
            w = in(ymm_reg) $w,
            a = in(ymm_reg) $a,
            sum = inout(ymm_reg) sum,
            options(pure, nomem, nostack, preserves_flags),
        );
        sum
    }};
}

/// Unsigned bytes × signed bytes, summed in 16 bits.
#[inline]
#[target_feature(enable = "avx2")]
fn add_bytes(z: __m256i, unsigned: __m256i, signed: __m256i) -> __m256i {
    // SAFETY: two instructions of AVX2, which this function has, on registers alone.
    unsafe { add_products!("vpmaddubsw", "vpaddw", z, unsigned, signed) }
}

/// Signed words × signed words, summed in 32 bits.
#[inline]
#[target_feature(enable = "avx2")]
fn add_words(z: __m256i, w: __m256i, a: __m256i) -> __m256i {
    // SAFETY: as above.
    unsafe { add_products!("vpmaddwd", "vpaddd", z, w, a) }
}

/// The even and the odd bytes of each 32-bit lane as words: of weights and activations
/// alike, so that the pairs meet.
#[inline]
#[target_feature(enable = "avx2")]
fn widen(bytes: __m256i) -> (__m256i, __m256i) {
    let even = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(bytes));
    (even, _mm256_srai_epi16::<8>(bytes))
}

/// Activations by groups of 4, to be broadcast from memory, and what the dot products with
/// nibbles start with.
#[derive(Clone, Copy)]
pub(crate) struct Bytes {
    groups: [i32; GROUPS],
    start: i32,
}

/// Activations widened, by groups.
#[derive(Clone, Copy)]
pub(crate) struct Words {
    even: [i32; GROUPS],
    odd: [i32; GROUPS],
}

/// Uses instructions from a method of [`Avx2`].
macro_rules! has {
    ($e:expr) => {
        // SAFETY: `self` is proof that the CPU has the instructions. Where they touch
        // memory, the caller of the (then unsafe) method vouches for the elements, and
        // only forms without alignment are used.
        unsafe { $e }
    };
}

// SAFETY: `Avx2` exists only inside `enter`, which only runs where the features are.
unsafe impl Simd for Avx2 {
    const LANES: usize = 8;

    type F = __m256;
    type I = __m256i;
    type W = __m256i;
    type W8 = (__m256i, __m256i);
    type Z4 = __m256i;
    type Z8 = __m256i;
    type A4 = Bytes;
    type A8 = Words;

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m256 {
        has!(_mm256_loadu_ps(from))
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, v: __m256) {
        has!(_mm256_storeu_ps(to, v))
    }
    #[inline(always)]
    unsafe fn load_f16(self, from: *const u8) -> __m256 {
        has!(_mm256_cvtph_ps(_mm_loadu_si128(from.cast())))
    }
    #[inline(always)]
    unsafe fn store_f16(self, to: *mut u8, v: __m256) {
        let most = self.splat(65504.0);
        has!({
            let v = _mm256_max_ps(_mm256_min_ps(v, most), _mm256_sub_ps(_mm256_setzero_ps(), most));
            _mm_storeu_si128(to.cast(), _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(v));
        })
    }
    #[inline(always)]
    unsafe fn load_i8(self, from: *const u8) -> __m256 {
        has!(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(from.cast()))))
    }
    #[inline(always)]
    fn prefetch(self, from: *const u8) {
        has!(_mm_prefetch::<_MM_HINT_T0>(from.cast()))
    }

    #[inline(always)]
    fn splat(self, v: f32) -> __m256 {
        has!(_mm256_set1_ps(v))
    }
    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        has!(_mm256_add_ps(a, b))
    }
    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        has!(_mm256_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        has!(_mm256_mul_ps(a, b))
    }
    #[inline(always)]
    fn div(self, a: __m256, b: __m256) -> __m256 {
        has!(_mm256_div_ps(a, b))
    }
    #[inline(always)]
    fn fma(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        has!(_mm256_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn select_lt(self, a: __m256, b: __m256, x: __m256, y: __m256) -> __m256 {
        has!(_mm256_blendv_ps(y, x, _mm256_cmp_ps::<_CMP_LT_OQ>(a, b)))
    }
    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        has!(_mm256_max_ps(a, b))
    }
    #[inline(always)]
    fn abs(self, a: __m256) -> __m256 {
        has!(_mm256_andnot_ps(_mm256_set1_ps(-0.0), a))
    }
    #[inline(always)]
    fn exp2_magic(self, t: __m256) -> __m256 {
        has!({
            let shifted = _mm256_slli_epi32::<23>(_mm256_castps_si256(t));
            _mm256_castsi256_ps(_mm256_add_epi32(shifted, _mm256_set1_epi32(0x3f80_0000)))
        })
    }

    #[inline(always)]
    fn sum16(self, parts: [__m256; MOST_PARTS]) -> f32 {
        has!({
            let v = _mm256_add_ps(parts[0], parts[1]);
            let v = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let v = _mm_add_ps(v, _mm_movehl_ps(v, v));
            _mm_cvtss_f32(_mm_add_ss(v, _mm_movehdup_ps(v)))
        })
    }
    #[inline(always)]
    fn max16(self, parts: [__m256; MOST_PARTS]) -> f32 {
        has!({
            let v = _mm256_max_ps(parts[0], parts[1]);
            let v = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let v = _mm_max_ps(v, _mm_movehl_ps(v, v));
            _mm_cvtss_f32(_mm_max_ss(v, _mm_movehdup_ps(v)))
        })
    }

    #[inline(always)]
    fn splat_i(self, v: i32) -> __m256i {
        has!(_mm256_set1_epi32(v))
    }
    #[inline(always)]
    fn add_i(self, a: __m256i, b: __m256i) -> __m256i {
        has!(_mm256_add_epi32(a, b))
    }
    #[inline(always)]
    fn to_f(self, v: __m256i) -> __m256 {
        has!(_mm256_cvtepi32_ps(v))
    }
    #[inline(always)]
    fn round(self, v: __m256) -> __m256i {
        has!(_mm256_cvtps_epi32(v))
    }
    #[inline(always)]
    fn max_bits(self, m: __m256i, v: __m256) -> __m256i {
        let bits = self.abs(v);
        has!(_mm256_max_epi32(m, _mm256_castps_si256(bits)))
    }
    #[inline(always)]
    fn reduce_max_i(self, v: __m256i) -> i32 {
        has!({
            let v = _mm_max_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
            let v = _mm_max_epi32(v, _mm_shuffle_epi32::<0b01_00_11_10>(v));
            _mm_cvtsi128_si32(_mm_max_epi32(v, _mm_shuffle_epi32::<0b10_11_00_01>(v)))
        })
    }
    #[inline(always)]
    fn reduce_add_i(self, v: __m256i) -> i32 {
        has!({
            let v = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
            let v = _mm_add_epi32(v, _mm_shuffle_epi32::<0b01_00_11_10>(v));
            _mm_cvtsi128_si32(_mm_add_epi32(v, _mm_shuffle_epi32::<0b10_11_00_01>(v)))
        })
    }
    #[inline(always)]
    fn clamp_127(self, v: __m256i) -> __m256i {
        has!({
            let v = _mm256_min_epi32(v, _mm256_set1_epi32(127));
            _mm256_max_epi32(v, _mm256_set1_epi32(-127))
        })
    }
    #[inline(always)]
    unsafe fn store_i8(self, to: *mut i8, v: __m256i) {
        has!({
            let words =
                _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
            _mm_storel_epi64(to.cast(), _mm_packs_epi16(words, words));
        })
    }

    #[inline(always)]
    unsafe fn load_w(self, from: *const u8) -> __m256i {
        has!(_mm256_loadu_si256(from.cast()))
    }
    #[inline(always)]
    fn nibbles(self, w: __m256i) -> (__m256i, __m256i) {
        has!({
            let low = _mm256_set1_epi8(15);
            (_mm256_and_si256(w, low), _mm256_and_si256(_mm256_srli_epi16::<4>(w), low))
        })
    }
    #[inline(always)]
    fn ready_i8(self, w: __m256i) -> (__m256i, __m256i) {
        has!(widen(w))
    }
    #[inline(always)]
    unsafe fn acts4(self, from: *const i8, less: i32) -> Bytes {
        // The upper word starts at 0: either then holds its half of the dot product, and the
        // lower one minus what was to be taken off. Both stay within 16 bits: a half of the
        // products less its own 8 · sum is at most 7 or 8 · 127 · 16 = 16,256, and the other
        // half's 8 · sum as much again.
        // SAFETY: the caller vouches for 32 elements.
        Bytes { groups: unsafe { from.cast::<[i32; 8]>().read_unaligned() }, start: -less & 0xffff }
    }
    #[inline(always)]
    unsafe fn acts8(self, from: *const i8, _nothing: i32) -> Words {
        let mut words = Words { even: [0; GROUPS], odd: [0; GROUPS] };
        has!({
            let (even, odd) = widen(_mm256_loadu_si256(from.cast()));
            _mm256_storeu_si256(words.even.as_mut_ptr().cast(), even);
            _mm256_storeu_si256(words.odd.as_mut_ptr().cast(), odd);
        });
        words
    }
    #[inline(always)]
    fn start4(self, a: &Bytes) -> __m256i {
        self.splat_i(a.start)
    }
    #[inline(always)]
    fn start8(self, _a: &Words) -> __m256i {
        self.splat_i(0)
    }
    #[inline(always)]
    fn dot_u4(self, z: __m256i, w: __m256i, a: &Bytes, g: usize) -> __m256i {
        has!(add_bytes(z, w, _mm256_set1_epi32(a.groups[g])))
    }
    #[inline(always)]
    fn dot_i8(self, z: __m256i, w: (__m256i, __m256i), a: &Words, g: usize) -> __m256i {
        has!({
            let z = add_words(z, w.0, _mm256_set1_epi32(a.even[g]));
            add_words(z, w.1, _mm256_set1_epi32(a.odd[g]))
        })
    }
    #[inline(always)]
    fn sum4(self, z: __m256i) -> __m256i {
        has!(_mm256_madd_epi16(z, _mm256_set1_epi16(1)))
    }
    #[inline(always)]
    fn sum8(self, z: __m256i) -> __m256i {
        z
    }
}
