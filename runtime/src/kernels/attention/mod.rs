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

mod floats;
mod int8;
mod kv;
mod modifier;
mod queries;
mod softmax;
mod state;
mod tile;

use core::marker::PhantomData;
use core::ops::Range;

use crate::format::kv::{KvType, TILE_KEYS};
use crate::format::layout::BLOCK_COLS;
use crate::kernels::isa::Isa;
use crate::kernels::simd::{Op, Simd};

use floats::{F16, F32};
use int8::Int8Cache;
use kv::padded;
use softmax::softmax;
use tile::{FLOAT_QUERIES, INT8_QUERIES, MAX_QUERIES};
use tile::{QueryPointers, Scores, Tile, TileKernel, VisibleKeys};

pub(crate) use kv::MAX_HEAD_DIM;
pub use kv::{Kv, KvMut};
pub use modifier::{AlibiSlopes, ScoreModifier};
pub use queries::{Queries, QueriesMut};
pub use state::{SoftmaxState, finish, merge};

/// Goes through the tiles of a run, ascending, for all queries.
///
/// `visible(i)` gives the keys of the run, counted from its first slot, that query `i`
/// sees. A KV split of 512 keys that wraps in the ring is two runs in two calls; a new split
/// begins with a new [`SoftmaxState`]. `modifier` is what the model does to scores.
///
/// # Panics
/// If the shapes do not agree. (What a range has behind the run is no key.)
pub fn attend(
    isa: Isa,
    queries: &Queries<'_>,
    kv: &Kv<'_>,
    visible: impl Fn(usize) -> Range<usize>,
    modifier: Option<ScoreModifier<'_>>,
    state: &mut SoftmaxState<'_>,
) {
    check(queries, kv, state);
    match kv.kind {
        KvType::Int8 => isa.run(Attend::<Int8Cache>::new(queries, kv, &visible, modifier, state)),
        KvType::F16 => isa.run(Attend::<F16>::new(queries, kv, &visible, modifier, state)),
        KvType::F32 => isa.run(Attend::<F32>::new(queries, kv, &visible, modifier, state)),
    }
}

/// Checks everything that the kernels rely on.
fn check(queries: &Queries<'_>, kv: &Kv<'_>, state: &SoftmaxState<'_>) {
    assert!(queries.kind == kv.kind && queries.head_dim == kv.head_dim);
    assert!(state.head_dim == kv.head_dim && state.max.len() >= queries.n);
    let row = (padded(kv.head_dim) * kv.kind.bytes()).max(1);
    let slots = kv.keys.len() / row;
    assert!(kv.keys.len().is_multiple_of(TILE_KEYS * row) && kv.values.len() == kv.keys.len());
    assert!(kv.key_scales.len() == slots * kv.kind.key_scales(kv.head_dim));
    assert!(kv.value_scales.len() == slots * kv.kind.value_scales());
}

/// One run for queries of one kv head, over a cache of type `C`.
struct Attend<'a, 'p, C> {
    queries: &'a Queries<'a>,
    kv: &'a Kv<'a>,
    visible: &'a dyn Fn(usize) -> Range<usize>,
    modifier: Option<ScoreModifier<'a>>,
    state: &'a mut SoftmaxState<'p>,
    cache: PhantomData<C>,
}

impl<'a, 'p, C: TileKernel> Attend<'a, 'p, C> {
    fn new(
        queries: &'a Queries<'a>,
        kv: &'a Kv<'a>,
        visible: &'a dyn Fn(usize) -> Range<usize>,
        modifier: Option<ScoreModifier<'a>>,
        state: &'a mut SoftmaxState<'p>,
    ) -> Self {
        Self { queries, kv, visible, modifier, state, cache: PhantomData }
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

    fn queries_from(&self, query: usize) -> QueryPointers {
        let dims = padded(self.kv.head_dim);
        QueryPointers {
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

    /// The keys of a tile that a query sees, and the number of queries from it on that see the same.
    fn same(&self, query: usize, tile: usize) -> (Range<usize>, usize) {
        let seen = self.seen(query, tile);
        let others = (query + 1..self.queries.n).take(MAX_QUERIES - 1);
        let same = others.take_while(|&other| self.seen(other, tile) == seen).count();
        (seen, 1 + same)
    }
}

impl<C: TileKernel> Op for Attend<'_, '_, C> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let tile = TILE_KEYS * padded(self.kv.head_dim) * C::KIND.bytes();
        let tiles = self.kv.keys.len() / tile.max(1);
        let by_all = self.seen_by_all();
        let max = max_queries::<S, C>();
        let mut scores = [[0.0; TILE_KEYS]; MAX_QUERIES];
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
                    MAX_QUERIES.. if max == MAX_QUERIES => MAX_QUERIES,
                    FLOAT_QUERIES.. if max >= FLOAT_QUERIES => FLOAT_QUERIES,
                    INT8_QUERIES.. => INT8_QUERIES,
                    few => few,
                };
                if !seen.is_empty() {
                    steps::<S, C>(s, &mut self, tile, query, together, &seen, &mut scores);
                }
                query += together;
            }
        }
    }
}

/// Picks the step for so many queries.
#[inline(always)]
fn steps<S: Simd, C: TileKernel>(
    s: S,
    all: &mut Attend<'_, '_, C>,
    tile: usize,
    query: usize,
    together: usize,
    seen: &Range<usize>,
    scores: &mut Scores<MAX_QUERIES>,
) {
    let max = max_queries::<S, C>();
    match together {
        1 => step::<S, C, 1>(s, all, tile, query, seen, scores),
        2 => step::<S, C, 2>(s, all, tile, query, seen, scores),
        MAX_QUERIES if max == MAX_QUERIES => {
            step::<S, C, MAX_QUERIES>(s, all, tile, query, seen, scores);
        }
        FLOAT_QUERIES if max >= FLOAT_QUERIES => {
            step::<S, C, FLOAT_QUERIES>(s, all, tile, query, seen, scores);
        }
        _ => step::<S, C, INT8_QUERIES>(s, all, tile, query, seen, scores),
    }
}

/// Queries that take a step together where as many see the same. The compiler knows it, so that
/// only steps that are taken are compiled.
#[inline(always)]
fn max_queries<S: Simd, C: TileKernel>() -> usize {
    match (S::PARTS, C::KIND) {
        (1, _) => MAX_QUERIES,
        // Four registers for 16 lanes are steps enough side by side.
        (4, KvType::Int8) => INT8_QUERIES,
        _ => FLOAT_QUERIES,
    }
}

/// Takes `Q` queries that see the same keys of a tile through it.
#[inline(always)]
fn step<S: Simd, C: TileKernel, const Q: usize>(
    s: S,
    all: &mut Attend<'_, '_, C>,
    tile: usize,
    query: usize,
    seen: &Range<usize>,
    scores: &mut Scores<MAX_QUERIES>,
) {
    let (number, tile, queries, seen) =
        (tile, all.tile(tile), all.queries_from(query), VisibleKeys::new(seen));
    let Some(scores) = scores.first_chunk_mut::<Q>() else { return };
    // SAFETY: `check` saw the shapes, and `tile` and the queries are of them.
    unsafe {
        match Q {
            MAX_QUERIES => some_scores::<S, C, Q, FLOAT_QUERIES>(s, tile, queries, seen, scores),
            FLOAT_QUERIES if S::PARTS > 1 => {
                some_scores::<S, C, Q, INT8_QUERIES>(s, tile, queries, seen, scores);
            }
            _ => C::scores(s, tile, queries, seen, scores),
        }
    }
    if let Some(modifier) = all.modifier {
        modifier.apply(s, number, query, scores);
    }
    let own = query..query + Q;
    let (max, sum) = (&mut all.state.max[own.clone()], &mut all.state.sum[own]);
    let (Ok(max), Ok(sum)) = (max.try_into(), sum.try_into()) else { return };
    let rescale = softmax::<S, Q>(s, scores, seen, max, sum);
    let Some(rescale) = rescale.first_chunk::<Q>() else { return };
    let acc = &mut all.state.acc[query * queries.dims..(query + Q) * queries.dims];
    // SAFETY: the tile has 32 values of `dims`; `acc` has `Q` of them.
    unsafe { C::weigh(s, tile, seen, scores, rescale, acc) };
}

/// Computes the scores of `SOME` queries at a time.
///
/// # Safety
/// As [`TileKernel::scores`] asks.
#[inline(always)]
unsafe fn some_scores<S: Simd, C: TileKernel, const Q: usize, const SOME: usize>(
    s: S,
    tile: Tile,
    queries: QueryPointers,
    seen: VisibleKeys,
    scores: &mut Scores<Q>,
) {
    for (i, scores) in scores.as_chunks_mut::<SOME>().0.iter_mut().enumerate() {
        // SAFETY: as the caller promises.
        unsafe { C::scores(s, tile, queries.from(i * SOME), seen, scores) };
    }
}
