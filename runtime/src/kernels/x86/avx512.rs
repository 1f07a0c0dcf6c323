//! AVX-512 registers with VNNI: 16 lanes are one.
//!
//! `vpdpbusd` is four products a lane of unsigned × signed bytes, in 32 bits. int8 weights
//! are moved to 0 … 255, and 128 times the sum of the activations is taken off at the start.
#![allow(unsafe_code, clippy::indexing_slicing)]
// Registers come in arrays that are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop)]

use core::arch::asm;
use core::arch::x86_64::*;
use core::marker::PhantomData;

use super::avx2::{ByteGroups, has};
use crate::format::layout::{GROUPS, TILE_ROWS};
use crate::kernels::block::PerToken;
use crate::kernels::simd::{Dots, IntWeights, Lines, MAX_PARTS, Op, PrefillKernel, Simd};

/// Proof of AVX-512 F, BW, VL and VNNI, and of what `G` adds: made by
/// [`enter`] and `amx::enter` alone.
#[derive(Clone, Copy)]
pub(crate) struct Avx512<G>(PhantomData<G>);

impl<G: Avx512Generation> Avx512<G> {
    /// Makes the proof.
    ///
    /// # Safety
    /// The CPU has AVX-512 F, BW, VL and VNNI, and what `G` adds.
    #[inline(always)]
    pub(super) unsafe fn new() -> Self {
        Self(PhantomData)
    }

    /// Dot products before any line: minus what is taken off.
    #[inline(always)]
    fn start<const T: usize>(self, a: [&ByteGroups; T]) -> Dots<Self, T> {
        let mut z = [[self.splat_i(a[0].start); MAX_PARTS]; T];
        for t in 1..T {
            z[t] = [self.splat_i(a[t].start); MAX_PARTS];
        }
        z
    }

    /// Adds the products of a line of nibbles, groups `line` and `line + 4` of each token.
    #[inline(always)]
    fn add_nibbles<const T: usize>(
        self,
        z: &mut Dots<Self, T>,
        (low, high): (__m512i, __m512i),
        a: [&ByteGroups; T],
        line: usize,
    ) {
        for t in 0..T {
            let lows = self.add_group(z[t][0], low, a[t].groups[line]);
            z[t][0] = self.add_group(lows, high, a[t].groups[line + GROUPS / 2]);
        }
    }

    /// Adds the products of a line of unsigned bytes, group `line` of each token.
    #[inline(always)]
    fn add_bytes<const T: usize>(
        self,
        z: &mut Dots<Self, T>,
        w: __m512i,
        a: [&ByteGroups; T],
        line: usize,
    ) {
        for t in 0..T {
            z[t][0] = self.add_group(z[t][0], w, a[t].groups[line]);
        }
    }

    /// Adds the products of unsigned bytes with a group of signed bytes.
    #[inline(always)]
    fn add_group(self, z: __m512i, unsigned: __m512i, signed: i32) -> __m512i {
        has!(_mm512_dpbusd_epi32(z, unsigned, _mm512_set1_epi32(signed)))
    }
}

/// A generation of CPUs by what it has besides; a value of the type is proof of it.
pub(crate) trait Avx512Generation: Copy {
    /// The prefill kernel: see [`Simd::Prefill`].
    type Prefill<Q: IntWeights>: PrefillKernel<Avx512<Self>>;
}

/// Vectors alone.
#[derive(Clone, Copy)]
pub(crate) struct Vectors;

impl Avx512Generation for Vectors {
    type Prefill<Q: IntWeights> = PerToken<Q>;
}

/// Runs an operation with these registers.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512vnni")]
pub(crate) fn enter<O: Op>(op: O) -> O::Out {
    op.run(Avx512::<Vectors>(PhantomData))
}

// SAFETY: `Avx512` exists only inside the functions above, which only run where the features are.
unsafe impl<G: Avx512Generation> Simd for Avx512<G> {
    const LANES: usize = 16;
    const INT8_OFFSET: i32 = 128;
    const PREFILL_TOKENS: usize = 8;
    type Prefill<Q: IntWeights> = G::Prefill<Q>;

    type F = __m512;
    type I = __m512i;
    type Weights = __m512i;
    type WeightsInt8 = __m512i;
    type Levels = __m512i;
    type ActivationsInt4 = ByteGroups;
    type ActivationsInt8 = ByteGroups;
    type ActivationsUint7 = [i32; GROUPS];

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m512 {
        has!(_mm512_loadu_ps(from))
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, v: __m512) {
        has!(_mm512_storeu_ps(to, v))
    }
    #[inline(always)]
    unsafe fn load_f16(self, from: *const u8) -> __m512 {
        has!(_mm512_cvtph_ps(_mm256_loadu_si256(from.cast())))
    }
    #[inline(always)]
    unsafe fn store_f16(self, to: *mut u8, v: __m512) {
        let (most, least) = (self.splat(65504.0), self.splat(-65504.0));
        has!({
            // The second operand is what comes of NaN.
            let v = _mm512_max_ps(least, _mm512_min_ps(most, v));
            let halves = _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(v);
            _mm256_storeu_si256(to.cast(), halves);
        })
    }
    #[inline(always)]
    fn prefetch<const AT: usize>(self, from: *const u8) {
        has!(_mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(AT).cast()))
    }

    #[inline(always)]
    fn splat(self, v: f32) -> __m512 {
        has!(_mm512_set1_ps(v))
    }
    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        has!(_mm512_add_ps(a, b))
    }
    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        has!(_mm512_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        has!(_mm512_mul_ps(a, b))
    }
    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        has!(_mm512_div_ps(a, b))
    }
    #[inline(always)]
    fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        has!(_mm512_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn select_lt(self, a: __m512, b: __m512, x: __m512, y: __m512) -> __m512 {
        has!(_mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b), y, x))
    }
    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        has!(_mm512_max_ps(a, b))
    }
    #[inline(always)]
    fn abs(self, a: __m512) -> __m512 {
        has!(_mm512_abs_ps(a))
    }
    #[inline(always)]
    fn exp2_magic(self, t: __m512) -> __m512 {
        has!({
            let shifted = _mm512_slli_epi32::<23>(_mm512_castps_si512(t));
            _mm512_castsi512_ps(_mm512_add_epi32(shifted, _mm512_set1_epi32(0x3f80_0000)))
        })
    }

    #[inline(always)]
    fn sum_lanes(self, v: __m512) -> f32 {
        has!({
            let (low, high) = halves(v);
            let v = _mm256_add_ps(low, high);
            let v = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let v = _mm_add_ps(v, _mm_movehl_ps(v, v));
            _mm_cvtss_f32(_mm_add_ss(v, _mm_movehdup_ps(v)))
        })
    }
    #[inline(always)]
    fn sum_lanes_each<const N: usize>(self, each: &[__m512; N]) -> [f32; TILE_ROWS] {
        lanes_each::<G, false, N>(self, each)
    }
    #[inline(always)]
    fn max_lanes_each<const N: usize>(self, each: &[__m512; N]) -> [f32; TILE_ROWS] {
        lanes_each::<G, true, N>(self, each)
    }
    #[inline(always)]
    fn max_lanes(self, v: __m512) -> f32 {
        has!({
            let (low, high) = halves(v);
            let v = _mm256_max_ps(low, high);
            let v = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let v = _mm_max_ps(v, _mm_movehl_ps(v, v));
            _mm_cvtss_f32(_mm_max_ss(v, _mm_movehdup_ps(v)))
        })
    }

    #[inline(always)]
    fn splat_i(self, v: i32) -> __m512i {
        has!(_mm512_set1_epi32(v))
    }
    #[inline(always)]
    fn add_i(self, a: __m512i, b: __m512i) -> __m512i {
        has!(_mm512_add_epi32(a, b))
    }
    #[inline(always)]
    fn truncate(self, v: f32) -> i32 {
        has!(_mm_cvttss_si32(_mm_set_ss(v)))
    }
    #[inline(always)]
    fn to_f(self, v: __m512i) -> __m512 {
        has!(_mm512_cvtepi32_ps(v))
    }
    #[inline(always)]
    fn round(self, v: __m512) -> __m512i {
        has!(_mm512_cvtps_epi32(v))
    }
    #[inline(always)]
    fn max_bits(self, m: __m512i, v: __m512) -> __m512i {
        let bits = self.abs(v);
        has!(_mm512_max_epi32(m, _mm512_castps_si512(bits)))
    }
    #[inline(always)]
    fn reduce_max_i(self, v: __m512i) -> i32 {
        has!(_mm512_reduce_max_epi32(v))
    }
    #[inline(always)]
    fn reduce_add_i(self, v: __m512i) -> i32 {
        has!(_mm512_reduce_add_epi32(v))
    }
    #[inline(always)]
    unsafe fn store_i8(self, to: *mut i8, [v, ..]: [__m512i; MAX_PARTS]) {
        has!(_mm_storeu_si128(to.cast(), _mm512_cvtepi32_epi8(v)))
    }

    #[inline(always)]
    unsafe fn load_weights(self, from: *const u8) -> __m512i {
        has!(_mm512_loadu_si512(from.cast()))
    }
    #[inline(always)]
    fn nibbles(self, w: __m512i) -> (__m512i, __m512i) {
        has!({
            let low = _mm512_set1_epi8(15);
            (_mm512_and_si512(w, low), _mm512_and_si512(_mm512_srli_epi16::<4>(w), low))
        })
    }
    #[inline(always)]
    fn fifth_bit(self, nibbles: __m512i, signs: __m512i, group: usize) -> __m512i {
        has!({
            // As in `avx2.rs`.
            let four_up = if group < 4 { _mm512_slli_epi16::<4>(signs) } else { signs };
            let shifted = _mm512_srl_epi16(four_up, _mm_cvtsi32_si128(group as i32 % 4));
            _mm512_or_si512(nibbles, _mm512_andnot_si512(shifted, _mm512_set1_epi8(16)))
        })
    }
    #[inline(always)]
    unsafe fn load_levels(self, from: *const u8) -> __m512i {
        has!(_mm512_broadcast_i32x4(_mm_loadu_si128(from.cast())))
    }
    #[inline(always)]
    fn look_up(self, levels: __m512i, nibbles: __m512i) -> __m512i {
        has!(_mm512_shuffle_epi8(levels, nibbles))
    }
    #[inline(always)]
    fn prepare_int8(self, w: __m512i) -> __m512i {
        has!(_mm512_xor_si512(w, _mm512_set1_epi8(-128)))
    }
    #[inline(always)]
    unsafe fn load_activations_int4(self, from: *const i8, correction: i32) -> ByteGroups {
        // SAFETY: the caller vouches for 32 elements.
        unsafe { ByteGroups::load(from, correction.wrapping_neg()) }
    }
    #[inline(always)]
    unsafe fn load_activations_int8(self, from: *const i8, correction: i32) -> ByteGroups {
        // SAFETY: the caller vouches for 32 elements.
        unsafe { ByteGroups::load(from, correction.wrapping_neg()) }
    }
    #[inline(always)]
    fn dot_int4<const T: usize>(
        self,
        w: impl Lines<(__m512i, __m512i)>,
        a: [&ByteGroups; T],
        first: usize,
    ) -> Dots<Self, T> {
        let mut z = self.start(a);
        // Written out: in a loop, a compiler broadcasts all groups ahead of it, into memory.
        self.add_nibbles(&mut z, w.line(0, first), a, 0);
        self.add_nibbles(&mut z, w.line(1, first), a, 1);
        self.add_nibbles(&mut z, w.line(2, first), a, 2);
        self.add_nibbles(&mut z, w.line(3, first), a, 3);
        z
    }
    #[inline(always)]
    fn dot_int8<const T: usize>(
        self,
        w: impl Lines<__m512i>,
        a: [&ByteGroups; T],
        first: usize,
    ) -> Dots<Self, T> {
        let mut z = self.start(a);
        // Written out, as above.
        self.add_bytes(&mut z, w.line(0, first), a, 0);
        self.add_bytes(&mut z, w.line(1, first), a, 1);
        self.add_bytes(&mut z, w.line(2, first), a, 2);
        self.add_bytes(&mut z, w.line(3, first), a, 3);
        self.add_bytes(&mut z, w.line(4, first), a, 4);
        self.add_bytes(&mut z, w.line(5, first), a, 5);
        self.add_bytes(&mut z, w.line(6, first), a, 6);
        self.add_bytes(&mut z, w.line(7, first), a, 7);
        z
    }
    #[inline(always)]
    fn pack_activations_uint7(self, q: [[__m512i; MAX_PARTS]; 2]) -> [i32; GROUPS] {
        let mut groups = [0; GROUPS];
        has!({
            // Packed by quarters: a group of each register, four times.
            let words = _mm512_packs_epi32(q[0][0], q[1][0]);
            let bytes = _mm512_packs_epi16(words, words);
            let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 0, 0, 0, 0, 0, 0, 0, 0);
            let bytes = _mm512_permutexvar_epi32(order, bytes);
            _mm256_storeu_si256(groups.as_mut_ptr().cast(), _mm512_castsi512_si256(bytes));
        });
        groups
    }
    #[inline(always)]
    fn dot_uint7<const T: usize>(
        self,
        w: impl Lines<__m512i>,
        a: [&[i32; GROUPS]; T],
        first: usize,
    ) -> Dots<Self, T> {
        let mut z = [[self.splat_i(0); MAX_PARTS]; T];
        for line in 0..GROUPS {
            let w = w.line(line, first);
            for t in 0..T {
                z[t][0] = has!(add_group_uint7(z[t][0], w, &a[t][line]));
            }
        }
        z
    }
}

/// Adds the products of signed bytes with a group of bytes within 0 … 127.
///
/// In assembly, because a compiler broadcasts all groups ahead of the loop over dimensions, into
/// memory, from where they are read in sixteen times their size.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn add_group_uint7(z: __m512i, signed: __m512i, unsigned: &i32) -> __m512i {
    let mut sum = z;
    // Named, because a register of `_` has no width.
    let _broadcast: __m512i;
    // SAFETY: instructions that this function has; they read the group.
    unsafe {
        asm!(
            "vpbroadcastd {a}, dword ptr [{from}]",
            "vpdpbusd {sum}, {a}, {w}",
            a = out(zmm_reg) _broadcast,
            from = in(reg) unsigned,
            w = in(zmm_reg) signed,
            sum = inout(zmm_reg) sum,
            options(readonly, nostack, preserves_flags),
        );
    }
    sum
}

/// Combines the lanes of each as [`Simd::sum_lanes`] does, those 8 apart, then 4, 2 and 1, of two at
/// a time: each keeps half as many lanes of what both become.
#[inline(always)]
fn lanes_each<G: Avx512Generation, const MAX: bool, const N: usize>(
    s: Avx512<G>,
    each: &[__m512; N],
) -> [f32; TILE_ROWS] {
    const { assert!(N <= TILE_ROWS) };
    let (mut all, mut v) = ([0.0; TILE_ROWS], [s.splat(0.0); TILE_ROWS]);
    v[..N].copy_from_slice(each);
    has!({
        for i in [0, 1, 2, 3, 8, 9, 10, 11] {
            let near = _mm512_shuffle_f32x4::<0b01_00_01_00>(v[i], v[i + 4]);
            let far = _mm512_shuffle_f32x4::<0b11_10_11_10>(v[i], v[i + 4]);
            v[i] = both::<G, MAX>(s, near, far);
        }
        for i in 0..4 {
            let near = _mm512_shuffle_f32x4::<0b10_00_10_00>(v[i], v[i + 8]);
            let far = _mm512_shuffle_f32x4::<0b11_01_11_01>(v[i], v[i + 8]);
            v[i] = both::<G, MAX>(s, near, far);
        }
        for i in 0..2 {
            let (a, b) = (_mm512_castps_pd(v[2 * i]), _mm512_castps_pd(v[2 * i + 1]));
            let near = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
            v[i] = both::<G, MAX>(s, near, _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
        }
        let near = _mm512_shuffle_ps::<0b10_00_10_00>(v[0], v[1]);
        let far = _mm512_shuffle_ps::<0b11_01_11_01>(v[0], v[1]);
        _mm512_storeu_ps(all.as_mut_ptr(), both::<G, MAX>(s, near, far));
    });
    all
}

/// The larger of two, or their sum.
#[inline(always)]
fn both<G: Avx512Generation, const MAX: bool>(s: Avx512<G>, a: __m512, b: __m512) -> __m512 {
    if MAX { s.max(a, b) } else { s.add(a, b) }
}

/// Lanes 0 … 7 and 8 … 15.
#[inline]
#[target_feature(enable = "avx512f")]
fn halves(v: __m512) -> (__m256, __m256) {
    let high = _mm512_extractf64x4_pd::<1>(_mm512_castps_pd(v));
    (_mm512_castps512_ps256(v), _mm256_castpd_ps(high))
}
