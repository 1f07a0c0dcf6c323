//! What differs between weight types, and nothing else: how one block of a tile adds to
//! the accumulators of one token or several.
#![allow(unsafe_code, clippy::indexing_slicing)]
// Registers come in arrays that are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop)]

use core::marker::PhantomData;

use super::quants::{Quants, packed_line, scales};
use super::several::{Scaled, Several, scaled};
use super::simd::{MOST_PARTS, Simd};
use crate::format::layout::{BLOCK_COLS, TILE_ROWS, WeightType};

/// The registers of 16 rows: the first [`Simd::PARTS`] are used.
pub(super) type Rows<S> = [<S as Simd>::F; MOST_PARTS];

/// The inputs of a run of tokens, as pointers to the first of them.
#[derive(Clone, Copy)]
pub(crate) struct Lines {
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

/// Activations, and the sums that their products are added to.
pub(crate) type At<A> = (*const A, *mut f32);

/// A weight type, as the kernels see it.
///
/// Several tokens come in groups of [`Weights::woven`], and meet [`Weights::together`]
/// registers of rows at a time.
pub(super) trait Weights {
    const KIND: WeightType;
    /// The inputs of one token to one block.
    type One<S: Simd>: Copy;
    /// The inputs of a group of tokens to one block, made ready for several tiles.
    type Acts<S: Simd>: Copy;
    /// The weights of some rows of a block, made ready for many tokens.
    type Ready<S: Simd>;

    /// Tokens whose sums lie in the same registers.
    fn woven<S: Simd>() -> usize;
    /// Registers of rows that are made ready together.
    fn together<S: Simd>() -> usize;
    /// Groups that [`Weights::add`] takes at once, 1, 2, 4 or 8; of those that are left, 1 … 4.
    fn at_once<S: Simd>() -> usize;

    /// # Safety
    /// `lines` has this token and this block, quantized if the type wants that.
    unsafe fn one<S: Simd>(s: S, lines: Lines, token: usize, b: usize) -> Self::One<S>;

    /// The first [`Weights::woven`] of `tokens`.
    ///
    /// # Safety
    /// As of [`Weights::one`], for each of them.
    unsafe fn acts<S: Simd>(s: S, lines: Lines, tokens: [usize; 2], b: usize) -> Self::Acts<S>;

    /// The rows of [`Weights::together`] registers from `first` on.
    ///
    /// # Safety
    /// `block` points to a whole block that outlives what is made of it.
    unsafe fn ready<S: Simd>(s: S, block: *const u8, first: usize) -> Self::Ready<S>;

    /// Adds the products with `T` groups of tokens to their sums, and gives those that follow.
    ///
    /// # Safety
    /// The block and the inputs that all this was made of are still there; the pointers are to
    /// `T` values and to `T` times `woven · together` registers.
    unsafe fn add<S: Simd, const T: usize>(
        s: S,
        ready: &Self::Ready<S>,
        at: At<Self::Acts<S>>,
    ) -> At<Self::Acts<S>>;

    /// Adds the products with some of `groups` groups in a way that wants more of them than
    /// [`Weights::add`] takes, and gives those that follow and how many are left.
    ///
    /// # Safety
    /// As of [`Weights::add`], of all the groups.
    #[inline(always)]
    unsafe fn add_many<S: Simd>(
        _s: S,
        _ready: &Self::Ready<S>,
        at: At<Self::Acts<S>>,
        groups: usize,
    ) -> (At<Self::Acts<S>>, usize) {
        (at, groups)
    }

    /// Parts the sums of each group by tokens.
    ///
    /// # Safety
    /// `sums` points to the sums of `groups` groups with [`TILE_ROWS`] rows.
    unsafe fn unweave<S: Simd>(s: S, sums: *mut f32, groups: usize);

    /// Adds the products with one token, straight from the packed block.
    ///
    /// # Safety
    /// `block` points to a whole block; the inputs are still there.
    unsafe fn add_one<S: Simd>(s: S, block: *const u8, acts: &Self::One<S>, acc: &mut Rows<S>);
}

/// f32 weights: a chain of fma over the columns.
pub(super) struct Floats;

/// Columns from `x` on.
#[derive(Clone, Copy)]
pub(super) struct Columns {
    x: *const f32,
    len: usize,
}

impl Weights for Floats {
    const KIND: WeightType = WeightType::F32;
    type One<S: Simd> = Columns;
    type Acts<S: Simd> = Columns;
    type Ready<S: Simd> = *const u8;

    #[inline(always)]
    fn woven<S: Simd>() -> usize {
        1
    }
    #[inline(always)]
    fn together<S: Simd>() -> usize {
        S::PARTS
    }
    #[inline(always)]
    fn at_once<S: Simd>() -> usize {
        S::MATMUL_TOKENS
    }

    #[inline(always)]
    unsafe fn one<S: Simd>(_s: S, lines: Lines, token: usize, b: usize) -> Columns {
        let first = b * BLOCK_COLS;
        let x = lines.x.wrapping_add(token * lines.stride + first);
        Columns { x, len: BLOCK_COLS.min(lines.cols - first) }
    }
    #[inline(always)]
    unsafe fn acts<S: Simd>(s: S, lines: Lines, tokens: [usize; 2], b: usize) -> Columns {
        // SAFETY: as the caller promises.
        unsafe { Self::one(s, lines, tokens[0], b) }
    }

    #[inline(always)]
    unsafe fn ready<S: Simd>(_s: S, block: *const u8, _first: usize) -> *const u8 {
        block
    }

    #[inline(always)]
    unsafe fn add<S: Simd, const T: usize>(
        s: S,
        block: &*const u8,
        (from, sums): At<Columns>,
    ) -> At<Columns> {
        // SAFETY: as many activations, as the caller promises.
        let acts = unsafe { &*from.cast::<[Columns; T]>() };
        let mut acc = [[s.splat(0.0); MOST_PARTS]; T];
        let at = |t: usize, part: usize| sums.wrapping_add(t * TILE_ROWS + part * S::LANES);
        for t in 0..T {
            for part in 0..S::PARTS {
                // SAFETY: `T` times 16 sums, as the caller promises.
                acc[t][part] = unsafe { s.load(at(t, part)) };
            }
        }
        // SAFETY: as the caller promises. All tokens have as many columns.
        unsafe { add_floats(s, *block, acts, &mut acc) };
        for t in 0..T {
            for part in 0..S::PARTS {
                // SAFETY: as above.
                unsafe { s.store(at(t, part), acc[t][part]) };
            }
        }
        (from.wrapping_add(T), sums.wrapping_add(T * TILE_ROWS))
    }

    #[inline(always)]
    unsafe fn unweave<S: Simd>(_s: S, _sums: *mut f32, _groups: usize) {}

    #[inline(always)]
    unsafe fn add_one<S: Simd>(s: S, block: *const u8, acts: &Columns, acc: &mut Rows<S>) {
        let mut one = [*acc];
        // SAFETY: as the caller promises.
        unsafe { add_floats(s, block, &[*acts], &mut one) };
        [*acc] = one;
    }
}

/// # Safety
/// `block` points to a whole block; every token has the columns of the first.
#[inline(always)]
unsafe fn add_floats<S: Simd, const T: usize>(
    s: S,
    block: *const u8,
    acts: &[Columns; T],
    acc: &mut [Rows<S>; T],
) {
    for c in 0..acts[0].len {
        for part in 0..S::PARTS {
            // SAFETY: column `c` of 32 in the block, and of the `T` tokens.
            unsafe {
                let w = s.load(block.cast::<f32>().add(c * TILE_ROWS + part * S::LANES));
                for t in 0..T {
                    acc[t][part] = s.fma(w, s.splat(*acts[t].x.add(c)), acc[t][part]);
                }
            }
        }
    }
}

/// Integer weights: an exact dot product a block, then one fma (two with a minimum).
pub(super) struct Packed<Q>(PhantomData<Q>);

impl<Q: Quants> Weights for Packed<Q> {
    const KIND: WeightType = Q::KIND;
    type One<S: Simd> = Scaled<Q::Acts<S>>;
    type Acts<S: Simd> = <S::Several as Several<S>>::Acts<Q>;
    type Ready<S: Simd> = <S::Several as Several<S>>::Ready<Q>;

    #[inline(always)]
    fn woven<S: Simd>() -> usize {
        S::Several::WOVEN
    }
    #[inline(always)]
    fn together<S: Simd>() -> usize {
        S::Several::TOGETHER
    }
    #[inline(always)]
    fn at_once<S: Simd>() -> usize {
        S::Several::AT_ONCE
    }

    #[inline(always)]
    unsafe fn one<S: Simd>(s: S, lines: Lines, token: usize, b: usize) -> Self::One<S> {
        // SAFETY: as the caller promises.
        unsafe { Scaled::one::<S, Q>(s, lines, token, b) }
    }
    #[inline(always)]
    unsafe fn acts<S: Simd>(s: S, lines: Lines, tokens: [usize; 2], b: usize) -> Self::Acts<S> {
        // SAFETY: as the caller promises.
        unsafe { S::Several::acts::<Q>(s, lines, tokens, b) }
    }
    #[inline(always)]
    unsafe fn ready<S: Simd>(s: S, block: *const u8, first: usize) -> Self::Ready<S> {
        // SAFETY: as the caller promises.
        unsafe { S::Several::ready::<Q>(s, block, first) }
    }
    #[inline(always)]
    unsafe fn add<S: Simd, const T: usize>(
        s: S,
        ready: &Self::Ready<S>,
        at: At<Self::Acts<S>>,
    ) -> At<Self::Acts<S>> {
        // SAFETY: as the caller promises.
        unsafe { S::Several::add::<Q, T>(s, ready, at) }
    }
    #[inline(always)]
    unsafe fn add_many<S: Simd>(
        s: S,
        ready: &Self::Ready<S>,
        at: At<Self::Acts<S>>,
        groups: usize,
    ) -> (At<Self::Acts<S>>, usize) {
        // SAFETY: as the caller promises.
        unsafe { S::Several::add_many::<Q>(s, ready, at, groups) }
    }
    #[inline(always)]
    unsafe fn unweave<S: Simd>(s: S, sums: *mut f32, groups: usize) {
        // SAFETY: as the caller promises.
        unsafe { S::Several::unweave(s, sums, groups) }
    }

    #[inline(always)]
    unsafe fn add_one<S: Simd>(s: S, block: *const u8, acts: &Self::One<S>, acc: &mut Rows<S>) {
        // SAFETY: the lines, scales and minima of one block.
        unsafe {
            let line = |line, part| packed_line::<S, Q>(s, block, line, part);
            let (scales, minima) = scales::<S, Q>(s, block, 0, S::PARTS);
            for first in (0..S::PARTS).step_by(S::TOGETHER) {
                let [dots] = Q::dots(s, line, [&acts.acts], first);
                for part in 0..S::TOGETHER {
                    let row = first + part;
                    let scales = (scales[row], minima[row]);
                    acc[row] = scaled::<S, Q>(s, dots[part], acts, scales, acc[row]);
                }
            }
        }
    }
}
