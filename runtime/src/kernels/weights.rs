//! What differs between weight types, and nothing else: how one block of a tile adds to
//! the accumulators of one token or several.
#![allow(unsafe_code, clippy::indexing_slicing)]
// Registers come in arrays that are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop)]

use core::marker::PhantomData;
use core::mem::MaybeUninit;

use super::simd::{MOST_PARTS, Simd};
use crate::layout::{BLOCK_COLS, GROUPS, INT4_ZERO, LINE, TILE_ROWS, WeightType};

/// The registers of 16 rows: the first [`Simd::PARTS`] are used.
pub(super) type Rows<S> = [<S as Simd>::F; MOST_PARTS];
/// The sums of 16 rows in memory, where they wait from block to block.
pub(super) type Sums = [f32; TILE_ROWS];

/// The inputs of a run of tokens, as pointers to the first of them.
#[derive(Clone, Copy)]
pub(super) struct Lines {
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

/// A weight type, as the kernels see it.
pub(super) trait Weights {
    const KIND: WeightType;
    /// The inputs of one token to one block, made ready for every tile.
    type Acts<S: Simd>: Copy;
    /// The weights of one block of a tile, made ready for many tokens.
    type Ready<S: Simd>;

    /// # Safety
    /// `lines` has this token and this block, quantized if the type wants that.
    unsafe fn acts<S: Simd>(s: S, lines: Lines, token: usize, b: usize) -> Self::Acts<S>;

    /// # Safety
    /// `block` points to a whole block that outlives what is made of it.
    unsafe fn ready<S: Simd>(s: S, block: *const u8) -> Self::Ready<S>;

    /// Adds the products with `T` tokens to their sums.
    ///
    /// # Safety
    /// The block and the inputs that all this was made of are still there.
    unsafe fn add<S: Simd, const T: usize>(
        s: S,
        ready: &Self::Ready<S>,
        acts: &[Self::Acts<S>; T],
        sums: &mut [Sums; T],
    );

    /// Adds the products with one token, straight from the packed block.
    ///
    /// # Safety
    /// `block` points to a whole block; the inputs are still there.
    unsafe fn add_one<S: Simd>(s: S, block: *const u8, acts: &Self::Acts<S>, acc: &mut Rows<S>);
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
    type Acts<S: Simd> = Columns;
    type Ready<S: Simd> = *const u8;

    #[inline(always)]
    unsafe fn acts<S: Simd>(_s: S, lines: Lines, token: usize, b: usize) -> Columns {
        let first = b * BLOCK_COLS;
        let x = lines.x.wrapping_add(token * lines.stride + first);
        Columns { x, len: BLOCK_COLS.min(lines.cols - first) }
    }

    #[inline(always)]
    unsafe fn ready<S: Simd>(_s: S, block: *const u8) -> *const u8 {
        block
    }

    #[inline(always)]
    unsafe fn add<S: Simd, const T: usize>(
        s: S,
        block: &*const u8,
        acts: &[Columns; T],
        sums: &mut [Sums; T],
    ) {
        let mut acc = [[s.splat(0.0); MOST_PARTS]; T];
        for t in 0..T {
            acc[t] = load(s, &sums[t]);
        }
        // SAFETY: as the caller promises. All tokens have as many columns.
        unsafe { add_floats(s, *block, acts, &mut acc) };
        for t in 0..T {
            store(s, &mut sums[t], acc[t]);
        }
    }

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

#[inline(always)]
pub(super) fn load<S: Simd>(s: S, sums: &Sums) -> Rows<S> {
    let mut rows = [s.splat(0.0); MOST_PARTS];
    for part in 0..S::PARTS {
        // SAFETY: `PARTS · LANES` is 16.
        rows[part] = unsafe { s.load(sums.as_ptr().add(part * S::LANES)) };
    }
    rows
}

#[inline(always)]
fn store<S: Simd>(s: S, sums: &mut Sums, rows: Rows<S>) {
    for part in 0..S::PARTS {
        // SAFETY: `PARTS · LANES` is 16.
        unsafe { s.store(sums.as_mut_ptr().add(part * S::LANES), rows[part]) };
    }
}

/// An integer weight type: the registers of its dot products.
pub(super) trait Quants {
    const KIND: WeightType;
    /// Lines of a block: registers with a column group of every row, or two of them.
    const LINES: usize;
    /// Whether a minimum is added for each unit of activation.
    const MINIMUM: bool;
    /// One register of a line, made ready.
    type Line<S: Simd>: Copy;
    /// 32 activations, made ready.
    type Acts<S: Simd>: Copy;

    /// What a stored value exceeds the weight by; for int8, what the instruction adds.
    fn offset<S: Simd>() -> i32;
    /// # Safety
    /// 32 activations are there.
    unsafe fn acts<S: Simd>(s: S, q: *const i8, less: i32) -> Self::Acts<S>;
    fn line<S: Simd>(s: S, packed: S::W) -> Self::Line<S>;
    /// [`Simd::dots4`] or [`Simd::dots8`].
    fn dots<S: Simd, const T: usize>(
        s: S,
        lines: impl Fn(usize, usize) -> Self::Line<S>,
        acts: [&Self::Acts<S>; T],
        first: usize,
    ) -> [[S::I; MOST_PARTS]; T];
}

pub(super) struct Int8;

impl Quants for Int8 {
    const KIND: WeightType = WeightType::Int8;
    const LINES: usize = GROUPS;
    const MINIMUM: bool = false;
    type Line<S: Simd> = S::W8;
    type Acts<S: Simd> = S::A8;

    #[inline(always)]
    fn offset<S: Simd>() -> i32 {
        S::I8_OFFSET
    }
    #[inline(always)]
    unsafe fn acts<S: Simd>(s: S, q: *const i8, less: i32) -> S::A8 {
        // SAFETY: as the caller promises.
        unsafe { s.acts8(q, less) }
    }
    #[inline(always)]
    fn line<S: Simd>(s: S, packed: S::W) -> S::W8 {
        s.ready_i8(packed)
    }
    #[inline(always)]
    fn dots<S: Simd, const T: usize>(
        s: S,
        lines: impl Fn(usize, usize) -> S::W8,
        acts: [&S::A8; T],
        first: usize,
    ) -> [[S::I; MOST_PARTS]; T] {
        s.dots8(lines, acts, first)
    }
}

/// Nibbles, with or without minima instead of an offset.
pub(super) struct Nibbles<const MINIMUM: bool>;

pub(super) type Int4 = Nibbles<false>;
pub(super) type Int4a = Nibbles<true>;

impl<const MINIMUM: bool> Quants for Nibbles<MINIMUM> {
    const KIND: WeightType = if MINIMUM { WeightType::Int4a } else { WeightType::Int4 };
    const LINES: usize = GROUPS / 2;
    const MINIMUM: bool = MINIMUM;
    type Line<S: Simd> = (S::W, S::W);
    type Acts<S: Simd> = S::A4;

    #[inline(always)]
    fn offset<S: Simd>() -> i32 {
        if MINIMUM { 0 } else { INT4_ZERO.into() }
    }
    #[inline(always)]
    unsafe fn acts<S: Simd>(s: S, q: *const i8, less: i32) -> S::A4 {
        // SAFETY: as the caller promises.
        unsafe { s.acts4(q, less) }
    }
    #[inline(always)]
    fn line<S: Simd>(s: S, packed: S::W) -> (S::W, S::W) {
        s.nibbles(packed)
    }
    #[inline(always)]
    fn dots<S: Simd, const T: usize>(
        s: S,
        lines: impl Fn(usize, usize) -> (S::W, S::W),
        acts: [&S::A4; T],
        first: usize,
    ) -> [[S::I; MOST_PARTS]; T] {
        s.dots4(lines, acts, first)
    }
}

/// Integer weights: an exact dot product a block, then one fma (two with a minimum).
pub(super) struct Packed<Q>(PhantomData<Q>);

/// Activations with their scale and sum.
#[derive(Clone, Copy)]
pub(super) struct Scaled<A> {
    acts: A,
    scale: f32,
    sum: f32,
}

/// The lines of a block and, in floats, its scales and minima.
pub(super) struct Unpacked<S: Simd, L> {
    lines: [MaybeUninit<L>; GROUPS * MOST_PARTS],
    scales: Rows<S>,
    minima: Rows<S>,
}

impl<Q: Quants> Weights for Packed<Q> {
    const KIND: WeightType = Q::KIND;
    type Acts<S: Simd> = Scaled<Q::Acts<S>>;
    type Ready<S: Simd> = Unpacked<S, Q::Line<S>>;

    #[inline(always)]
    unsafe fn acts<S: Simd>(s: S, lines: Lines, token: usize, b: usize) -> Self::Acts<S> {
        let at = token * lines.blocks + b;
        // SAFETY: token and block are there, as the caller promises.
        unsafe {
            let (scale, sum) = (*lines.scale.add(at), *lines.sum.add(at));
            // A sum of 32 quants lies within ±4,064.
            let less = Q::offset::<S>() * sum.to_int_unchecked::<i32>();
            Scaled { acts: Q::acts(s, lines.q.add(at * BLOCK_COLS), less), scale, sum }
        }
    }

    #[inline(always)]
    unsafe fn ready<S: Simd>(s: S, block: *const u8) -> Self::Ready<S> {
        let mut lines = [const { MaybeUninit::uninit() }; GROUPS * MOST_PARTS];
        // SAFETY: the lines, scales and minima of one block.
        unsafe {
            for line in 0..Q::LINES {
                for part in 0..S::PARTS {
                    lines[line * S::PARTS + part].write(packed_line::<S, Q>(s, block, line, part));
                }
            }
            let (scales, minima) = scales::<S, Q>(s, block);
            Unpacked { lines, scales, minima }
        }
    }

    #[inline(always)]
    unsafe fn add<S: Simd, const T: usize>(
        s: S,
        ready: &Self::Ready<S>,
        acts: &[Self::Acts<S>; T],
        sums: &mut [Sums; T],
    ) {
        // SAFETY: `ready` wrote every line.
        let line =
            |line: usize, part: usize| unsafe { ready.lines[line * S::PARTS + part].assume_init() };
        let mut quants = [&acts[0].acts; T];
        for t in 1..T {
            quants[t] = &acts[t].acts;
        }
        for first in (0..S::PARTS).step_by(S::TOGETHER) {
            let dots = Q::dots(s, line, quants, first);
            for t in 0..T {
                for part in 0..S::TOGETHER {
                    let scales = (ready.scales[first + part], ready.minima[first + part]);
                    let sums = sums[t].as_mut_ptr().wrapping_add((first + part) * S::LANES);
                    // SAFETY: `PARTS · LANES` is 16.
                    unsafe {
                        s.store(
                            sums,
                            scaled::<S, Q>(s, dots[t][part], &acts[t], scales, s.load(sums)),
                        );
                    }
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn add_one<S: Simd>(s: S, block: *const u8, acts: &Self::Acts<S>, acc: &mut Rows<S>) {
        // SAFETY: the lines, scales and minima of one block.
        unsafe {
            let line = |line, part| packed_line::<S, Q>(s, block, line, part);
            let (scales, minima) = scales::<S, Q>(s, block);
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

/// A register of a packed line, made ready.
///
/// # Safety
/// `quants` points to the quants of a block that has this line.
#[inline(always)]
pub(super) unsafe fn packed_line<S: Simd, Q: Quants>(
    s: S,
    quants: *const u8,
    line: usize,
    part: usize,
) -> Q::Line<S> {
    // SAFETY: `part` is one of the parts of 64 bytes.
    Q::line(s, unsafe { s.load_w(quants.add(line * LINE + part * 4 * S::LANES)) })
}

/// The scales of a block, and the minima where there are some.
///
/// # Safety
/// `block` points to a whole block.
#[inline(always)]
unsafe fn scales<S: Simd, Q: Quants>(s: S, block: *const u8) -> (Rows<S>, Rows<S>) {
    let mut all = ([s.splat(0.0); MOST_PARTS], [s.splat(0.0); MOST_PARTS]);
    for part in 0..S::PARTS {
        let row = part * S::LANES;
        // SAFETY: 16 scales, and as many minima where the type has them.
        unsafe {
            all.0[part] = s.load_f16(block.add(Q::KIND.quant_bytes() + 2 * row));
            if Q::MINIMUM {
                all.1[part] = s.load_f16(block.add(Q::KIND.minimum_offset() + 2 * row));
            }
        }
    }
    all
}

/// A register of sums after this block: its dot products with one token, scaled, and the
/// minima for each unit of activation.
#[inline(always)]
fn scaled<S: Simd, Q: Quants>(
    s: S,
    dots: S::I,
    acts: &Scaled<Q::Acts<S>>,
    (scales, minima): (S::F, S::F),
    sums: S::F,
) -> S::F {
    let scale = s.splat(acts.scale);
    let sums = s.fma(s.to_f(dots), s.mul(scales, scale), sums);
    if Q::MINIMUM { s.fma(s.splat(acts.sum), s.mul(minima, scale), sums) } else { sums }
}
