//! AVX2 registers: 16 lanes are two of eight.
//!
//! What the CPUs that have them differ in is the integer dot product, and only that is a
//! parameter here ([`Avx2Dot`]): `avx2_madd.rs` is for every one of them, `avx_vnni.rs` for
//! those from 2021 on (Alder Lake, N100, Zen 5).
#![allow(unsafe_code, clippy::indexing_slicing)]
// Registers come in arrays that are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop)]

use core::arch::x86_64::*;

use crate::format::layout::{GROUPS, TILE_ROWS};
use crate::kernels::block::PerToken;
use crate::kernels::simd::{Dots, IntWeights, Lines, MAX_PARTS, Simd};

/// Proof of AVX2, FMA and F16C, and of the instructions of `D`.
#[derive(Clone, Copy)]
pub(crate) struct Avx2<D>(D);

impl<D: Avx2Dot> Avx2<D> {
    /// Makes the proof.
    ///
    /// # Safety
    /// The CPU has AVX2, FMA and F16C.
    #[inline(always)]
    pub(super) unsafe fn new(dot: D) -> Self {
        Self(dot)
    }
}

/// The integer dot products of one generation of CPUs; a value of the type is proof that the CPU
/// has its instructions. The items are those of [`Simd`] of the same names, and the steps of
/// [`Simd::dot_int4`], [`Simd::dot_int8`] and [`Simd::dot_uint7`]: start, add each group of 4
/// activations once, finish.
pub(crate) trait Avx2Dot: Copy {
    const INT8_OFFSET: i32;
    type WeightsInt8: Copy;
    type ActivationsInt4: Copy;
    type ActivationsInt8: Copy;
    fn prepare_int8(self, w: __m256i) -> Self::WeightsInt8;
    unsafe fn load_activations_int4(
        self,
        from: *const i8,
        correction: i32,
    ) -> Self::ActivationsInt4;
    unsafe fn load_activations_int5(
        self,
        from: *const i8,
        correction: i32,
    ) -> Self::ActivationsInt4;
    unsafe fn load_activations_int8(
        self,
        from: *const i8,
        correction: i32,
    ) -> Self::ActivationsInt8;
    fn start_int4(self, a: &Self::ActivationsInt4) -> __m256i;
    fn start_int8(self, a: &Self::ActivationsInt8) -> __m256i;
    /// Adds the products of unsigned nibbles with activation group `G`, which both registers
    /// of rows share.
    fn add_int4<const G: usize>(self, z: Rows16, w: Rows16, a: &Self::ActivationsInt4) -> Rows16;
    /// Adds the products of int8 with activation group `G`.
    fn add_int8<const G: usize>(
        self,
        z: Rows16,
        w: [Self::WeightsInt8; 2],
        a: &Self::ActivationsInt8,
    ) -> Rows16;
    /// Brings sums of nibbles' products into 32 bits.
    fn finish_int4(self, z: __m256i) -> __m256i;
    /// Adds the products of int8, as it lies in memory, with activation group `G`, whose are within
    /// 0 … 127, in 32 bits.
    fn add_uint7<const G: usize>(self, z: Rows16, w: Rows16, a: &[i32; GROUPS]) -> Rows16;
}

/// Activations by groups of 4 bytes, to be broadcast from memory, and what dot products with them
/// start with.
#[derive(Clone, Copy)]
pub(crate) struct ByteGroups {
    pub(super) groups: [i32; GROUPS],
    pub(super) start: i32,
}

impl ByteGroups {
    /// Reads 32 activations.
    ///
    /// # Safety
    /// They are there.
    #[inline(always)]
    pub(super) unsafe fn load(from: *const i8, start: i32) -> Self {
        // SAFETY: 32 bytes, as the caller promises.
        Self { groups: unsafe { from.cast::<[i32; GROUPS]>().read_unaligned() }, start }
    }
}

/// 16 rows.
pub(super) type Rows16 = [__m256i; 2];

/// Uses instructions from a method of something that is proof of them.
macro_rules! has {
    ($e:expr) => {
        // SAFETY: `self` is proof that the CPU has the instructions. Where they touch
        // memory, the caller of the (then unsafe) method vouches for the elements, and
        // only forms without alignment are used.
        unsafe { $e }
    };
}
pub(super) use has;

// SAFETY: whoever made this value vouched for the features.
unsafe impl<D: Avx2Dot> Simd for Avx2<D> {
    const LANES: usize = 8;
    const INT8_OFFSET: i32 = D::INT8_OFFSET;
    type Prefill<Q: IntWeights> = PerToken<Q>;

    type F = __m256;
    type I = __m256i;
    type Weights = __m256i;
    type WeightsInt8 = D::WeightsInt8;
    type Levels = __m256i;
    type ActivationsInt4 = D::ActivationsInt4;
    type ActivationsInt8 = D::ActivationsInt8;
    type ActivationsUint7 = [i32; GROUPS];

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
        let (most, least) = (self.splat(65504.0), self.splat(-65504.0));
        has!({
            // The second operand is what comes of NaN.
            let v = _mm256_max_ps(least, _mm256_min_ps(most, v));
            _mm_storeu_si128(to.cast(), _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(v));
        })
    }
    #[inline(always)]
    fn prefetch<const AT: usize>(self, from: *const u8) {
        has!(_mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(AT).cast()))
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
    fn sum_lanes(self, v: __m256) -> f32 {
        has!({
            let v = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let v = _mm_add_ps(v, _mm_movehl_ps(v, v));
            _mm_cvtss_f32(_mm_add_ss(v, _mm_movehdup_ps(v)))
        })
    }
    #[inline(always)]
    fn sum_lanes_each<const N: usize>(self, each: &[__m256; N]) -> [f32; TILE_ROWS] {
        lanes_each::<D, false, N>(self, each)
    }
    #[inline(always)]
    fn max_lanes_each<const N: usize>(self, each: &[__m256; N]) -> [f32; TILE_ROWS] {
        lanes_each::<D, true, N>(self, each)
    }
    #[inline(always)]
    fn max_lanes(self, v: __m256) -> f32 {
        has!({
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
    fn truncate(self, v: f32) -> i32 {
        has!(_mm_cvttss_si32(_mm_set_ss(v)))
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
    unsafe fn store_i8(self, to: *mut i8, [low, high, ..]: [__m256i; MAX_PARTS]) {
        has!({
            // Packed by halves: the low ones of both, then the high ones.
            let words = _mm256_packs_epi32(low, high);
            let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(words);
            let bytes = _mm_packs_epi16(
                _mm256_castsi256_si128(words),
                _mm256_extracti128_si256::<1>(words),
            );
            _mm_storeu_si128(to.cast(), bytes);
        })
    }

    #[inline(always)]
    unsafe fn load_weights(self, from: *const u8) -> __m256i {
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
    fn fifth_bit(self, nibbles: __m256i, signs: __m256i, group: usize) -> __m256i {
        has!({
            // Words are shifted, as there are no shifts of bytes; a byte keeps one bit of its own.
            let four_up = if group < 4 { _mm256_slli_epi16::<4>(signs) } else { signs };
            let shifted = _mm256_srl_epi16(four_up, _mm_cvtsi32_si128(group as i32 % 4));
            _mm256_or_si256(nibbles, _mm256_andnot_si256(shifted, _mm256_set1_epi8(16)))
        })
    }
    #[inline(always)]
    unsafe fn load_levels(self, from: *const u8) -> __m256i {
        has!(_mm256_broadcastsi128_si256(_mm_loadu_si128(from.cast())))
    }
    #[inline(always)]
    fn look_up(self, levels: __m256i, nibbles: __m256i) -> __m256i {
        has!(_mm256_shuffle_epi8(levels, nibbles))
    }
    #[inline(always)]
    fn prepare_int8(self, w: __m256i) -> D::WeightsInt8 {
        self.0.prepare_int8(w)
    }
    #[inline(always)]
    unsafe fn load_activations_int4(self, from: *const i8, correction: i32) -> D::ActivationsInt4 {
        // SAFETY: as the caller promises.
        unsafe { self.0.load_activations_int4(from, correction) }
    }
    #[inline(always)]
    unsafe fn load_activations_int5(self, from: *const i8, correction: i32) -> D::ActivationsInt4 {
        // SAFETY: as the caller promises.
        unsafe { self.0.load_activations_int5(from, correction) }
    }
    #[inline(always)]
    unsafe fn load_activations_int8(self, from: *const i8, correction: i32) -> D::ActivationsInt8 {
        // SAFETY: as the caller promises.
        unsafe { self.0.load_activations_int8(from, correction) }
    }
    #[inline(always)]
    fn dot_int4<const T: usize>(
        self,
        w: impl Lines<(__m256i, __m256i)>,
        a: [&D::ActivationsInt4; T],
        _first: usize,
    ) -> Dots<Self, T> {
        let mut z = a.map(|a| [self.0.start_int4(a); 2]);
        // Written out: the number of a line is part of its instructions.
        add_nibbles::<D, 0, 4, T>(self.0, &mut z, [w.line(0, 0), w.line(0, 1)], a);
        add_nibbles::<D, 1, 5, T>(self.0, &mut z, [w.line(1, 0), w.line(1, 1)], a);
        add_nibbles::<D, 2, 6, T>(self.0, &mut z, [w.line(2, 0), w.line(2, 1)], a);
        add_nibbles::<D, 3, 7, T>(self.0, &mut z, [w.line(3, 0), w.line(3, 1)], a);
        z.map(|z| wide(self, z.map(|z| self.0.finish_int4(z))))
    }
    #[inline(always)]
    fn dot_int8<const T: usize>(
        self,
        w: impl Lines<D::WeightsInt8>,
        a: [&D::ActivationsInt8; T],
        _first: usize,
    ) -> Dots<Self, T> {
        let mut z = a.map(|a| [self.0.start_int8(a); 2]);
        add_bytes::<D, 0, T>(self.0, &mut z, [w.line(0, 0), w.line(0, 1)], a);
        add_bytes::<D, 1, T>(self.0, &mut z, [w.line(1, 0), w.line(1, 1)], a);
        add_bytes::<D, 2, T>(self.0, &mut z, [w.line(2, 0), w.line(2, 1)], a);
        add_bytes::<D, 3, T>(self.0, &mut z, [w.line(3, 0), w.line(3, 1)], a);
        add_bytes::<D, 4, T>(self.0, &mut z, [w.line(4, 0), w.line(4, 1)], a);
        add_bytes::<D, 5, T>(self.0, &mut z, [w.line(5, 0), w.line(5, 1)], a);
        add_bytes::<D, 6, T>(self.0, &mut z, [w.line(6, 0), w.line(6, 1)], a);
        add_bytes::<D, 7, T>(self.0, &mut z, [w.line(7, 0), w.line(7, 1)], a);
        z.map(|z| wide(self, z))
    }
    #[inline(always)]
    fn pack_activations_uint7(self, q: [[__m256i; MAX_PARTS]; 2]) -> [i32; GROUPS] {
        let mut groups = [0; GROUPS];
        has!({
            // Packed by halves: a group of each of the four, and then of their other halves.
            let words =
                [_mm256_packs_epi32(q[0][0], q[0][1]), _mm256_packs_epi32(q[1][0], q[1][1])];
            let bytes = _mm256_packs_epi16(words[0], words[1]);
            let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
            let bytes = _mm256_permutevar8x32_epi32(bytes, order);
            _mm256_storeu_si256(groups.as_mut_ptr().cast(), bytes);
        });
        groups
    }
    #[inline(always)]
    fn dot_uint7<const T: usize>(
        self,
        w: impl Lines<__m256i>,
        a: [&[i32; GROUPS]; T],
        _first: usize,
    ) -> Dots<Self, T> {
        let mut z = [[self.splat_i(0); 2]; T];
        add_uint7::<D, 0, T>(self.0, &mut z, [w.line(0, 0), w.line(0, 1)], a);
        add_uint7::<D, 1, T>(self.0, &mut z, [w.line(1, 0), w.line(1, 1)], a);
        add_uint7::<D, 2, T>(self.0, &mut z, [w.line(2, 0), w.line(2, 1)], a);
        add_uint7::<D, 3, T>(self.0, &mut z, [w.line(3, 0), w.line(3, 1)], a);
        add_uint7::<D, 4, T>(self.0, &mut z, [w.line(4, 0), w.line(4, 1)], a);
        add_uint7::<D, 5, T>(self.0, &mut z, [w.line(5, 0), w.line(5, 1)], a);
        add_uint7::<D, 6, T>(self.0, &mut z, [w.line(6, 0), w.line(6, 1)], a);
        add_uint7::<D, 7, T>(self.0, &mut z, [w.line(7, 0), w.line(7, 1)], a);
        z.map(|z| wide(self, z))
    }
}

/// Combines the lanes of each as [`Simd::sum_lanes`] does, those 4 apart, then 2 and 1, of two at
/// a time: each keeps half as many lanes of what both become.
#[inline(always)]
fn lanes_each<D: Avx2Dot, const MAX: bool, const N: usize>(
    s: Avx2<D>,
    each: &[__m256; N],
) -> [f32; TILE_ROWS] {
    let mut all = [0.0; TILE_ROWS];
    for first in (0..N).step_by(8) {
        let mut v = [s.splat(0.0); 8];
        let n = 8.min(N - first);
        v[..n].copy_from_slice(&each[first..first + n]);
        has!({
            for i in 0..4 {
                let near = _mm256_permute2f128_ps::<0b10_0000>(v[i], v[i + 4]);
                let far = _mm256_permute2f128_ps::<0b11_0001>(v[i], v[i + 4]);
                v[i] = both::<D, MAX>(s, near, far);
            }
            for i in 0..2 {
                let (a, b) = (_mm256_castps_pd(v[2 * i]), _mm256_castps_pd(v[2 * i + 1]));
                let near = _mm256_castpd_ps(_mm256_unpacklo_pd(a, b));
                v[i] = both::<D, MAX>(s, near, _mm256_castpd_ps(_mm256_unpackhi_pd(a, b)));
            }
            let near = _mm256_shuffle_ps::<0b10_00_10_00>(v[0], v[1]);
            let far = _mm256_shuffle_ps::<0b11_01_11_01>(v[0], v[1]);
            _mm256_storeu_ps(all[first..].as_mut_ptr(), both::<D, MAX>(s, near, far));
        });
    }
    all
}

/// The larger of two, or their sum.
#[inline(always)]
fn both<D: Avx2Dot, const MAX: bool>(s: Avx2<D>, a: __m256, b: __m256) -> __m256 {
    if MAX { s.max(a, b) } else { s.add(a, b) }
}

/// Adds the products of a line of nibbles: groups `LOW` and `HIGH` of each token.
#[inline(always)]
fn add_nibbles<D: Avx2Dot, const LOW: usize, const HIGH: usize, const T: usize>(
    dot: D,
    z: &mut [Rows16; T],
    w: [(__m256i, __m256i); 2],
    a: [&D::ActivationsInt4; T],
) {
    for (z, a) in z.iter_mut().zip(a) {
        *z = dot.add_int4::<LOW>(*z, [w[0].0, w[1].0], a);
    }
    for (z, a) in z.iter_mut().zip(a) {
        *z = dot.add_int4::<HIGH>(*z, [w[0].1, w[1].1], a);
    }
}

/// Adds the products of a line of bytes, group `G` of each token.
#[inline(always)]
fn add_bytes<D: Avx2Dot, const G: usize, const T: usize>(
    dot: D,
    z: &mut [Rows16; T],
    w: [D::WeightsInt8; 2],
    a: [&D::ActivationsInt8; T],
) {
    for (z, a) in z.iter_mut().zip(a) {
        *z = dot.add_int8::<G>(*z, w, a);
    }
}

/// Adds the products of a line of bytes, group `G` of each token, none negative.
#[inline(always)]
fn add_uint7<D: Avx2Dot, const G: usize, const T: usize>(
    dot: D,
    z: &mut [Rows16; T],
    w: Rows16,
    a: [&[i32; GROUPS]; T],
) {
    for (z, a) in z.iter_mut().zip(a) {
        *z = dot.add_uint7::<G>(*z, w, a);
    }
}

/// Two registers among as many as there may be.
#[inline(always)]
fn wide<D: Avx2Dot>(s: Avx2<D>, z: Rows16) -> [__m256i; MAX_PARTS] {
    let mut wide = [s.splat_i(0); MAX_PARTS];
    wide[..2].copy_from_slice(&z);
    wide
}
