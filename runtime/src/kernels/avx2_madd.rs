//! Integer dot products of every AVX2: products of pairs.
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

use super::avx2::{Avx2, Dot, has};
use super::isa::Op;
use crate::layout::GROUPS;

/// Proof of AVX2: made by [`enter`] alone.
#[derive(Clone, Copy)]
pub(crate) struct Madd(());

/// Runs an operation with these registers.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn enter<O: Op>(op: O) -> O::Out {
    // SAFETY: this function has the features.
    op.run(unsafe { Avx2::new(Madd(())) })
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

impl Dot for Madd {
    const I8_OFFSET: i32 = 0;
    type W8 = (__m256i, __m256i);
    type A4 = Bytes;
    type A8 = Words;

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
        has!(_mm256_set1_epi32(a.start))
    }
    #[inline(always)]
    fn start8(self, _a: &Words) -> __m256i {
        has!(_mm256_setzero_si256())
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
}
