//! Attention of queries over the cached keys and values.

use core::ops::Range;

use crate::base::checked::nonzero;
use crate::base::disjoint::{MAX_PIECES, MatrixMut, for_each};
use crate::cache::{Cache, Ring, Run};
use crate::kernels::{
    AlibiSlopes, Isa, Machine, Queries, ScoreModifier, SoftmaxState, attend, finish, merge,
};

use super::buffers::{AttentionBuffers, AttentionShape, Heads, QueryBuffers, SoftmaxStates};
use super::layer::{AttentionLayer, Span};

impl AttentionBuffers<'_> {
    /// Attends for queries that [`AttentionBuffers::prepare`] has made ready.
    /// `out`: (tokens, n_heads · head_dim); where attention is differential, (tokens, 2, …)
    pub(crate) fn attend(
        &mut self,
        machine: &Machine<'_>,
        cache: &Cache<'_>,
        at: AttentionLayer<'_>,
        out: &mut [f32],
    ) {
        let shape = self.shape.cached_as(cache.kv());
        let view = View { isa: machine.isa, cache, shape, at };
        if at.span.tokens == 1 {
            self.one_token(machine, &view, out);
        } else {
            self.chunk(machine, &view, out);
        }
    }

    /// One token: parts are runs of (pass, KV split), merged afterwards.
    fn one_token(&mut self, machine: &Machine<'_>, view: &View<'_>, out: &mut [f32]) {
        let (Self { queries, kv_split, .. }, shape) = (self, &view.shape);
        let kv_splits = view.kv_splits(view.at.span);
        let items = shape.passes() * kv_splits;
        let each = items.div_ceil(MAX_PIECES).max(1);
        let pieces = kv_split.chunks_mut(shape, items, each).zip((0..items).step_by(each));
        for_each(machine.exec, pieces, |(states, first): (SoftmaxStates<'_>, usize)| {
            for (item, mut state) in (first..).zip(states.into_chunks(shape, 1)) {
                // It is one at least; said here too, or the division below could panic.
                let kv_splits = kv_splits.max(1);
                let (heads, kv_split) = (shape.heads(item / kv_splits), item % kv_splits);
                let queries = queries.head(shape, heads.keys, 0, 1);
                if let Some(mut state) = state.kernel(shape) {
                    view.kv_split(heads, view.at.span, kv_split, queries, &mut state);
                }
            }
        });
        let passes = kv_split.chunks_mut(shape, items, kv_splits);
        for (pass, (states, out)) in passes.zip(out.chunks_mut(shape.width())).enumerate() {
            let mut rest = states.into_chunks(shape, 1);
            let Some(mut total) = rest.next() else { return };
            let Some(mut total) = total.kernel(shape) else { return };
            for mut state in rest {
                if let Some(state) = state.kernel(shape) {
                    merge(view.isa, &mut total, &state);
                }
            }
            view.finish(&total, shape.heads(pass), 0, out);
        }
    }

    /// A chunk: parts are (pass, block of tokens), each merging as it goes.
    fn chunk(&mut self, machine: &Machine<'_>, view: &View<'_>, out: &mut [f32]) {
        let (Self { queries, kv_split, total, .. }, shape) = (self, &view.shape);
        let tokens = view.at.span.tokens;
        let (block, width) = (block_tokens(machine, tokens, shape.passes()), shape.width());
        let items = shape.passes() * tokens;
        let out = MatrixMut::new(out, tokens, shape.passes() * width).columns(width);
        let passes =
            total.chunks_mut(shape, items, tokens).zip(kv_split.chunks_mut(shape, items, tokens));
        let pieces = passes.zip(out).enumerate().flat_map(|(pass, ((total, kv_split), out))| {
            let states = total.into_chunks(shape, block).zip(kv_split.into_chunks(shape, block));
            let parts = states.zip(out.strips(block)).enumerate();
            parts.map(move |(i, ((total, kv_split), out))| Part {
                pass,
                start: i * block,
                total,
                kv_split,
                out,
            })
        });
        for_each(machine.exec, pieces, |mut part: Part<'_>| {
            let (n, heads) = (part.out.rows(), shape.heads(part.pass));
            view.all_kv_splits(heads, queries, part.start..part.start + n, &mut part);
            let Some(total) = part.total.kernel(shape) else { return };
            for token in 0..n {
                view.finish(&total, heads, token, part.out.row(token));
            }
        });
    }
}

/// Outputs of one part of a chunk.
struct Part<'a> {
    pass: usize,
    /// First token of the block, in the span.
    start: usize,
    total: SoftmaxStates<'a>,
    kv_split: SoftmaxStates<'a>,
    /// (tokens of the block, group · head_dim)
    out: MatrixMut<'a, f32>,
}

/// Tokens to a block: so few that each thread finds four pieces or more, of equal number, and else
/// many, as a KV split is then fetched for all of them at once.
fn block_tokens(machine: &Machine<'_>, tokens: usize, passes: usize) -> usize {
    let (passes, threads) = (nonzero(passes), machine.exec.threads());
    let blocks = if threads == 1 { 1 } else { threads.saturating_mul(4_usize.div_ceil(passes)) };
    tokens.div_ceil(blocks.min(MAX_PIECES / passes).max(1)).max(8)
}

/// Tokens that meet a KV split together: as many as have about 24 queries, whose sums stay in the
/// first cache beside a tile.
fn tokens_together(group: usize) -> usize {
    // One at least as it is; said again, or a step of it could panic.
    24_usize.div_ceil(nonzero(group)).max(1)
}

/// Inputs that all parts share.
struct View<'v> {
    isa: Isa,
    cache: &'v Cache<'v>,
    shape: AttentionShape,
    at: AttentionLayer<'v>,
}

/// The queries of a part for the window, and for the sinks.
type PartQueries<'q> = [Option<Queries<'q>>; 2];

impl View<'_> {
    fn ring(&self) -> &Ring {
        self.at.ring
    }

    /// Number of KV splits that the queries of `span` see: that of the sinks, then the window's.
    /// At least one, as every query sees itself.
    fn kv_splits(&self, span: Span) -> usize {
        let window = self.ring().kv_splits(span.indices());
        (usize::from(self.ring().sinks > 0) + window).max(1)
    }

    /// Goes through all KV splits for the tokens of a part, `within` the span: for some of them at a
    /// time, but each KV split for all before the next, as long as it is in the second cache.
    fn all_kv_splits(
        &self,
        heads: Heads,
        queries: &QueryBuffers<'_>,
        within: Range<usize>,
        part: &mut Part<'_>,
    ) {
        let (shape, tokens) = (&self.shape, within.len());
        let each = tokens_together(shape.group);
        for n in 0..self.kv_splits(self.at.span.part(within.start, tokens)) {
            let states = part.total.chunks_mut(shape, tokens, each);
            let states = states.zip(part.kv_split.chunks_mut(shape, tokens, each));
            let starts = within.clone().step_by(each);
            for ((mut total, mut kv_split), start) in states.zip(starts) {
                let len = each.min(within.end - start);
                let (Some(mut total), Some(mut kv_split)) =
                    (total.kernel(shape), kv_split.kernel(shape))
                else {
                    return;
                };
                let queries = queries.head(shape, heads.keys, start, len);
                let span = self.at.span.part(start, len);
                if n == 0 {
                    self.kv_split(heads, span, 0, queries, &mut total);
                } else if n < self.kv_splits(span) {
                    self.kv_split(heads, span, n, queries, &mut kv_split);
                    merge(self.isa, &mut total, &kv_split);
                }
            }
        }
    }

    /// Takes the keys of the `n`th KV split into `state`, which begins anew.
    fn kv_split(
        &self,
        heads: Heads,
        span: Span,
        n: usize,
        [window, sinks]: PartQueries<'_>,
        state: &mut SoftmaxState<'_>,
    ) {
        state.reset();
        let (Some(window), Some(sinks)) = (window, sinks) else { return };
        let Some(n) = n.checked_sub(usize::from(self.ring().sinks > 0)) else {
            return self.sinks(heads, span, &sinks, state);
        };
        for run in self.ring().runs(span.indices(), n).into_iter().flatten() {
            let kv = self.cache.tiles(self.at.layer, heads.keys, heads.values, &run);
            let token = |query| span.first + self.shape.token(query) as u64;
            let after_sinks = |query| token(query).saturating_sub(self.ring().sinks as u64);
            let from = |query| after_sinks(query).saturating_sub(run.first) as f32;
            let modifier = self.modifier(heads.keys, &from);
            attend(self.isa, &window, &kv, |query| self.seen(token(query), &run), modifier, state);
        }
    }

    /// The score modifier of a head's queries, `from` behind the first key of a run.
    fn modifier<'b>(
        &'b self,
        head: usize,
        from: &'b dyn Fn(usize) -> f32,
    ) -> Option<ScoreModifier<'b>> {
        let (soft_cap, group) = (self.at.soft_cap, self.shape.group);
        let slopes = self.at.alibi_slopes.get(head * group..(head + 1) * group);
        let alibi = slopes.map(|each| AlibiSlopes { each, from });
        (soft_cap.is_some() || alibi.is_some()).then_some(ScoreModifier { soft_cap, alibi })
    }

    fn sinks(&self, heads: Heads, span: Span, queries: &Queries<'_>, state: &mut SoftmaxState<'_>) {
        let kv = self.cache.tiles(self.at.layer, heads.keys, heads.values, &self.ring().sink_run());
        let token = |query| span.first + self.shape.token(query) as u64;
        let from = |query| self.ring().position_for_sinks(token(query)) as f32;
        let seen = |query| self.ring().sinks_seen(token(query));
        attend(self.isa, queries, &kv, seen, self.modifier(heads.keys, &from), state);
    }

    /// The keys of `run` that query `i` sees, counted from its first.
    fn seen(&self, i: u64, run: &Run) -> Range<usize> {
        let seen = self.ring().seen(i);
        let key = |r: u64| (r.saturating_sub(run.first) as usize).min(run.slots);
        key(seen.start)..key(seen.end)
    }

    /// Writes the weighed values of one token's queries, `(group · head_dim)`.
    fn finish(&self, total: &SoftmaxState<'_>, heads: Heads, token: usize, out: &mut [f32]) {
        let AttentionShape { group, head_dim, .. } = self.shape;
        for (i, out) in out.chunks_exact_mut(nonzero(head_dim)).enumerate().take(group) {
            let sink = self.at.sink_logits.get(heads.keys * group + i).copied();
            finish(self.isa, total, token * group + i, sink, out);
        }
    }
}
