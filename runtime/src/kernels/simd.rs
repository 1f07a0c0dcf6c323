//! The traits between algorithms and registers: one page for whoever ports to a new CPU.
//!
//! Algorithms are written once over [`Simd`] and run as an [`Op`]; a file of an instruction
//! set (ISA) holds registers and nothing else. All vectors are thought of as 16 lanes, which an
//! ISA takes in [`Simd::PARTS`] registers of [`Simd::LANES`] each, so that sums over strided
//! lanes come out the same everywhere. 16 is also the rows of a tile of weights
//! ([`TILE_ROWS`]): a lane is a row, 4 neighbouring columns of it are 4 bytes of the lane, and
//! the 8 groups of 4 columns of a block are 8 *lines* of 64 bytes (4 lines of nibbles).
//!
//! # Tile sizes
//!
//! A block of weights meets [`Simd::ROW_REGISTERS`] registers of rows at a time, and in prefill
//! [`Simd::PREFILL_TOKENS`] tokens. Every pair of a row register and a token has a running sum
//! in a register of its own, which has to stay there: with the weights and activations that it is
//! made of, all of them fit the register file, and enough of them are independent to keep the
//! multipliers busy (latency × throughput: 8 sums on most CPUs).
//!
//! | ISA | registers | rows × tokens | sums | why |
//! |---|---|---|---|---|
//! | AVX2, AVX-VNNI | 16 of 8 lanes | 2 × 4 | 8 | a broadcast activation serves both row registers; 4 more hold products and weights |
//! | AVX-512 | 32 of 16 lanes | 1 × 8 | 8 | one register is a tile; 8 tokens hide the latency of `vpdpbusd` |
//! | NEON | 32 of 4 lanes | 2 × 4 | 16 | two `smlal` accumulators a sum, 4 rows each |
//! | NEON dotprod, prefill | 32 | 2 × 2 (a pair) | 4 | 16 registers of weights stay for all tokens |
//! | NEON i8mm, prefill | 32 | 1 × 8 (4 pairs) | 8 | `smmla` gives 2 rows × 2 tokens; 8 registers of weights |
//! | AMX, prefill | 8 tiles of 1 KiB | 16 × 16 | one tile | the instruction's own shape |
//!
//! # A new instruction set
//!
//! 1. A file in `x86/` or `arm/` with a type whose value is proof of the instructions, and
//!    `impl Simd` for it; where only the integer dot product differs from an ISA that is there,
//!    an implementation of `Avx2Dot`, `Avx512Generation`, `NeonDot` or `DotprodGeneration`.
//! 2. [`Simd::Prefill`] is [`PerToken`](super::block::PerToken), unless an instruction
//!    multiplies by several tokens: then a [`PrefillKernel`] of its own.
//! 3. `enter`, the one function that carries the `target_feature` attribute, in the same file;
//!    a constructor, a kind and a name in `isa.rs`; detection in `boards/hosted`.
//! 4. Every method is `#[inline(always)]`: it is compiled inside `enter`, for these features.
//!    A closure is not, unless it is inlined: registers are walked in loops.
//! 5. `tests/tests/numerics/kernels/` compares every operation with an oracle bit for bit, at every size ±1;
//!    `.ci/inlined` and `.ci/instructions` look at what was compiled.
#![allow(unsafe_code)]

use crate::format::layout::{TILE_ROWS, WeightType};

/// The most registers that 16 lanes take: arrays of them are this long, as an array
/// cannot have an associated constant's length; what lies behind [`Simd::PARTS`] is
/// never touched and so never exists.
pub(crate) const MAX_PARTS: usize = 4;

/// 16 lanes of f32: the first [`Simd::PARTS`] registers are used.
pub(crate) type Wide<S> = [<S as Simd>::F; MAX_PARTS];

/// Dot products with `T` tokens: for each, the first [`Simd::ROW_REGISTERS`] registers are used.
pub(crate) type Dots<S, const T: usize> = [[<S as Simd>::I; MAX_PARTS]; T];

/// An operation written once, over whatever registers there are.
pub(crate) trait Op {
    /// The result of the operation.
    type Out;
    /// Runs with the registers of `simd`. Must be `#[inline(always)]`, as must all generic code
    /// that it calls.
    fn run<S: Simd>(self, simd: S) -> Self::Out;
}

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
    /// The number that [`Simd::dot_int8`] adds for each unit of activation, to be taken off at the
    /// start: 128 where the instruction wants unsigned weights, else 0.
    const INT8_OFFSET: i32 = 0;
    /// The number by which [`Simd::fifth_bit`]'s values exceed the weights: 16 where instructions
    /// want unsigned weights, else 0.
    const INT5_OFFSET: i32 = 16;
    /// Registers of rows that are computed together, 1, 2 or all.
    const ROW_REGISTERS: usize = Self::PARTS;
    /// Tokens that meet a line of weights together, 1, 4 or 8: as many as leave their running
    /// sums in registers beside those of [`Simd::ROW_REGISTERS`].
    const PREFILL_TOKENS: usize = 4;
    /// The kernel by which blocks of integer weights meet several tokens.
    type Prefill<Q: IntWeights>: PrefillKernel<Self>;

    /// [`Simd::LANES`] × f32.
    type F: Copy;
    /// [`Simd::LANES`] × i32.
    type I: Copy;
    /// [`Simd::LANES`] × 4 bytes of weights: one register of a line.
    type Weights: Copy;
    /// A register of a line of int8 weights in the form that multiplies.
    type WeightsInt8: Copy;
    /// 16 signed bytes that nibbles stand for.
    type Levels: Copy;
    /// The 32 quantized activations of a block in the form that meets nibbles, and where their
    /// running dot products start. (Made once, it is read for every tile: from memory, where
    /// it does not fit registers.)
    type ActivationsInt4: Copy;
    /// The 32 quantized activations of a block in the form that meets int8.
    type ActivationsInt8: Copy;
    /// 32 activations within 0 … 127 in the form that meets int8.
    type ActivationsUint7: Copy;

    // Memory.

    /// Reads [`Simd::LANES`] f32.
    unsafe fn load(self, from: *const f32) -> Self::F;
    /// Writes [`Simd::LANES`] f32.
    unsafe fn store(self, to: *mut f32, v: Self::F);
    /// Reads [`Simd::LANES`] f16, little-endian.
    unsafe fn load_f16(self, from: *const u8) -> Self::F;
    /// Writes [`Simd::LANES`] f16: nearest even, saturated to ±65504, NaN as a NaN.
    unsafe fn store_f16(self, to: *mut u8, v: Self::F);
    /// Hints that the line `AT` bytes from `from` will be read soon; any address will do.
    fn prefetch<const AT: usize>(self, from: *const u8);

    /// Keeps what follows from being begun before these sums are done: for a loop whose iterations,
    /// mixed by a compiler, would take more registers than there are. Computes nothing.
    #[inline(always)]
    fn optimization_barrier(self, sums: Wide<Self>) -> Wide<Self> {
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
    /// Adds, of 16 lanes, those 8 apart, then 4, 2 and 1.
    #[inline(always)]
    fn sum16(self, parts: Wide<Self>) -> f32 {
        self.sum_lanes(self.sum_parts(parts))
    }
    /// The first steps of [`Simd::sum16`], until one register is left.
    #[inline(always)]
    fn sum_parts(self, parts: Wide<Self>) -> Self::F {
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
    /// Cuts off the fraction; any integer, if none is that large.
    #[inline(always)]
    fn truncate(self, v: f32) -> i32 {
        v as i32
    }
    /// Rounds to the nearest f32, ties to even; exact for |v| ≤ 2^24.
    fn to_f(self, v: Self::I) -> Self::F;
    /// Rounds to the nearest integer, ties to even; `v` lies within ±2^31.
    fn round(self, v: Self::F) -> Self::I;
    /// The larger of `m` and the bits of |v| as an integer.
    fn max_bits(self, m: Self::I, v: Self::F) -> Self::I;
    /// The largest lane.
    fn reduce_max_i(self, v: Self::I) -> i32;
    /// The sum of the lanes, wrapping.
    fn reduce_add_i(self, v: Self::I) -> i32;
    /// Writes 16 lanes, each within ±127, as i8.
    unsafe fn store_i8(self, to: *mut i8, parts: [Self::I; MAX_PARTS]);

    // Integer dot products: each lane is 4 weights times the same 4 activations.

    /// Reads `4 · LANES` bytes.
    unsafe fn load_weights(self, from: *const u8) -> Self::Weights;
    /// The low and the high nibbles, each as unsigned bytes.
    fn nibbles(self, w: Self::Weights) -> (Self::Weights, Self::Weights);
    /// Adds to nibbles of column group `group` what the signs of int5 say of it.
    fn fifth_bit(self, nibbles: Self::Weights, signs: Self::Weights, group: usize)
    -> Self::Weights;
    /// Reads 16 bytes.
    unsafe fn load_levels(self, from: *const u8) -> Self::Levels;
    /// The levels that nibbles stand for.
    fn look_up(self, levels: Self::Levels, nibbles: Self::Weights) -> Self::Weights;
    /// Brings signed bytes into the form that multiplies.
    fn prepare_int8(self, w: Self::Weights) -> Self::WeightsInt8;
    /// Reads 32 activations, each within ±127; `correction`, which is taken off each of their dot
    /// products, is a multiple of 8 within ±32,512 = 8 · 127 · 32.
    unsafe fn load_activations_int4(
        self,
        from: *const i8,
        correction: i32,
    ) -> Self::ActivationsInt4;
    /// [`Simd::load_activations_int4`] for int5, whose `correction` is [`Simd::INT5_OFFSET`] times
    /// their sum.
    #[inline(always)]
    unsafe fn load_activations_int5(
        self,
        from: *const i8,
        correction: i32,
    ) -> Self::ActivationsInt4 {
        // SAFETY: as the caller promises.
        unsafe { self.load_activations_int4(from, correction) }
    }
    /// Reads 32 activations, each within ±127; `correction`, which is taken off each of their dot
    /// products, is a multiple of [`Simd::INT8_OFFSET`].
    unsafe fn load_activations_int8(
        self,
        from: *const i8,
        correction: i32,
    ) -> Self::ActivationsInt8;
    /// Packs two times 16 activations, each within 0 … 127.
    fn pack_activations_uint7(self, q: [[Self::I; MAX_PARTS]; 2]) -> Self::ActivationsUint7;

    /// The dot products of a block of nibbles with `T` tokens, for [`Simd::ROW_REGISTERS`]
    /// registers of rows from `first` on. `w` reads registers of weights. With
    /// activations for int5, weights have the values of [`Simd::fifth_bit`].
    fn dot_int4<const T: usize>(
        self,
        w: impl Lines<(Self::Weights, Self::Weights)>,
        a: [&Self::ActivationsInt4; T],
        first: usize,
    ) -> Dots<Self, T>;
    /// [`Simd::dot_int4`] of a block of int8.
    fn dot_int8<const T: usize>(
        self,
        w: impl Lines<Self::WeightsInt8>,
        a: [&Self::ActivationsInt8; T],
        first: usize,
    ) -> Dots<Self, T>;
    /// [`Simd::dot_int8`] of weights as they lie in memory, with activations that are not negative.
    fn dot_uint7<const T: usize>(
        self,
        w: impl Lines<Self::Weights>,
        a: [&Self::ActivationsUint7; T],
        first: usize,
    ) -> Dots<Self, T>;
}

/// An integer weight type: the methods of [`Simd`] that multiply it, and the contents of its blocks.
pub(crate) trait IntWeights {
    /// The type as files name it.
    const KIND: WeightType;
    /// Steps of a dot product: registers with a column group of every row, or two of them.
    const LINES: usize;
    /// True if a minimum is added for each unit of activation.
    const MINIMUM: bool;
    /// One step's register in the form that multiplies.
    type Line<S: Simd>: Copy;
    /// 32 activations in the form that multiplies.
    type Activations<S: Simd>: Copy;

    /// The number by which a stored value exceeds the weight; for int8, what the instruction adds.
    fn offset<S: Simd>() -> i32;
    /// Reads 32 activations, from whose dot products `correction` is taken off.
    ///
    /// # Safety
    /// 32 activations are there.
    unsafe fn load_activations<S: Simd>(
        s: S,
        q: *const i8,
        correction: i32,
    ) -> Self::Activations<S>;
    /// Reads a register of column group `group`, as bytes: signed, or with [`IntWeights::offset`].
    ///
    /// # Safety
    /// `block` points to a whole block.
    unsafe fn group<S: Simd>(s: S, block: Block, group: usize, part: usize) -> S::Weights;
    /// Reads a register of one step in the form that multiplies.
    ///
    /// # Safety
    /// `block` points to a whole block.
    unsafe fn line<S: Simd>(s: S, block: Block, line: usize, part: usize) -> Self::Line<S>;
    /// [`Simd::dot_int4`] or [`Simd::dot_int8`].
    fn dot<S: Simd, const T: usize>(
        s: S,
        lines: impl Lines<Self::Line<S>>,
        activations: [&Self::Activations<S>; T],
        first: usize,
    ) -> Dots<S, T>;
}

/// A packed block, where it lies.
#[derive(Clone, Copy)]
pub(crate) struct Block {
    /// Its first byte.
    pub at: *const u8,
    /// The 16 levels of its matrix; of types without them, bytes that nobody reads.
    pub levels: *const u8,
}

/// The registers of a block that multiply. (No closure: a compiler may leave that outside of the
/// code for an instruction set, where every instruction becomes a call.)
pub(crate) trait Lines<L>: Copy {
    /// A register of a line. Must be `#[inline(always)]`.
    fn line(self, line: usize, part: usize) -> L;
}

/// The inputs of a run of tokens, as pointers to the first of them.
#[derive(Clone, Copy)]
pub(crate) struct InputPointers {
    /// `(n, cols)`, rows `stride` apart
    pub x: *const f32,
    pub stride: usize,
    pub cols: usize,
    /// `(n, blocks · 32)`
    pub q: *const i8,
    /// `(n, blocks)`
    pub scale: *const f32,
    /// `(n, blocks)`
    pub sum: *const f32,
    pub blocks: usize,
}

/// A place in the inputs of token groups, and in the sums that their products are added to.
pub(crate) type Cursor<A> = (*const A, *mut f32);

/// A prefill kernel: blocks of weights, unpacked once, meet many tokens.
///
/// Tokens come in groups of [`PrefillKernel::INTERLEAVED`], and meet
/// [`PrefillKernel::ROW_REGISTERS`] registers of rows at a time.
pub(crate) trait PrefillKernel<S: Simd> {
    /// Tokens whose sums lie in the same registers, which are a group: 1, or 2 where an
    /// instruction multiplies by two at once.
    const INTERLEAVED: usize;
    /// Registers of rows that are unpacked together.
    const ROW_REGISTERS: usize;
    /// Token groups that [`PrefillKernel::add`] takes at once, 1, 2, 4 or 8; of those that are
    /// left, 1 … 4.
    const TOKEN_GROUPS: usize;
    /// The inputs of a token group to one block, in the form that multiplies several tiles.
    type Tokens: Copy;
    /// The weights of some rows of a block, in the form that multiplies many tokens.
    type Rows;

    /// Prepares the CPU: goes before all others, on the same thread.
    #[inline(always)]
    fn begin(_s: S) {}
    /// Undoes [`PrefillKernel::begin`].
    #[inline(always)]
    fn end(_s: S) {}

    /// Reads block `b` of the first [`PrefillKernel::INTERLEAVED`] of `tokens`.
    ///
    /// # Safety
    /// `inputs` has these tokens and this block, quantized if the weights want that.
    unsafe fn load_tokens(
        s: S,
        inputs: InputPointers,
        tokens: [usize; 2],
        b: usize,
    ) -> Self::Tokens;

    /// Unpacks the rows of [`PrefillKernel::ROW_REGISTERS`] registers from `first` on.
    ///
    /// # Safety
    /// `block` points to a whole block that outlives what is made of it.
    unsafe fn load_rows(s: S, block: Block, first: usize) -> Self::Rows;

    /// Adds the products with `G` token groups to their sums, and gives the place behind them.
    ///
    /// # Safety
    /// The block and the inputs that all this was made of are still there; the pointers are to
    /// `G` values and to `G` times `INTERLEAVED · ROW_REGISTERS` registers.
    unsafe fn add<const G: usize>(
        s: S,
        rows: &Self::Rows,
        at: Cursor<Self::Tokens>,
    ) -> Cursor<Self::Tokens>;

    /// Adds the products with some of `groups` token groups in a way that wants more of them than
    /// [`PrefillKernel::add`] takes, and gives the place behind them and how many are left.
    ///
    /// # Safety
    /// As of [`PrefillKernel::add`], of all the groups.
    #[inline(always)]
    unsafe fn add_many(
        _s: S,
        _rows: &Self::Rows,
        at: Cursor<Self::Tokens>,
        groups: usize,
    ) -> (Cursor<Self::Tokens>, usize) {
        (at, groups)
    }

    /// Parts the sums of each token group by tokens, when all blocks have been added.
    ///
    /// # Safety
    /// `sums` points to the sums of `groups` groups with [`TILE_ROWS`] rows.
    #[inline(always)]
    unsafe fn deinterleave(_s: S, _sums: *mut f32, _groups: usize) {}
}
