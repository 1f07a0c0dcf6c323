//! The few operations that every instruction set supplies.
//!
//! Algorithms are written once over this trait; an ISA's file holds registers and
//! nothing else. All vectors are thought of as 16 lanes, which an ISA takes in
//! [`Simd::PARTS`] registers of [`Simd::LANES`] each, so that sums over strided
//! lanes come out the same everywhere.
//!
//! Every method must be `#[inline(always)]`: it is compiled inside the one function
//! of its ISA that carries the `target_feature` attribute.

#![allow(unsafe_code)]

use super::several::Several;
use crate::format::layout::TILE_ROWS;

/// The most registers that 16 lanes take: arrays of them are this long, as an array
/// cannot have an associated constant's length; what lies behind [`Simd::PARTS`] is
/// never touched and so never exists.
pub(crate) const MOST_PARTS: usize = 4;

/// Registers of one instruction set; a value of the type is proof that the CPU has it.
///
/// # Safety
///
/// An implementation must compute exactly what `docs/reference/numerics.md` says, and may
/// use only instructions whose presence its construction guarantees. Methods that
/// take pointers need them valid for the stated number of elements; none needs
/// alignment.
pub(crate) unsafe trait Simd: Copy {
    /// f32 lanes of one register: 16, 8 or 4.
    const LANES: usize;
    /// Registers for 16 lanes.
    const PARTS: usize = TILE_ROWS / Self::LANES;
    /// What [`Simd::dot_i8`] adds for each unit of activation, to be taken off at the start:
    /// 128 where the instruction wants unsigned weights, else 0.
    const I8_OFFSET: i32 = 0;
    /// Registers of rows that are computed together, 1, 2 or all.
    const TOGETHER: usize = Self::PARTS;
    /// Tokens that meet a line of weights together, 1, 4 or 8: as many as leave their running
    /// sums in registers beside those of [`Simd::TOGETHER`].
    const MATMUL_TOKENS: usize = 4;
    /// How a block of integer weights meets several tokens.
    type Several: Several<Self>;

    /// [`Simd::LANES`] × f32.
    type F: Copy;
    /// [`Simd::LANES`] × i32.
    type I: Copy;
    /// [`Simd::LANES`] × 4 bytes of weights: one register of a line.
    type W: Copy;
    /// A register of a line of int8 weights, made ready for several tokens.
    type W8: Copy;
    /// The 32 quantized activations of a block, made ready to meet nibbles, and where their
    /// running dot products start. (Made once, it is read for every tile: from memory, where
    /// it does not fit registers.)
    type A4: Copy;
    /// The same to meet int8.
    type A8: Copy;
    /// The same of activations that are not negative.
    type A7: Copy;

    // Memory.

    /// Reads [`Simd::LANES`] f32.
    unsafe fn load(self, from: *const f32) -> Self::F;
    /// Writes [`Simd::LANES`] f32.
    unsafe fn store(self, to: *mut f32, v: Self::F);
    /// Reads [`Simd::LANES`] f16, little-endian.
    unsafe fn load_f16(self, from: *const u8) -> Self::F;
    /// Writes [`Simd::LANES`] f16: nearest even, saturated to ±65504.
    unsafe fn store_f16(self, to: *mut u8, v: Self::F);
    /// Hints that the line `AT` bytes from `from` will be read soon; any address will do.
    fn prefetch<const AT: usize>(self, from: *const u8);

    /// Nothing, but what follows is not begun before these sums are done: for a loop whose
    /// turns, mixed by a compiler, would take more registers than there are.
    #[inline(always)]
    fn settle(self, sums: [Self::F; MOST_PARTS]) -> [Self::F; MOST_PARTS] {
        sums
    }

    // Floats, lane by lane.

    fn splat(self, v: f32) -> Self::F;
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a · b + c`, rounded once.
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// `a < b ? x : y`, false for NaN.
    fn select_lt(self, a: Self::F, b: Self::F, x: Self::F, y: Self::F) -> Self::F;
    /// `a > b ? a : b`.
    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        self.select_lt(b, a, a, b)
    }
    fn abs(self, a: Self::F) -> Self::F;
    /// The bits of `t` shifted left by 23, plus those of 1.0: 2^n if `t` is 1.5·2^23 + n.
    fn exp2_magic(self, t: Self::F) -> Self::F;

    // Across lanes.

    /// Adds lanes as many apart as half of them are, then half as many, down to 1.
    fn sum_lanes(self, v: Self::F) -> f32;
    /// [`Simd::sum_lanes`] of each, at most 16; zeros behind them.
    #[inline(always)]
    fn sum_lanes_each<const N: usize>(self, each: &[Self::F; N]) -> [f32; TILE_ROWS] {
        let mut sums = [0.0; TILE_ROWS];
        for (sum, v) in sums.iter_mut().zip(each) {
            *sum = self.sum_lanes(*v);
        }
        sums
    }
    /// Of 16 lanes, adds those 8 apart, then 4, 2 and 1.
    #[inline(always)]
    fn sum16(self, parts: [Self::F; MOST_PARTS]) -> f32 {
        self.sum_lanes(self.sum_parts(parts))
    }
    /// The first steps of [`Simd::sum16`], until one register is left.
    #[inline(always)]
    fn sum_parts(self, parts: [Self::F; MOST_PARTS]) -> Self::F {
        match Self::PARTS {
            1 => parts[0],
            2 => self.add(parts[0], parts[1]),
            _ => self.add(self.add(parts[0], parts[2]), self.add(parts[1], parts[3])),
        }
    }
    /// The largest lane.
    fn max_lanes(self, v: Self::F) -> f32;
    /// [`Simd::max_lanes`] of each, at most 16; zeros behind them.
    #[inline(always)]
    fn max_lanes_each<const N: usize>(self, each: &[Self::F; N]) -> [f32; TILE_ROWS] {
        let mut largest = [0.0; TILE_ROWS];
        for (largest, v) in largest.iter_mut().zip(each) {
            *largest = self.max_lanes(*v);
        }
        largest
    }

    // Integers, lane by lane.

    fn splat_i(self, v: i32) -> Self::I;
    fn add_i(self, a: Self::I, b: Self::I) -> Self::I;
    /// Nearest even; exact for |v| ≤ 2^24.
    fn to_f(self, v: Self::I) -> Self::F;
    /// Nearest even; `v` lies within ±2^31.
    fn round(self, v: Self::F) -> Self::I;
    /// The larger of `m` and the bits of |v| as an integer.
    fn max_bits(self, m: Self::I, v: Self::F) -> Self::I;
    /// The largest lane.
    fn reduce_max_i(self, v: Self::I) -> i32;
    /// The sum of the lanes, wrapping.
    fn reduce_add_i(self, v: Self::I) -> i32;
    /// Writes 16 lanes, each within ±127, as i8.
    unsafe fn store_i8(self, to: *mut i8, parts: [Self::I; MOST_PARTS]);

    // Integer dot products: each lane is 4 weights times the same 4 activations.

    /// Reads `4 · LANES` bytes.
    unsafe fn load_w(self, from: *const u8) -> Self::W;
    /// The low and the high nibbles, each as unsigned bytes.
    fn nibbles(self, w: Self::W) -> (Self::W, Self::W);
    /// Takes signed bytes.
    fn ready_i8(self, w: Self::W) -> Self::W8;
    /// Makes 32 activations, each within ±127, ready; `less`, which is to be taken off each
    /// of their dot products, is a multiple of 8 within ±32,512 = 8 · 127 · 32.
    unsafe fn acts4(self, from: *const i8, less: i32) -> Self::A4;
    /// The same; `less` is a multiple of [`Simd::I8_OFFSET`].
    unsafe fn acts8(self, from: *const i8, less: i32) -> Self::A8;
    /// Makes two times 16 activations, each within 0 … 127, ready.
    fn acts7(self, q: [[Self::I; MOST_PARTS]; 2]) -> Self::A7;

    /// The dot products of a block of nibbles with `T` tokens, for [`Simd::TOGETHER`] registers
    /// of rows from `first` on. `w(line, part)` reads a register of weights.
    fn dots4<const T: usize>(
        self,
        w: impl Fn(usize, usize) -> (Self::W, Self::W),
        a: [&Self::A4; T],
        first: usize,
    ) -> [[Self::I; MOST_PARTS]; T];
    /// The same for int8.
    fn dots8<const T: usize>(
        self,
        w: impl Fn(usize, usize) -> Self::W8,
        a: [&Self::A8; T],
        first: usize,
    ) -> [[Self::I; MOST_PARTS]; T];
    /// The same for int8 as it lies in memory and activations that are not negative.
    fn dots7<const T: usize>(
        self,
        w: impl Fn(usize, usize) -> Self::W,
        a: [&Self::A7; T],
        first: usize,
    ) -> [[Self::I; MOST_PARTS]; T];
}
