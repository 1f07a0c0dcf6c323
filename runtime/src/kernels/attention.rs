//! Attention over tiles of cached keys and values of one kv head.
//!
//! A softmax that runs along the tiles: each query keeps its largest score, the sum of
//! exponentials and the weighted values, rescaled when a larger score appears. Several
//! queries (the heads of a group, and in prefill several tokens) share every load of a
//! key or value; what a query computes does not depend on which others it shares with.
//!
//! A key that a query does not see is skipped, never multiplied by zero: what lies in
//! its slot may be anything.
#![allow(unsafe_code, clippy::indexing_slicing)]
// Registers come in arrays that are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop)]

use core::marker::PhantomData;
use core::ops::Range;

use super::acts::quantize_run;
use super::isa::{Isa, Op};
use super::simd::{MOST_PARTS, Simd};
use super::vector::{exp, load_some, store_some};
use super::weights::{Int8, Parts, Quants, dots};
use crate::kv::{HEAD_ALIGN, KvType, TILE_KEYS, int8_key_offset};
use crate::layout::{BLOCK_COLS, GROUPS, LINE, TILE_ROWS};

/// Dimensions of a head as cached.
pub(crate) const fn padded(head_dim: usize) -> usize {
    head_dim.next_multiple_of(HEAD_ALIGN)
}

/// A contiguous run of tiles of one kv head.
#[derive(Clone, Copy, Debug)]
pub struct Kv<'a> {
    /// How they are stored.
    pub kind: KvType,
    /// Dimensions of the head, before padding.
    pub head_dim: usize,
    /// `(tiles, 32 · padded dims)` values of the kind, laid out as [`crate::kv`] says
    pub keys: &'a [u8],
    /// `(tiles, 32, padded dims)` values of the kind
    pub values: &'a [u8],
    /// `(tiles, 32)`, of int8 alone
    pub key_scales: &'a [f32],
    /// `(tiles, 32)`, of int8 alone
    pub value_scales: &'a [f32],
}

/// A contiguous run of tiles of one kv head, to be written.
#[derive(Debug)]
pub struct KvMut<'a> {
    /// How they are stored.
    pub kind: KvType,
    /// Dimensions of the head, before padding.
    pub head_dim: usize,
    /// As [`Kv::keys`]
    pub keys: &'a mut [u8],
    /// As [`Kv::values`]
    pub values: &'a mut [u8],
    /// As [`Kv::key_scales`]
    pub key_scales: &'a mut [f32],
    /// As [`Kv::value_scales`]
    pub value_scales: &'a mut [f32],
}

impl KvMut<'_> {
    /// Writes a token's key and value `(head_dim)` each, the key already rotated, to
    /// `slot` of the run.
    ///
    /// # Panics
    /// If there is no such slot, or a slice has another length.
    pub fn write(&mut self, isa: Isa, slot: usize, key: &[f32], value: &[f32]) {
        assert!(key.len() == self.head_dim && value.len() == self.head_dim);
        isa.run(Write { kv: self, slot, key, value });
    }
}

struct Write<'a, 'k> {
    kv: &'a mut KvMut<'k>,
    slot: usize,
    key: &'a [f32],
    value: &'a [f32],
}

/// The most dimensions a head may have: a row of it fits a buffer on the stack.
pub(crate) const MOST_HEAD_DIM: usize = 512;

impl Op for Write<'_, '_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { kv, slot, key, value } = self;
        let dims = padded(kv.head_dim);
        let row = dims * kv.kind.bytes();
        let at = slot * row..(slot + 1) * row;
        match kv.kind {
            KvType::Int8 => {
                let mut quants = [0_i8; MOST_HEAD_DIM];
                let quants = &mut quants[..dims];
                (kv.value_scales[slot], _) = quantize_run(s, value, quants);
                for (to, q) in kv.values[at].iter_mut().zip(&*quants) {
                    *to = q.cast_unsigned();
                }
                (kv.key_scales[slot], _) = quantize_run(s, key, quants);
                let tile = slot / TILE_KEYS * TILE_KEYS * row;
                let tile = &mut kv.keys[tile..tile + TILE_KEYS * row];
                for (group, q) in quants.chunks_exact(4).enumerate() {
                    let to = int8_key_offset(dims, slot % TILE_KEYS, 4 * group);
                    for (to, q) in tile[to..to + 4].iter_mut().zip(q) {
                        *to = q.cast_unsigned();
                    }
                }
            }
            KvType::F16 => {
                store_halves(s, &mut kv.keys[at.clone()], key);
                store_halves(s, &mut kv.values[at], value);
            }
            KvType::F32 => {
                store_floats(&mut kv.keys[at.clone()], key);
                store_floats(&mut kv.values[at], value);
            }
        }
    }
}

/// Writes `from` as f16, zeros behind it.
#[inline(always)]
fn store_halves<S: Simd>(s: S, to: &mut [u8], from: &[f32]) {
    for (i, to) in to.chunks_exact_mut(2 * S::LANES).enumerate() {
        let v = load_some(s, from.get(i * S::LANES..).unwrap_or(&[]));
        // SAFETY: the chunk holds `LANES` halves.
        unsafe { s.store_f16(to.as_mut_ptr(), v) };
    }
}

/// Writes `from`, zeros behind it.
#[inline(always)]
fn store_floats(to: &mut [u8], from: &[f32]) {
    let values = from.iter().copied().chain(core::iter::repeat(0.0));
    for (to, v) in to.chunks_exact_mut(4).zip(values) {
        to.copy_from_slice(&v.to_le_bytes());
    }
}

/// The queries of one kv head: those of its group's heads, for one token or several.
#[derive(Clone, Copy, Debug)]
pub struct Queries<'a> {
    kind: KvType,
    head_dim: usize,
    n: usize,
    /// `(n, padded dims)`, scaled; for f16 and f32
    x: &'a [f32],
    /// `(n, padded dims)`; for int8, as are the scales and sums `(n)`
    q: &'a [i8],
    scale: &'a [f32],
    sum: &'a [i32],
}

impl<'a> Queries<'a> {
    /// `n` queries that a [`QueriesMut`] of the same buffers has made ready; `None` if one
    /// is shorter than it asks for.
    pub fn new(
        kind: KvType,
        head_dim: usize,
        n: usize,
        x: &'a [f32],
        q: &'a [i8],
        scale: &'a [f32],
        sum: &'a [i32],
    ) -> Option<Self> {
        let lens = [x.len(), q.len(), scale.len(), sum.len()];
        enough(kind, head_dim, n, lens).then_some(Self { kind, head_dim, n, x, q, scale, sum })
    }
}

/// Whether buffers of these lengths hold `n` queries.
fn enough(kind: KvType, head_dim: usize, n: usize, [x, q, scale, sum]: [usize; 4]) -> bool {
    let fits = |len| match kind {
        KvType::Int8 => q >= len && scale >= n && sum >= n,
        KvType::F16 | KvType::F32 => x >= len,
    };
    (1..=MOST_HEAD_DIM).contains(&head_dim) && n.checked_mul(padded(head_dim)).is_some_and(fits)
}

/// Where queries are made ready.
#[derive(Debug)]
pub struct QueriesMut<'a> {
    kind: KvType,
    head_dim: usize,
    n: usize,
    x: &'a mut [f32],
    q: &'a mut [i8],
    scale: &'a mut [f32],
    sum: &'a mut [i32],
}

impl<'a> QueriesMut<'a> {
    /// Room for `n` queries in buffers of at least: for int8, `q` of `(n, padded dims)`
    /// and `scale` and `sum` of `(n)`; for f16 and f32, `x` of `(n, padded dims)`. The
    /// others may be empty. `None` if one is too short or a head has over 512 dimensions.
    pub fn new(
        kind: KvType,
        head_dim: usize,
        n: usize,
        x: &'a mut [f32],
        q: &'a mut [i8],
        scale: &'a mut [f32],
        sum: &'a mut [i32],
    ) -> Option<Self> {
        let lens = [x.len(), q.len(), scale.len(), sum.len()];
        enough(kind, head_dim, n, lens).then_some(Self { kind, head_dim, n, x, q, scale, sum })
    }

    /// Takes `x` `(head_dim)`, already rotated, times `score_scale` as query `i`.
    ///
    /// # Panics
    /// If there is no such query, or `x` has another length.
    pub fn set(&mut self, isa: Isa, i: usize, x: &[f32], score_scale: f32) {
        assert!(i < self.n && x.len() == self.head_dim);
        isa.run(SetQuery { queries: self, i, x, score_scale });
    }

    /// The queries that have been set.
    pub fn view(&self) -> Queries<'_> {
        let Self { kind, head_dim, n, .. } = *self;
        Queries { kind, head_dim, n, x: self.x, q: self.q, scale: self.scale, sum: self.sum }
    }
}

struct SetQuery<'a, 'q> {
    queries: &'a mut QueriesMut<'q>,
    i: usize,
    x: &'a [f32],
    score_scale: f32,
}

impl Op for SetQuery<'_, '_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { queries, i, x, score_scale } = self;
        let dims = padded(queries.head_dim);
        let mut row = [0.0; MOST_HEAD_DIM];
        let row = &mut row[..x.len()];
        for (to, x) in row.chunks_mut(S::LANES).zip(x.chunks(S::LANES)) {
            store_some(s, to, s.mul(load_some(s, x), s.splat(score_scale)));
        }
        let at = i * dims..(i + 1) * dims;
        if queries.kind == KvType::Int8 {
            (queries.scale[i], queries.sum[i]) = quantize_run(s, row, &mut queries.q[at]);
        } else {
            let to = &mut queries.x[at];
            to[..row.len()].copy_from_slice(row);
            to[row.len()..].fill(0.0);
        }
    }
}

/// The running softmax of several queries over the tiles they have met so far.
#[derive(Debug)]
pub struct Partial<'a> {
    head_dim: usize,
    /// `(n)`: the largest score
    max: &'a mut [f32],
    /// `(n)`: the sum of exponentials; 0 until a key has been seen
    sum: &'a mut [f32],
    /// `(n, padded dims)`: the sum of weighted values
    acc: &'a mut [f32],
}

impl<'a> Partial<'a> {
    /// Of `n` queries that have seen nothing, in buffers of at least `(n)`, `(n)` and
    /// `(n, padded dims)`; `None` if one is shorter.
    pub fn new(
        head_dim: usize,
        n: usize,
        max: &'a mut [f32],
        sum: &'a mut [f32],
        acc: &'a mut [f32],
    ) -> Option<Self> {
        let mut partial = Self::resume(head_dim, n, max, sum, acc)?;
        partial.reset();
        Some(partial)
    }

    /// As [`Partial::new`], of what the buffers were left with.
    pub fn resume(
        head_dim: usize,
        n: usize,
        max: &'a mut [f32],
        sum: &'a mut [f32],
        acc: &'a mut [f32],
    ) -> Option<Self> {
        let (max, sum) = (max.get_mut(..n)?, sum.get_mut(..n)?);
        let acc = acc.get_mut(..n.checked_mul(padded(head_dim))?)?;
        Some(Self { head_dim, max, sum, acc })
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        self.max.fill(0.0);
        self.sum.fill(0.0);
        self.acc.fill(0.0);
    }
}

/// Queries that share every load.
const MOST_TOGETHER: usize = 4;

/// Goes through the tiles of a run, ascending, for all queries.
///
/// `visible(i)` gives the keys of the run, counted from its first slot, that query `i`
/// sees. A segment of 512 keys that wraps in the ring is two runs in two calls; a new
/// segment begins with a new [`Partial`].
///
/// # Panics
/// If the shapes do not agree. (What a range has behind the run is no key.)
pub fn attend(
    isa: Isa,
    queries: &Queries<'_>,
    kv: &Kv<'_>,
    visible: impl Fn(usize) -> Range<usize>,
    partial: &mut Partial<'_>,
) {
    check(queries, kv, partial);
    match kv.kind {
        KvType::Int8 => isa.run(Attend::<_, CacheInt8>::new(queries, kv, &visible, partial)),
        KvType::F16 => isa.run(Attend::<_, CacheF16>::new(queries, kv, &visible, partial)),
        KvType::F32 => isa.run(Attend::<_, CacheF32>::new(queries, kv, &visible, partial)),
    }
}

/// Everything that the kernels rely on.
fn check(queries: &Queries<'_>, kv: &Kv<'_>, partial: &Partial<'_>) {
    assert!(queries.kind == kv.kind && queries.head_dim == kv.head_dim);
    assert!(partial.head_dim == kv.head_dim && partial.max.len() >= queries.n);
    let row = padded(kv.head_dim) * kv.kind.bytes();
    let slots = kv.keys.len() / row;
    assert!(kv.keys.len().is_multiple_of(TILE_KEYS * row) && kv.values.len() == kv.keys.len());
    if kv.kind.has_scales() {
        assert!(kv.key_scales.len() == slots && kv.value_scales.len() == slots);
    }
}

/// The scores of a tile's keys, and then their weights, for queries that go together.
type Scores<const Q: usize> = [[f32; TILE_KEYS]; Q];

/// A kind of cache, as the kernels see it.
trait Cache {
    const KIND: KvType;

    /// The scores of the keys in `seen` (others may be left or computed) of a tile whose
    /// keys begin at `keys`, for `Q` queries from `first` on.
    ///
    /// # Safety
    /// The shapes have been checked; the tile exists and `seen` lies inside it.
    unsafe fn scores<S: Simd, const Q: usize>(
        s: S,
        tile: Tile,
        queries: Rows,
        seen: Range<usize>,
        scores: &mut Scores<Q>,
    );

    /// Reads [`Simd::LANES`] values.
    ///
    /// # Safety
    /// They exist.
    unsafe fn load<S: Simd>(s: S, from: *const u8) -> S::F;
}

/// Where a tile is.
#[derive(Clone, Copy)]
struct Tile {
    keys: *const u8,
    values: *const u8,
    key_scales: *const f32,
    value_scales: *const f32,
}

/// Where the first of some queries is.
#[derive(Clone, Copy)]
struct Rows {
    dims: usize,
    x: *const f32,
    q: *const i8,
    scale: *const f32,
    sum: *const i32,
}

struct CacheInt8;

impl Cache for CacheInt8 {
    const KIND: KvType = KvType::Int8;

    /// A key is a lane, 16 of them are a tile of int8 weights.
    #[inline(always)]
    unsafe fn scores<S: Simd, const Q: usize>(
        s: S,
        tile: Tile,
        queries: Rows,
        _seen: Range<usize>,
        scores: &mut Scores<Q>,
    ) {
        for part in 0..TILE_KEYS / S::LANES {
            let (half, part) = (part / S::PARTS, part % S::PARTS);
            let parts = Parts { first: part, count: 1 };
            let mut sums = [s.splat_i(0); Q];
            // SAFETY: the tile has two halves of `dims / 32` blocks; each query has as
            // many blocks of activations, a scale and a sum.
            unsafe {
                let keys = tile.keys.add(half * TILE_ROWS * queries.dims);
                for b in 0..queries.dims / BLOCK_COLS {
                    let (keys, q) = (keys.add(b * GROUPS * LINE), queries.q.add(b * BLOCK_COLS));
                    let dots = dots::<S, Int8, Q>(s, keys, q, queries.dims, parts);
                    for q in 0..Q {
                        sums[q] = s.add_i(sums[q], dots[q][0]);
                    }
                }
                let at = half * TILE_ROWS + part * S::LANES;
                let key_scales = s.load(tile.key_scales.add(at));
                for q in 0..Q {
                    let offset = Int8::offset::<S>() * *queries.sum.add(q);
                    let dot = s.to_f(s.sub_i(sums[q], s.splat_i(offset)));
                    let scale = s.mul(s.splat(*queries.scale.add(q)), key_scales);
                    s.store(scores[q].as_mut_ptr().add(at), s.mul(dot, scale));
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn load<S: Simd>(s: S, from: *const u8) -> S::F {
        // SAFETY: as the caller promises.
        unsafe { s.load_i8(from) }
    }
}

struct CacheF16;

impl Cache for CacheF16 {
    const KIND: KvType = KvType::F16;

    #[inline(always)]
    unsafe fn scores<S: Simd, const Q: usize>(
        s: S,
        tile: Tile,
        queries: Rows,
        seen: Range<usize>,
        scores: &mut Scores<Q>,
    ) {
        // SAFETY: as the caller promises.
        unsafe { row_scores::<S, Self, Q>(s, tile, queries, seen, scores) }
    }

    #[inline(always)]
    unsafe fn load<S: Simd>(s: S, from: *const u8) -> S::F {
        // SAFETY: as the caller promises.
        unsafe { s.load_f16(from) }
    }
}

struct CacheF32;

impl Cache for CacheF32 {
    const KIND: KvType = KvType::F32;

    #[inline(always)]
    unsafe fn scores<S: Simd, const Q: usize>(
        s: S,
        tile: Tile,
        queries: Rows,
        seen: Range<usize>,
        scores: &mut Scores<Q>,
    ) {
        // SAFETY: as the caller promises.
        unsafe { row_scores::<S, Self, Q>(s, tile, queries, seen, scores) }
    }

    #[inline(always)]
    unsafe fn load<S: Simd>(s: S, from: *const u8) -> S::F {
        // SAFETY: as the caller promises.
        unsafe { s.load(from.cast()) }
    }
}

/// Dot products of rows by 16 strided partial sums.
///
/// The padding of a head is 0 on both sides. It can turn a partial sum of −0 into +0,
/// where skipping would not, but the sign of a score that is 0 is lost in exp(0) = 1.
///
/// # Safety
/// As [`Cache::scores`].
#[inline(always)]
unsafe fn row_scores<S: Simd, C: Cache, const Q: usize>(
    s: S,
    tile: Tile,
    queries: Rows,
    seen: Range<usize>,
    scores: &mut Scores<Q>,
) {
    for key in seen {
        let mut sums = [[s.splat(0.0); MOST_PARTS]; Q];
        for dim in (0..queries.dims).step_by(TILE_ROWS) {
            for part in 0..S::PARTS {
                let dim = dim + part * S::LANES;
                // SAFETY: `dims` is a multiple of 16; the key is one of the tile's 32.
                unsafe {
                    let k = C::load(s, tile.keys.add((key * queries.dims + dim) * C::KIND.bytes()));
                    for q in 0..Q {
                        let x = s.load(queries.x.add(q * queries.dims + dim));
                        sums[q][part] = s.fma(x, k, sums[q][part]);
                    }
                }
            }
        }
        for q in 0..Q {
            scores[q][key] = s.sum16(sums[q]);
        }
    }
}

struct Attend<'a, 'p, V, C> {
    queries: &'a Queries<'a>,
    kv: &'a Kv<'a>,
    visible: &'a V,
    partial: &'a mut Partial<'p>,
    cache: PhantomData<C>,
}

impl<'a, 'p, V: Fn(usize) -> Range<usize>, C: Cache> Attend<'a, 'p, V, C> {
    fn new(
        queries: &'a Queries<'a>,
        kv: &'a Kv<'a>,
        visible: &'a V,
        partial: &'a mut Partial<'p>,
    ) -> Self {
        Self { queries, kv, visible, partial, cache: PhantomData }
    }

    fn tile(&self, tile: usize) -> Tile {
        let bytes = TILE_KEYS * padded(self.kv.head_dim) * C::KIND.bytes();
        let scales = |all: &[f32]| all.as_ptr().wrapping_add(tile * TILE_KEYS);
        Tile {
            keys: self.kv.keys.as_ptr().wrapping_add(tile * bytes),
            values: self.kv.values.as_ptr().wrapping_add(tile * bytes),
            key_scales: scales(self.kv.key_scales),
            value_scales: scales(self.kv.value_scales),
        }
    }

    fn rows(&self, query: usize) -> Rows {
        let dims = padded(self.kv.head_dim);
        Rows {
            dims,
            x: self.queries.x.as_ptr().wrapping_add(query * dims),
            q: self.queries.q.as_ptr().wrapping_add(query * dims),
            scale: self.queries.scale.as_ptr().wrapping_add(query),
            sum: self.queries.sum.as_ptr().wrapping_add(query),
        }
    }

    /// The keys of a tile that a query sees, counted from the tile's first.
    fn seen(&self, query: usize, tile: usize) -> Range<usize> {
        let range = (self.visible)(query);
        let inside = |key: usize| key.saturating_sub(tile * TILE_KEYS).min(TILE_KEYS);
        inside(range.start)..inside(range.end)
    }
}

impl<V: Fn(usize) -> Range<usize>, C: Cache> Op for Attend<'_, '_, V, C> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let tiles = self.kv.keys.len() / (TILE_KEYS * padded(self.kv.head_dim) * C::KIND.bytes());
        for tile in 0..tiles {
            let mut query = 0;
            while query < self.queries.n {
                let seen = self.seen(query, tile);
                let mut together = 1;
                while together < MOST_TOGETHER
                    && query + together < self.queries.n
                    && self.seen(query + together, tile) == seen
                {
                    together += 1;
                }
                if !seen.is_empty() {
                    match together {
                        1 => step::<S, V, C, 1>(s, &mut self, tile, query, seen),
                        2 => step::<S, V, C, 2>(s, &mut self, tile, query, seen),
                        3 => step::<S, V, C, 3>(s, &mut self, tile, query, seen),
                        _ => step::<S, V, C, 4>(s, &mut self, tile, query, seen),
                    }
                }
                query += together;
            }
        }
    }
}

/// One tile for `Q` queries that see the same keys of it.
#[inline(always)]
fn step<S: Simd, V: Fn(usize) -> Range<usize>, C: Cache, const Q: usize>(
    s: S,
    all: &mut Attend<'_, '_, V, C>,
    tile: usize,
    query: usize,
    seen: Range<usize>,
) {
    let (tile, rows) = (all.tile(tile), all.rows(query));
    let mut weights: Scores<Q> = [[0.0; TILE_KEYS]; Q];
    let mut rescale = [0.0; Q];
    // SAFETY: `check` saw the shapes, and `tile` and `query` are of them.
    unsafe { C::scores(s, tile, rows, seen.clone(), &mut weights) };
    for q in 0..Q {
        let (max, sum) = (&mut all.partial.max[query + q], &mut all.partial.sum[query + q]);
        // SAFETY: an int8 tile has 32 scales.
        rescale[q] = unsafe {
            softmax::<S, C>(s, &mut weights[q], tile.value_scales, seen.clone(), max, sum)
        };
    }
    let acc = &mut all.partial.acc[query * rows.dims..(query + Q) * rows.dims];
    // SAFETY: the tile has 32 rows of `dims` values; `acc` has `Q` of them.
    unsafe { weigh::<S, C, Q>(s, tile.values, seen, &weights, rescale, acc) };
}

/// The index of each key.
const KEYS: [f32; TILE_KEYS] = {
    let mut keys = [0.0; TILE_KEYS];
    let mut i = 0;
    while i < TILE_KEYS {
        keys[i] = i as f32;
        i += 1;
    }
    keys
};

/// Turns a tile's scores into the weights of its values (times their scales), takes them
/// into the largest score and the sum, and gives the factor for what was summed before.
///
/// # Safety
/// For int8, `value_scales` points to 32.
#[inline(always)]
unsafe fn softmax<S: Simd, C: Cache>(
    s: S,
    scores: &mut [f32; TILE_KEYS],
    value_scales: *const f32,
    seen: Range<usize>,
    max: &mut f32,
    sum: &mut f32,
) -> f32 {
    let (start, end) = (s.splat(seen.start as f32), s.splat(seen.end as f32));
    let only_seen = |at: usize, v: S::F, other: S::F| {
        if seen.len() == TILE_KEYS {
            return v;
        }
        // SAFETY: `at + LANES` is at most 32.
        let key = unsafe { s.load(KEYS.as_ptr().add(at)) };
        s.select_lt(key, start, other, s.select_lt(key, end, v, other))
    };
    let mut largest = [s.splat(f32::NEG_INFINITY); MOST_PARTS];
    for at in (0..TILE_KEYS).step_by(S::LANES) {
        let part = at / S::LANES % S::PARTS;
        // SAFETY: `at + LANES` is at most 32.
        let v = unsafe { s.load(scores.as_ptr().add(at)) };
        largest[part] = s.max(largest[part], only_seen(at, v, s.splat(f32::NEG_INFINITY)));
    }
    let of_tile = s.max16(largest);
    let before = if *sum == 0.0 { of_tile } else { *max };
    *max = if before > of_tile { before } else { of_tile };
    let mut sums = [s.splat(0.0); MOST_PARTS];
    for at in (0..TILE_KEYS).step_by(S::LANES) {
        let part = at / S::LANES % S::PARTS;
        // SAFETY: `at + LANES` is at most 32, and so many scales there are.
        unsafe {
            let score = s.load(scores.as_ptr().add(at));
            let p = exp(s, s.sub(score, s.splat(*max)));
            // Not negative, so that adding +0 for a key not seen is to skip it.
            sums[part] = s.add(sums[part], only_seen(at, p, s.splat(0.0)));
            let weight = match C::KIND {
                KvType::Int8 => s.mul(p, s.load(value_scales.add(at))),
                KvType::F16 | KvType::F32 => p,
            };
            s.store(scores.as_mut_ptr().add(at), weight);
        }
    }
    let rescale = exp_one(s, before - *max);
    *sum = first_lane(s, s.fma(s.splat(*sum), s.splat(rescale), s.splat(s.sum16(sums))));
    rescale
}

/// Adds a tile's values times their weights, keys ascending, to rescaled sums.
///
/// # Safety
/// `values` points to 32 rows of `acc.len() / Q` values, a multiple of 16; `seen` lies
/// within 32.
#[inline(always)]
unsafe fn weigh<S: Simd, C: Cache, const Q: usize>(
    s: S,
    values: *const u8,
    seen: Range<usize>,
    weights: &Scores<Q>,
    rescale: [f32; Q],
    acc: &mut [f32],
) {
    let dims = acc.len() / Q;
    for dim in (0..dims).step_by(TILE_ROWS) {
        let mut sums = [[s.splat(0.0); MOST_PARTS]; Q];
        for q in 0..Q {
            for part in 0..S::PARTS {
                // SAFETY: 16 values from `dim` on lie in each row.
                let v = unsafe { s.load(acc.as_ptr().add(q * dims + dim + part * S::LANES)) };
                sums[q][part] = s.mul(v, s.splat(rescale[q]));
            }
        }
        for key in seen.clone() {
            for part in 0..S::PARTS {
                let at = key * dims + dim + part * S::LANES;
                // SAFETY: 16 values from `dim` on lie in each row.
                let v = unsafe { C::load(s, values.add(at * C::KIND.bytes())) };
                for q in 0..Q {
                    sums[q][part] = s.fma(s.splat(weights[q][key]), v, sums[q][part]);
                }
            }
        }
        for q in 0..Q {
            for part in 0..S::PARTS {
                let to = acc.as_mut_ptr().wrapping_add(q * dims + dim + part * S::LANES);
                // SAFETY: 16 values from `dim` on lie in each row.
                unsafe { s.store(to, sums[q][part]) };
            }
        }
    }
}

#[inline(always)]
fn exp_one<S: Simd>(s: S, v: f32) -> f32 {
    first_lane(s, exp(s, s.splat(v)))
}

#[inline(always)]
fn first_lane<S: Simd>(s: S, v: S::F) -> f32 {
    let mut lanes = [0.0; TILE_ROWS];
    // SAFETY: `LANES` is at most 16.
    unsafe { s.store(lanes.as_mut_ptr(), v) };
    lanes[0]
}

/// Folds a later segment into what earlier ones have given, for all queries.
///
/// # Panics
/// If they differ in shape.
pub fn merge(isa: Isa, into: &mut Partial<'_>, later: &Partial<'_>) {
    assert!(into.head_dim == later.head_dim && into.acc.len() == later.acc.len());
    isa.run(Merge { into, later });
}

struct Merge<'a, 'p, 'q> {
    into: &'a mut Partial<'p>,
    later: &'a Partial<'q>,
}

impl Op for Merge<'_, '_, '_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { into, later } = self;
        let dims = padded(into.head_dim);
        for (i, acc_b) in later.acc.chunks_exact(dims).enumerate() {
            let acc_a = &mut into.acc[i * dims..(i + 1) * dims];
            if later.sum[i] == 0.0 {
                continue;
            }
            if into.sum[i] == 0.0 {
                (into.max[i], into.sum[i]) = (later.max[i], later.sum[i]);
                acc_a.copy_from_slice(acc_b);
                continue;
            }
            let (ma, mb) = (into.max[i], later.max[i]);
            let max = if ma > mb { ma } else { mb };
            let (a, b) = (s.splat(exp_one(s, ma - max)), s.splat(exp_one(s, mb - max)));
            for (acc_a, acc_b) in acc_a.chunks_mut(S::LANES).zip(acc_b.chunks(S::LANES)) {
                let scaled = s.mul(load_some(s, acc_a), a);
                store_some(s, acc_a, s.fma(load_some(s, acc_b), b, scaled));
            }
            let scaled = s.mul(s.splat(into.sum[i]), a);
            into.sum[i] = first_lane(s, s.fma(s.splat(later.sum[i]), b, scaled));
            into.max[i] = max;
        }
    }
}

/// Writes what query `i` attends to, `(head_dim)`: the weighted values by their sum.
///
/// # Panics
/// If there is no such query, or `out` has another length.
pub fn finish(isa: Isa, partial: &Partial<'_>, i: usize, out: &mut [f32]) {
    assert!(out.len() == partial.head_dim && i < partial.sum.len());
    isa.run(Finish { partial, i, out });
}

struct Finish<'a, 'p> {
    partial: &'a Partial<'p>,
    i: usize,
    out: &'a mut [f32],
}

impl Op for Finish<'_, '_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let sum = s.splat(self.partial.sum[self.i]);
        let acc = &self.partial.acc[self.i * padded(self.partial.head_dim)..];
        for (out, acc) in self.out.chunks_mut(S::LANES).zip(acc.chunks(S::LANES)) {
            store_some(s, out, s.div(load_some(s, acc), sum));
        }
    }
}
