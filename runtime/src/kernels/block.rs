//! One block of weights, 16 rows × 32 columns, and the tokens that it meets.
//!
//! Integer weights are an exact dot product a block, then one fma a row (two with a minimum).
//! [`BlockWeights`] is what decode does with a block; [`PerToken`] is the prefill kernel of every
//! instruction set that multiplies by one token at a time.
#![allow(unsafe_code, clippy::indexing_slicing)]
// Registers come in arrays that are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop)]

use core::marker::PhantomData;
use core::mem::MaybeUninit;

use super::simd::{
    Block, Cursor, Dots, InputPointers, IntWeights, Lines, MAX_PARTS, PrefillKernel, Simd, Wide,
};
use crate::format::layout::{BLOCK_COLS, GROUPS, INT4_ZERO, LINE, SIGNS, WeightType};

/// A weight type, as the loops over tiles see it: how a block adds to the sums of one token, and
/// the kernel that does so for several.
pub(super) trait BlockWeights {
    /// The type as files name it.
    const KIND: WeightType;
    /// The inputs of one token to one block.
    type Token<S: Simd>: Copy;
    /// The kernel for several tokens.
    type Prefill<S: Simd>: PrefillKernel<S>;

    /// Reads the inputs of a token to block `b`.
    ///
    /// # Safety
    /// `inputs` has this token and this block, quantized if the type wants that.
    unsafe fn load_token<S: Simd>(
        s: S,
        inputs: InputPointers,
        token: usize,
        b: usize,
    ) -> Self::Token<S>;

    /// Adds the products with one token, straight from the packed block.
    ///
    /// # Safety
    /// `block` points to a whole block; the inputs are still there.
    unsafe fn add_block<S: Simd>(s: S, block: Block, token: &Self::Token<S>, acc: &mut Wide<S>);
}

impl<Q: IntWeights> BlockWeights for Q {
    const KIND: WeightType = Q::KIND;
    type Token<S: Simd> = ScaledActivations<Q::Activations<S>>;
    type Prefill<S: Simd> = S::Prefill<Q>;

    #[inline(always)]
    unsafe fn load_token<S: Simd>(
        s: S,
        inputs: InputPointers,
        token: usize,
        b: usize,
    ) -> Self::Token<S> {
        // SAFETY: as the caller promises.
        unsafe { ScaledActivations::load::<S, Q>(s, inputs, token, b) }
    }

    #[inline(always)]
    unsafe fn add_block<S: Simd>(s: S, block: Block, token: &Self::Token<S>, acc: &mut Wide<S>) {
        // SAFETY: the lines, scales and minima of one block.
        unsafe {
            let lines = PackedLines::<S, Q>::new(s, block);
            for first in (0..S::PARTS).step_by(S::ROW_REGISTERS) {
                let [dots] = Q::dot(s, lines, [&token.activations], first);
                // Read last, as they lie: memory is fastest in its order.
                let (scales, minima) = scales::<S, Q>(s, block, first, S::ROW_REGISTERS);
                for part in 0..S::ROW_REGISTERS {
                    let row = first + part;
                    let scales = (scales[part], minima[part]);
                    let token = (token.scale, token.sum);
                    acc[row] = add_scaled::<S, Q>(s, dots[part], token, scales, acc[row]);
                }
            }
        }
    }
}

/// Weights that multiply as signed bytes: bytes themselves, or nibbles that stand for levels of their
/// matrix.
pub(crate) struct Bytes<const LEVELS: bool>;

/// Bytes.
pub(crate) type Int8 = Bytes<false>;
/// Nibbles that stand for levels.
pub(crate) type Int4n = Bytes<true>;

impl<const LEVELS: bool> IntWeights for Bytes<LEVELS> {
    const KIND: WeightType = if LEVELS { WeightType::Int4n } else { WeightType::Int8 };
    const LINES: usize = GROUPS;
    const MINIMUM: bool = false;
    type Line<S: Simd> = S::WeightsInt8;
    type Activations<S: Simd> = S::ActivationsInt8;

    #[inline(always)]
    fn offset<S: Simd>() -> i32 {
        S::INT8_OFFSET
    }
    #[inline(always)]
    unsafe fn load_activations<S: Simd>(s: S, q: *const i8, correction: i32) -> S::ActivationsInt8 {
        // SAFETY: as the caller promises.
        unsafe { s.load_activations_int8(q, correction) }
    }
    #[inline(always)]
    unsafe fn group<S: Simd>(s: S, block: Block, group: usize, part: usize) -> S::Weights {
        if !LEVELS {
            // SAFETY: a block of bytes has a line for each group.
            return unsafe { packed(s, block, group, part) };
        }
        // SAFETY: a block of this type has nibbles, and its matrix 16 levels.
        unsafe { s.look_up(s.load_levels(block.levels), nibbles(s, block, group, part)) }
    }
    #[inline(always)]
    unsafe fn line<S: Simd>(s: S, block: Block, line: usize, part: usize) -> S::WeightsInt8 {
        // SAFETY: as the caller promises.
        s.prepare_int8(unsafe { Self::group(s, block, line, part) })
    }
    #[inline(always)]
    fn dot<S: Simd, const T: usize>(
        s: S,
        lines: impl Lines<S::WeightsInt8>,
        activations: [&S::ActivationsInt8; T],
        first: usize,
    ) -> Dots<S, T> {
        s.dot_int8(lines, activations, first)
    }
}

/// Nibbles, with minima instead of an offset, or with signs, or with neither.
pub(crate) struct Nibbles<const MINIMUM: bool, const SIGNED: bool>;

/// Nibbles less 8.
pub(crate) type Int4 = Nibbles<false, false>;
/// Nibbles and a minimum.
pub(crate) type Int4a = Nibbles<true, false>;
/// Nibbles and signs.
pub(crate) type Int5 = Nibbles<false, true>;

impl<const MINIMUM: bool, const SIGNED: bool> IntWeights for Nibbles<MINIMUM, SIGNED> {
    const KIND: WeightType = match (MINIMUM, SIGNED) {
        (true, _) => WeightType::Int4a,
        (false, true) => WeightType::Int5,
        (false, false) => WeightType::Int4,
    };
    const LINES: usize = GROUPS / 2;
    const MINIMUM: bool = MINIMUM;
    type Line<S: Simd> = (S::Weights, S::Weights);
    type Activations<S: Simd> = S::ActivationsInt4;

    #[inline(always)]
    fn offset<S: Simd>() -> i32 {
        match (MINIMUM, SIGNED) {
            (true, _) => 0,
            (false, true) => S::INT5_OFFSET,
            (false, false) => INT4_ZERO.into(),
        }
    }
    #[inline(always)]
    unsafe fn load_activations<S: Simd>(s: S, q: *const i8, correction: i32) -> S::ActivationsInt4 {
        // SAFETY: as the caller promises.
        unsafe {
            if SIGNED {
                s.load_activations_int5(q, correction)
            } else {
                s.load_activations_int4(q, correction)
            }
        }
    }
    #[inline(always)]
    unsafe fn group<S: Simd>(s: S, block: Block, group: usize, part: usize) -> S::Weights {
        // SAFETY: a block of these types has nibbles.
        let nibbles = unsafe { nibbles(s, block, group, part) };
        if !SIGNED {
            return nibbles;
        }
        // SAFETY: a block of this type has a line of signs.
        s.fifth_bit(nibbles, unsafe { packed(s, block, SIGNS / LINE, part) }, group)
    }
    #[inline(always)]
    unsafe fn line<S: Simd>(
        s: S,
        block: Block,
        line: usize,
        part: usize,
    ) -> (S::Weights, S::Weights) {
        // SAFETY: as the caller promises.
        unsafe {
            (Self::group(s, block, line, part), Self::group(s, block, line + GROUPS / 2, part))
        }
    }
    #[inline(always)]
    fn dot<S: Simd, const T: usize>(
        s: S,
        lines: impl Lines<(S::Weights, S::Weights)>,
        activations: [&S::ActivationsInt4; T],
        first: usize,
    ) -> Dots<S, T> {
        s.dot_int4(lines, activations, first)
    }
}

/// The lines of a block as they are packed.
pub(super) struct PackedLines<S, Q> {
    s: S,
    block: Block,
    weights: PhantomData<Q>,
}

impl<S: Simd, Q> PackedLines<S, Q> {
    /// Those of `block`.
    ///
    /// # Safety
    /// `block` is a whole one, and is still there when a line is read.
    #[inline(always)]
    pub(super) unsafe fn new(s: S, block: Block) -> Self {
        Self { s, block, weights: PhantomData }
    }
}

impl<S: Simd, Q> Clone for PackedLines<S, Q> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: Simd, Q> Copy for PackedLines<S, Q> {}

impl<S: Simd, Q: IntWeights> Lines<Q::Line<S>> for PackedLines<S, Q> {
    #[inline(always)]
    fn line(self, line: usize, part: usize) -> Q::Line<S> {
        // SAFETY: as was promised to `new`.
        unsafe { Q::line(self.s, self.block, line, part) }
    }
}

/// Reads a register of a line as it is packed.
///
/// # Safety
/// The block has this line.
#[inline(always)]
pub(super) unsafe fn packed<S: Simd>(s: S, block: Block, line: usize, part: usize) -> S::Weights {
    // SAFETY: `part` is one of the parts of 64 bytes.
    unsafe { s.load_weights(block.at.add(line * LINE + part * 4 * S::LANES)) }
}

/// Reads a register of the nibbles of a column group.
///
/// # Safety
/// The block has nibbles.
#[inline(always)]
unsafe fn nibbles<S: Simd>(s: S, block: Block, group: usize, part: usize) -> S::Weights {
    // SAFETY: as the caller promises.
    let (low, high) = s.nibbles(unsafe { packed(s, block, group % (GROUPS / 2), part) });
    if group < GROUPS / 2 { low } else { high }
}

/// Reads the scales of `n` registers of rows from `first` on, and the minima where there are some.
///
/// # Safety
/// `block` points to a whole block, which has these registers.
#[inline(always)]
pub(super) unsafe fn scales<S: Simd, Q: IntWeights>(
    s: S,
    block: Block,
    first: usize,
    n: usize,
) -> (Wide<S>, Wide<S>) {
    let mut all = ([s.splat(0.0); MAX_PARTS], [s.splat(0.0); MAX_PARTS]);
    for part in 0..n {
        let row = (first + part) * S::LANES;
        // SAFETY: 16 scales, and as many minima where the type has them.
        unsafe {
            all.0[part] = s.load_f16(block.at.add(Q::KIND.quant_bytes() + 2 * row));
            if Q::MINIMUM {
                all.1[part] = s.load_f16(block.at.add(Q::KIND.minimum_offset() + 2 * row));
            }
        }
    }
    all
}

/// Activations of one token to one block, with their scale and sum.
#[derive(Clone, Copy)]
pub(crate) struct ScaledActivations<A> {
    activations: A,
    scale: f32,
    sum: f32,
}

impl<A> ScaledActivations<A> {
    /// Reads those of one token, for one block.
    ///
    /// # Safety
    /// Token and block are there.
    #[inline(always)]
    unsafe fn load<S: Simd, Q: IntWeights<Activations<S> = A>>(
        s: S,
        inputs: InputPointers,
        token: usize,
        b: usize,
    ) -> Self {
        let at = token * inputs.blocks + b;
        // SAFETY: as the caller promises.
        unsafe {
            let (scale, sum) = (*inputs.scale.add(at), *inputs.sum.add(at));
            Self::new::<S, Q>(s, inputs.q.add(at * BLOCK_COLS), scale, sum)
        }
    }

    /// Reads activations whose scale and sum are known.
    ///
    /// # Safety
    /// 32 activations are at `q`, and this is their sum.
    #[inline(always)]
    pub(super) unsafe fn new<S: Simd, Q: IntWeights<Activations<S> = A>>(
        s: S,
        q: *const i8,
        scale: f32,
        sum: f32,
    ) -> Self {
        // A sum of 32 quants lies within ±4,064; of anything else, anything may come.
        let correction = Q::offset::<S>().wrapping_mul(s.truncate(sum));
        // SAFETY: as the caller promises.
        unsafe {
            let activations = Q::load_activations(s, q, correction);
            Self { activations, scale, sum }
        }
    }
}

/// Adds to a register of sums its dot products with one token, scaled, and the minima for each
/// unit of activation.
#[inline(always)]
pub(super) fn add_scaled<S: Simd, Q: IntWeights>(
    s: S,
    dots: S::I,
    (scale, sum): (f32, f32),
    (scales, minima): (S::F, S::F),
    sums: S::F,
) -> S::F {
    let scale = s.splat(scale);
    let sums = s.fma(s.to_f(dots), s.mul(scales, scale), sums);
    if Q::MINIMUM { s.fma(s.splat(sum), s.mul(minima, scale), sums) } else { sums }
}

/// The prefill kernel that takes one token after the other.
pub(crate) struct PerToken<Q>(PhantomData<Q>);

/// The lines of some rows of a block and, in floats, its scales and minima.
pub(crate) struct UnpackedRows<S: Simd, L> {
    lines: [MaybeUninit<L>; GROUPS * MAX_PARTS],
    scales: Wide<S>,
    minima: Wide<S>,
}

impl<S: Simd, L: Copy> Lines<L> for &UnpackedRows<S, L> {
    #[inline(always)]
    fn line(self, line: usize, part: usize) -> L {
        // SAFETY: `load_rows` wrote every line.
        unsafe { self.lines[line * S::ROW_REGISTERS + part].assume_init() }
    }
}

impl<S: Simd, Q: IntWeights> PrefillKernel<S> for PerToken<Q> {
    const INTERLEAVED: usize = 1;
    const ROW_REGISTERS: usize = S::ROW_REGISTERS;
    const TOKEN_GROUPS: usize = S::PREFILL_TOKENS;
    type Tokens = ScaledActivations<Q::Activations<S>>;
    type Rows = UnpackedRows<S, Q::Line<S>>;

    #[inline(always)]
    unsafe fn load_tokens(
        s: S,
        inputs: InputPointers,
        tokens: [usize; 2],
        b: usize,
    ) -> Self::Tokens {
        // SAFETY: as the caller promises.
        unsafe { ScaledActivations::load::<S, Q>(s, inputs, tokens[0], b) }
    }

    #[inline(always)]
    unsafe fn load_rows(s: S, block: Block, first: usize) -> Self::Rows {
        let mut lines = [const { MaybeUninit::uninit() }; GROUPS * MAX_PARTS];
        // SAFETY: the lines, scales and minima of one block.
        unsafe {
            for line in 0..Q::LINES {
                for part in 0..S::ROW_REGISTERS {
                    let packed = Q::line(s, block, line, first + part);
                    lines[line * S::ROW_REGISTERS + part].write(packed);
                }
            }
            let (scales, minima) = scales::<S, Q>(s, block, first, S::ROW_REGISTERS);
            UnpackedRows { lines, scales, minima }
        }
    }

    #[inline(always)]
    unsafe fn add<const G: usize>(
        s: S,
        rows: &Self::Rows,
        (from, sums): Cursor<Self::Tokens>,
    ) -> Cursor<Self::Tokens> {
        // SAFETY: as many activations, as the caller promises.
        let tokens = unsafe { &*from.cast::<[Self::Tokens; G]>() };
        let mut activations = [&tokens[0].activations; G];
        for t in 1..G {
            activations[t] = &tokens[t].activations;
        }
        let dots = Q::dot(s, rows, activations, 0);
        for t in 0..G {
            for part in 0..S::ROW_REGISTERS {
                let scales = (rows.scales[part], rows.minima[part]);
                let sums = sums.wrapping_add((t * S::ROW_REGISTERS + part) * S::LANES);
                // SAFETY: as many sums, as the caller promises.
                unsafe {
                    let before = s.load(sums);
                    let token = (tokens[t].scale, tokens[t].sum);
                    s.store(sums, add_scaled::<S, Q>(s, dots[t][part], token, scales, before));
                }
            }
        }
        (from.wrapping_add(G), sums.wrapping_add(G * S::ROW_REGISTERS * S::LANES))
    }
}
