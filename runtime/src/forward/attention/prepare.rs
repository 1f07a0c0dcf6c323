//! Queries, keys and values on their way to attention: turned, quantized, written.

use super::buffers::{AttentionBuffers, AttentionShape, RopeBuffers, TurnBuffers};
use super::place::{Place, Span};
use super::rope::{Rope, Turns};
use crate::base::disjoint::{Block, for_each};
use crate::cache::Cache;
use crate::cache::{Ring, Rings};
use crate::kernels::Machine;
use crate::kernels::{Isa, KvMut, QueriesMut, rotate};

/// Products of a layer's first three matrices, rows a stride apart.
pub(crate) struct Projected<'a> {
    /// (tokens, n_heads · head_dim)
    pub(crate) q: &'a mut [f32],
    /// (tokens, n_kv_heads · head_dim)
    pub(crate) k: &'a mut [f32],
    /// (tokens, n_kv_heads · head_dim)
    pub(crate) v: &'a [f32],
    pub(crate) q_stride: usize,
    pub(crate) kv_stride: usize,
}

impl AttentionBuffers<'_> {
    /// Computes the turns of `span`, which all layers share, or all with a window and all
    /// others.
    pub(crate) fn begin(
        &mut self,
        rope: &Rope<'_>,
        local: Option<&Rope<'_>>,
        rings: &Rings,
        span: Span,
    ) {
        self.queries.tokens = span.tokens;
        self.turns.compute(rope, &rings.whole, span);
        if let Some(rope) = local {
            self.local_turns.compute(rope, &rings.local, span);
        }
    }

    /// Writes the keys and values of `span` into `layer` of the cache, and makes its
    /// queries ready. Parts are kv heads, since each writes memory of its own.
    pub(crate) fn prepare(
        &mut self,
        machine: &Machine<'_>,
        cache: &mut Cache<'_>,
        at: Place<'_>,
        score_scale: f32,
        projected: Projected<'_>,
    ) {
        let Self { shape, turns, local_turns, turned, queries, .. } = self;
        let turns = if at.local_rope { local_turns } else { turns };
        let shape = &shape.cached_as(cache.kv());
        queries.apart = at.ring.is_apart(at.span.indices());
        let (tokens, group_dim) = (at.span.tokens, shape.width());
        let Projected { q, k, v, q_stride, kv_stride } = projected;
        let view = View {
            isa: machine.isa,
            shape,
            at,
            score_scale,
            v,
            kv_stride,
            turns: turns.window.view(shape.pairs),
            sink_turns: queries.apart.then(|| turns.sinks.view(shape.pairs)),
        };
        let q = Block::new(q, tokens, q_stride).columns(group_dim);
        let k = Block::new(k, tokens, kv_stride).columns(shape.head_dim);
        let ready =
            queries.window.heads_mut(shape, tokens).zip(queries.sinks.heads_mut(shape, tokens));
        let parts =
            cache.layer_mut(at.layer).zip(q.zip(k)).zip(ready.zip(turned.chunks_mut(group_dim)));
        let parts = parts.enumerate().filter_map(|(head, ((cached, (q, k)), (ready, turned)))| {
            Some(Part { head, cached, q, k, window: ready.0?, sinks: ready.1?, turned })
        });
        if tokens == 1 {
            parts.for_each(|part| view.prepare(part));
        } else {
            for_each(machine.exec, parts, |part| view.prepare(part));
        }
    }
}

impl TurnBuffers<'_> {
    fn view(&self, pairs: usize) -> Turns<'_> {
        Turns::new(self.cos, self.sin, pairs)
    }
}

impl RopeBuffers<'_> {
    fn compute(&mut self, rope: &Rope<'_>, ring: &Ring, span: Span) {
        let Self { window, sinks } = self;
        rope.turns(span.indices(), window.cos, window.sin);
        if ring.is_apart(span.indices()) {
            rope.turns(span.indices().map(|i| ring.place(i)), sinks.cos, sinks.sin);
        }
    }
}

/// What one part reads and writes alone: all that belongs to one kv head.
struct Part<'a> {
    head: usize,
    cached: KvMut<'a>,
    /// (tokens, group · head_dim)
    q: Block<'a, f32>,
    /// (tokens, head_dim)
    k: Block<'a, f32>,
    /// (tokens, group)
    window: QueriesMut<'a>,
    /// (tokens, group)
    sinks: QueriesMut<'a>,
    /// (group · head_dim)
    turned: &'a mut [f32],
}

/// What every part looks at.
struct View<'v> {
    isa: Isa,
    shape: &'v AttentionShape,
    at: Place<'v>,
    score_scale: f32,
    /// (tokens, n_kv_heads · head_dim)
    v: &'v [f32],
    kv_stride: usize,
    turns: Turns<'v>,
    /// Where the sinks' queries differ.
    sink_turns: Option<Turns<'v>>,
}

impl View<'_> {
    fn prepare(&self, mut part: Part<'_>) {
        for t in 0..self.at.span.tokens {
            self.write(t, &mut part);
            let q = part.q.row(t);
            if let Some(turns) = &self.sink_turns {
                let len = part.turned.len().min(q.len());
                let turned = part.turned.get_mut(..len).unwrap_or_default();
                turned.copy_from_slice(q.get(..len).unwrap_or_default());
                self.set(t, turned, turns, &mut part.sinks);
            }
            self.set(t, q, &self.turns, &mut part.window);
        }
    }

    /// Turns the key of token `t` and writes it with its value.
    fn write(&self, t: usize, part: &mut Part<'_>) {
        let head_dim = self.shape.head_dim;
        let (cos, sin) = self.turns.of(t);
        let key = part.k.row(t);
        if self.at.rotated {
            rotate(self.isa, key, head_dim, cos, sin);
        }
        let start = t * self.kv_stride + part.head * head_dim;
        let value = self.v.get(start..start + head_dim).unwrap_or_default();
        let slot = self.at.ring.slot(self.at.span.first + t as u64);
        part.cached.write(self.isa, slot, key, value);
    }

    /// Turns the queries of token `t`, `(group, head_dim)`, and makes them ready.
    fn set(&self, t: usize, q: &mut [f32], turns: &Turns<'_>, ready: &mut QueriesMut<'_>) {
        let AttentionShape { group, head_dim, .. } = *self.shape;
        let (cos, sin) = turns.of(t);
        if self.at.rotated {
            rotate(self.isa, q, head_dim, cos, sin);
        }
        for (i, q) in q.chunks_exact(head_dim.max(1)).enumerate() {
            ready.set(self.isa, t * group + i, q, self.score_scale);
        }
    }
}
