//! Queries meet the cached keys and values.

use core::ops::Range;

use crate::base::disjoint::{Block, MOST_PIECES, for_each};
use crate::cache::Cache;
use crate::cache::{Ring, Run};
use crate::kernels::Machine;
use crate::kernels::{Bend, Isa, Partial, Queries, Slopes, attend, finish, merge};

use super::buffers::{AttentionBuffers, AttentionShape, Heads, Partials, QueryBuffers};
use super::place::{Place, Span};

impl AttentionBuffers<'_> {
    /// Attends for queries that [`AttentionBuffers::prepare`] has made ready.
    /// `out`: (tokens, n_heads · head_dim); where attention is differential, (tokens, 2, …)
    pub(crate) fn attend(
        &mut self,
        machine: &Machine<'_>,
        cache: &Cache<'_>,
        at: Place<'_>,
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

    /// One token: parts are runs of (pass, segment), merged afterwards.
    fn one_token(&mut self, machine: &Machine<'_>, view: &View<'_>, out: &mut [f32]) {
        let (Self { queries, segment, .. }, shape) = (self, &view.shape);
        let segments = view.segments(view.at.span);
        let items = shape.passes() * segments;
        let each = items.div_ceil(MOST_PIECES).max(1);
        let pieces = segment.chunks_mut(shape, items, each).zip((0..items).step_by(each));
        for_each(machine.exec, pieces, |(partials, first): (Partials<'_>, usize)| {
            for (item, mut partial) in (first..).zip(partials.into_chunks(shape, 1)) {
                // It is one at least; said here too, or the division below could panic.
                let segments = segments.max(1);
                let (heads, segment) = (shape.heads(item / segments), item % segments);
                let queries = queries.head(shape, heads.keys, 0, 1);
                if let Some(mut partial) = partial.kernel(shape) {
                    view.segment(heads, view.at.span, segment, queries, &mut partial);
                }
            }
        });
        let passes = segment.chunks_mut(shape, items, segments);
        for (pass, (partials, out)) in passes.zip(out.chunks_mut(shape.width())).enumerate() {
            let mut rest = partials.into_chunks(shape, 1);
            let Some(mut total) = rest.next() else { return };
            let Some(mut total) = total.kernel(shape) else { return };
            for mut partial in rest {
                if let Some(partial) = partial.kernel(shape) {
                    merge(view.isa, &mut total, &partial);
                }
            }
            view.finish(&total, shape.heads(pass), 0, out);
        }
    }

    /// A chunk: parts are (pass, block of tokens), each merging as it goes.
    fn chunk(&mut self, machine: &Machine<'_>, view: &View<'_>, out: &mut [f32]) {
        let (Self { queries, segment, total, .. }, shape) = (self, &view.shape);
        let tokens = view.at.span.tokens;
        let (block, width) = (block_tokens(machine, tokens, shape.passes()), shape.width());
        let items = shape.passes() * tokens;
        let out = Block::new(out, tokens, shape.passes() * width).columns(width);
        let passes =
            total.chunks_mut(shape, items, tokens).zip(segment.chunks_mut(shape, items, tokens));
        let pieces = passes.zip(out).enumerate().flat_map(|(pass, ((total, segment), out))| {
            let partials = total.into_chunks(shape, block).zip(segment.into_chunks(shape, block));
            let parts = partials.zip(out.strips(block)).enumerate();
            parts.map(move |(i, ((total, segment), out))| Part {
                pass,
                start: i * block,
                total,
                segment,
                out,
            })
        });
        for_each(machine.exec, pieces, |mut part: Part<'_>| {
            let (n, heads) = (part.out.rows(), shape.heads(part.pass));
            view.all_segments(heads, queries, part.start..part.start + n, &mut part);
            let Some(total) = part.total.kernel(shape) else { return };
            for token in 0..n {
                view.finish(&total, heads, token, part.out.row(token));
            }
        });
    }
}

/// What one part of a chunk's region writes.
struct Part<'a> {
    pass: usize,
    /// First token of the block, in the span.
    start: usize,
    total: Partials<'a>,
    segment: Partials<'a>,
    /// (tokens of the block, group · head_dim)
    out: Block<'a, f32>,
}

/// Tokens to a block: so few that each thread finds four pieces or more, of equal number, and else
/// many, as a segment is then fetched for all of them at once.
fn block_tokens(machine: &Machine<'_>, tokens: usize, passes: usize) -> usize {
    let (passes, threads) = (passes.max(1), machine.exec.threads());
    let blocks = if threads == 1 { 1 } else { threads * 4_usize.div_ceil(passes) };
    tokens.div_ceil(blocks.min(MOST_PIECES / passes).max(1)).max(8)
}

/// Tokens that meet a segment together: as many as have about 24 queries, whose sums stay in the
/// first cache beside a tile.
fn tokens_together(group: usize) -> usize {
    // One at least as it is; said again, or a step of it could panic.
    24_usize.div_ceil(group.max(1)).max(1)
}

/// What every part looks at.
struct View<'v> {
    isa: Isa,
    cache: &'v Cache<'v>,
    shape: AttentionShape,
    at: Place<'v>,
}

/// The queries of a part for the window, and for the sinks.
type PartQueries<'q> = [Option<Queries<'q>>; 2];

impl View<'_> {
    fn ring(&self) -> &Ring {
        self.at.ring
    }

    /// How many segments the queries of `span` see: that of the sinks, then the window's. At
    /// least one, as every query sees itself.
    fn segments(&self, span: Span) -> usize {
        let window = self.ring().segments(span.indices());
        (usize::from(self.ring().sinks > 0) + window).max(1)
    }

    /// Goes through all segments for the tokens of a part, `within` the span: for some of them at a
    /// time, but each segment for all before the next, as long as it is in the second cache.
    fn all_segments(
        &self,
        heads: Heads,
        queries: &QueryBuffers<'_>,
        within: Range<usize>,
        part: &mut Part<'_>,
    ) {
        let (shape, tokens) = (&self.shape, within.len());
        let each = tokens_together(shape.group);
        for n in 0..self.segments(self.at.span.part(within.start, tokens)) {
            let partials = part.total.chunks_mut(shape, tokens, each);
            let partials = partials.zip(part.segment.chunks_mut(shape, tokens, each));
            let starts = within.clone().step_by(each);
            for ((mut total, mut segment), start) in partials.zip(starts) {
                let len = each.min(within.end - start);
                let (Some(mut total), Some(mut segment)) =
                    (total.kernel(shape), segment.kernel(shape))
                else {
                    return;
                };
                let queries = queries.head(shape, heads.keys, start, len);
                let span = self.at.span.part(start, len);
                if n == 0 {
                    self.segment(heads, span, 0, queries, &mut total);
                } else if n < self.segments(span) {
                    self.segment(heads, span, n, queries, &mut segment);
                    merge(self.isa, &mut total, &segment);
                }
            }
        }
    }

    /// Takes the keys of the `n`th segment into `partial`, which begins anew.
    fn segment(
        &self,
        heads: Heads,
        span: Span,
        n: usize,
        [window, sinks]: PartQueries<'_>,
        partial: &mut Partial<'_>,
    ) {
        partial.reset();
        let (Some(window), Some(sinks)) = (window, sinks) else { return };
        let Some(n) = n.checked_sub(usize::from(self.ring().sinks > 0)) else {
            return self.sinks(heads, span, &sinks, partial);
        };
        for run in self.ring().runs(span.indices(), n).into_iter().flatten() {
            let kv = self.cache.tiles(self.at.layer, heads.keys, heads.values, &run);
            let token = |query| span.first + self.shape.token(query) as u64;
            let after_sinks = |query| token(query).saturating_sub(self.ring().sinks as u64);
            let from = |query| after_sinks(query).saturating_sub(run.first) as f32;
            let bend = self.bend(heads.keys, &from);
            attend(self.isa, &window, &kv, |query| self.seen(token(query), &run), bend, partial);
        }
    }

    /// What is done to the scores of a head's queries, `from` behind the first key of a run.
    fn bend<'b>(&'b self, head: usize, from: &'b dyn Fn(usize) -> f32) -> Option<Bend<'b>> {
        let (cap, group) = (self.at.cap, self.shape.group);
        let slopes = self.at.slopes.get(head * group..(head + 1) * group);
        let slopes = slopes.map(|each| Slopes { each, from });
        (cap.is_some() || slopes.is_some()).then_some(Bend { cap, slopes })
    }

    fn sinks(&self, heads: Heads, span: Span, queries: &Queries<'_>, partial: &mut Partial<'_>) {
        let kv = self.cache.tiles(self.at.layer, heads.keys, heads.values, &self.ring().sink_run());
        let token = |query| span.first + self.shape.token(query) as u64;
        let from = |query| self.ring().place(token(query)) as f32;
        let seen = |query| self.ring().sinks_seen(token(query));
        attend(self.isa, queries, &kv, seen, self.bend(heads.keys, &from), partial);
    }

    /// The keys of `run` that query `i` sees, counted from its first.
    fn seen(&self, i: u64, run: &Run) -> Range<usize> {
        let seen = self.ring().seen(i);
        let key = |r: u64| (r.saturating_sub(run.first) as usize).min(run.slots);
        key(seen.start)..key(seen.end)
    }

    /// What the queries of token `token` attend to, `(group · head_dim)`.
    fn finish(&self, total: &Partial<'_>, heads: Heads, token: usize, out: &mut [f32]) {
        let AttentionShape { group, head_dim, .. } = self.shape;
        for (i, out) in out.chunks_exact_mut(head_dim.max(1)).enumerate().take(group) {
            let sink = self.at.sink_logits.get(heads.keys * group + i).copied();
            finish(self.isa, total, token * group + i, sink, out);
        }
    }
}
