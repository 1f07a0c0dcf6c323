//! Attention over tiles of cached keys and values of one kv head.
//!
//! A softmax that runs along the tiles: each query keeps its largest score, the sum of
//! exponentials and the weighted values, rescaled when a larger score appears. Several
//! queries (the heads of a group, and in prefill several tokens) share every load of a
//! key or value; what a query computes does not depend on which others it shares with.
//!
//! What lies in the slot of a key that a query does not see may be anything: floats are skipped,
//! never multiplied by zero; the weight of bytes, of which none is NaN, is an integer 0.
#![allow(unsafe_code, clippy::indexing_slicing)]
// Registers come in arrays that are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop)]

mod bend;
mod cached;
mod kinds;
mod partial;
mod queries;
mod scores;
mod softmax;
mod tile;
mod values;

use core::marker::PhantomData;
use core::ops::Range;

use super::isa::{Isa, Op};
use super::simd::Simd;
use crate::format::kv::{KvType, TILE_KEYS};
use crate::format::layout::BLOCK_COLS;

use cached::padded;
use kinds::{Cache, F16, F32, Int8};
use softmax::softmax;
use tile::{Rows, Scores, Seen, Tile};

pub use bend::{Bend, Slopes};
pub(crate) use cached::MOST_HEAD_DIM;
pub use cached::{Kv, KvMut};
pub use partial::{Partial, finish, merge};
pub use queries::{Queries, QueriesMut};

/// Queries that take a step of the softmax together, and share every load of a float: their sums for
/// 16 dimensions are as many registers as keep the multipliers of all of these CPUs busy, and leave
/// room for what is multiplied.
const TOGETHER: usize = 6;
/// The same where one register holds 16 lanes.
const MOST_TOGETHER: usize = 12;
/// Queries that share every load of a key or of bytes, whose products want more registers.
const TOGETHER_FOR_PRODUCTS: usize = 3;

/// Goes through the tiles of a run, ascending, for all queries.
///
/// `visible(i)` gives the keys of the run, counted from its first slot, that query `i`
/// sees. A segment of 512 keys that wraps in the ring is two runs in two calls; a new
/// segment begins with a new [`Partial`]. `bend` is what the model does to scores.
///
/// # Panics
/// If the shapes do not agree. (What a range has behind the run is no key.)
pub fn attend(
    isa: Isa,
    queries: &Queries<'_>,
    kv: &Kv<'_>,
    visible: impl Fn(usize) -> Range<usize>,
    bend: Option<Bend<'_>>,
    partial: &mut Partial<'_>,
) {
    check(queries, kv, partial);
    match kv.kind {
        KvType::Int8 => isa.run(Attend::<Int8>::new(queries, kv, &visible, bend, partial)),
        KvType::F16 => isa.run(Attend::<F16>::new(queries, kv, &visible, bend, partial)),
        KvType::F32 => isa.run(Attend::<F32>::new(queries, kv, &visible, bend, partial)),
    }
}

/// Everything that the kernels rely on.
fn check(queries: &Queries<'_>, kv: &Kv<'_>, partial: &Partial<'_>) {
    assert!(queries.kind == kv.kind && queries.head_dim == kv.head_dim);
    assert!(partial.head_dim == kv.head_dim && partial.max.len() >= queries.n);
    let row = (padded(kv.head_dim) * kv.kind.bytes()).max(1);
    let slots = kv.keys.len() / row;
    assert!(kv.keys.len().is_multiple_of(TILE_KEYS * row) && kv.values.len() == kv.keys.len());
    assert!(kv.key_scales.len() == slots * kv.kind.key_scales(kv.head_dim));
    assert!(kv.value_scales.len() == slots * kv.kind.value_scales());
}

struct Attend<'a, 'p, C> {
    queries: &'a Queries<'a>,
    kv: &'a Kv<'a>,
    visible: &'a dyn Fn(usize) -> Range<usize>,
    bend: Option<Bend<'a>>,
    partial: &'a mut Partial<'p>,
    cache: PhantomData<C>,
}

impl<'a, 'p, C: Cache> Attend<'a, 'p, C> {
    fn new(
        queries: &'a Queries<'a>,
        kv: &'a Kv<'a>,
        visible: &'a dyn Fn(usize) -> Range<usize>,
        bend: Option<Bend<'a>>,
        partial: &'a mut Partial<'p>,
    ) -> Self {
        Self { queries, kv, visible, bend, partial, cache: PhantomData }
    }

    fn tile(&self, tile: usize) -> Tile {
        let bytes = TILE_KEYS * padded(self.kv.head_dim) * C::KIND.bytes();
        let scales = |all: &[f32], each| all.as_ptr().wrapping_add(tile * TILE_KEYS * each);
        Tile {
            keys: self.kv.keys.as_ptr().wrapping_add(tile * bytes),
            values: self.kv.values.as_ptr().wrapping_add(tile * bytes),
            key_scales: scales(self.kv.key_scales, C::KIND.key_scales(self.kv.head_dim)),
            value_scales: scales(self.kv.value_scales, C::KIND.value_scales()),
        }
    }

    fn rows(&self, query: usize) -> Rows {
        let dims = padded(self.kv.head_dim);
        Rows {
            dims,
            x: self.queries.x.as_ptr().wrapping_add(query * dims),
            q: self.queries.q.as_ptr().wrapping_add(query * dims),
            scale: self.queries.scale.as_ptr().wrapping_add(query * dims / BLOCK_COLS),
            sum: self.queries.sum.as_ptr().wrapping_add(query * dims / BLOCK_COLS),
        }
    }

    /// The keys of a tile that a query sees, counted from the tile's first.
    fn seen(&self, query: usize, tile: usize) -> Range<usize> {
        let range = (self.visible)(query);
        let inside = |key: usize| key.saturating_sub(tile * TILE_KEYS).min(TILE_KEYS);
        inside(range.start)..inside(range.end)
    }

    /// The keys of the run that all queries see.
    fn seen_by_all(&self) -> Range<usize> {
        let ranges = (0..self.queries.n).map(self.visible);
        ranges.reduce(|a, b| a.start.max(b.start)..a.end.min(b.end)).unwrap_or(0..0)
    }

    /// What a query sees of a tile, and how many from it on see the same.
    fn same(&self, query: usize, tile: usize) -> (Range<usize>, usize) {
        let seen = self.seen(query, tile);
        let others = (query + 1..self.queries.n).take(MOST_TOGETHER - 1);
        let same = others.take_while(|&other| self.seen(other, tile) == seen).count();
        (seen, 1 + same)
    }
}

impl<C: Cache> Op for Attend<'_, '_, C> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let tile = TILE_KEYS * padded(self.kv.head_dim) * C::KIND.bytes();
        let tiles = self.kv.keys.len() / tile.max(1);
        let by_all = self.seen_by_all();
        let most = most_together::<S, C>();
        let mut scores = [[0.0; TILE_KEYS]; MOST_TOGETHER];
        for tile in 0..tiles {
            let whole = by_all.start <= tile * TILE_KEYS && (tile + 1) * TILE_KEYS <= by_all.end;
            let mut query = 0;
            while query < self.queries.n {
                let (seen, same) = if whole {
                    (0..TILE_KEYS, self.queries.n - query)
                } else {
                    self.same(query, tile)
                };
                let together = match same {
                    MOST_TOGETHER.. if most == MOST_TOGETHER => MOST_TOGETHER,
                    TOGETHER.. if most >= TOGETHER => TOGETHER,
                    TOGETHER_FOR_PRODUCTS.. => TOGETHER_FOR_PRODUCTS,
                    few => few,
                };
                if !seen.is_empty() {
                    let (all, scores) = (&mut self, &mut scores);
                    match together {
                        1 => step::<S, C, 1>(s, all, tile, query, &seen, scores),
                        2 => step::<S, C, 2>(s, all, tile, query, &seen, scores),
                        MOST_TOGETHER if most == MOST_TOGETHER => {
                            step::<S, C, MOST_TOGETHER>(s, all, tile, query, &seen, scores);
                        }
                        TOGETHER if most >= TOGETHER => {
                            step::<S, C, TOGETHER>(s, all, tile, query, &seen, scores);
                        }
                        _ => {
                            step::<S, C, TOGETHER_FOR_PRODUCTS>(s, all, tile, query, &seen, scores);
                        }
                    }
                }
                query += together;
            }
        }
    }
}

/// Queries that take a step together where as many see the same: what the compiler knows, so that
/// only steps that are taken are compiled.
#[inline(always)]
fn most_together<S: Simd, C: Cache>() -> usize {
    match (S::PARTS, C::KIND) {
        (1, _) => MOST_TOGETHER,
        // Four registers for 16 lanes are steps enough side by side.
        (4, KvType::Int8) => TOGETHER_FOR_PRODUCTS,
        _ => TOGETHER,
    }
}

/// One tile for `Q` queries that see the same keys of it.
#[inline(always)]
fn step<S: Simd, C: Cache, const Q: usize>(
    s: S,
    all: &mut Attend<'_, '_, C>,
    tile: usize,
    query: usize,
    seen: &Range<usize>,
    scores: &mut Scores<MOST_TOGETHER>,
) {
    let (number, tile, rows, seen) = (tile, all.tile(tile), all.rows(query), Seen::new(seen));
    let Some(scores) = scores.first_chunk_mut::<Q>() else { return };
    // SAFETY: `check` saw the shapes, and `tile` and the queries are of them.
    unsafe {
        match Q {
            MOST_TOGETHER => some_scores::<S, C, Q, TOGETHER>(s, tile, rows, seen, scores),
            TOGETHER if S::PARTS > 1 => {
                some_scores::<S, C, Q, TOGETHER_FOR_PRODUCTS>(s, tile, rows, seen, scores);
            }
            _ => C::scores(s, tile, rows, seen, scores),
        }
    }
    if let Some(bend) = all.bend {
        bend.bend(s, number, query, scores);
    }
    let own = query..query + Q;
    let (max, sum) = (&mut all.partial.max[own.clone()], &mut all.partial.sum[own]);
    let (Ok(max), Ok(sum)) = (max.try_into(), sum.try_into()) else { return };
    let rescale = softmax::<S, Q>(s, scores, seen, max, sum);
    let Some(rescale) = rescale.first_chunk::<Q>() else { return };
    let acc = &mut all.partial.acc[query * rows.dims..(query + Q) * rows.dims];
    // SAFETY: the tile has 32 values of `dims`; `acc` has `Q` of them.
    unsafe { C::weigh(s, tile, seen, scores, rescale, acc) };
}

/// Scores of `SOME` queries at a time.
///
/// # Safety
/// As [`Cache::scores`] asks.
#[inline(always)]
unsafe fn some_scores<S: Simd, C: Cache, const Q: usize, const SOME: usize>(
    s: S,
    tile: Tile,
    rows: Rows,
    seen: Seen,
    scores: &mut Scores<Q>,
) {
    for (i, scores) in scores.as_chunks_mut::<SOME>().0.iter_mut().enumerate() {
        // SAFETY: as the caller promises.
        unsafe { C::scores(s, tile, rows.from(i * SOME), seen, scores) };
    }
}
