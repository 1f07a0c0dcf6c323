//! Queries, keys and values on their way to attention: rotated, quantized, written.

use super::buffers::{AngleBuffers, AttentionBuffers, AttentionShape, RopeBuffers};
use super::layer::{AttentionLayer, Span};
use super::rope::{Rope, RotaryAngles};
use crate::base::checked::{nonzero, part, part_mut};
use crate::base::disjoint::{MatrixMut, for_each};
use crate::cache::{Cache, Ring, Rings};
use crate::kernels::{Isa, KvMut, Machine, QueriesMut, rotate};

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
    /// Computes the rotary angles of `span`: one set for layers with a window of their own, one for
    /// all others.
    pub(crate) fn compute_angles(
        &mut self,
        rope: &Rope<'_>,
        local: Option<&Rope<'_>>,
        rings: &Rings,
        span: Span,
    ) {
        self.queries.tokens = span.tokens;
        self.angles.compute(rope, &rings.whole, span);
        if let Some(rope) = local {
            self.local_angles.compute(rope, &rings.local, span);
        }
    }

    /// Writes the keys and values of `span` into `layer` of the cache, and makes its
    /// queries ready. Parts are kv heads, since each writes memory of its own.
    pub(crate) fn prepare(
        &mut self,
        machine: &Machine<'_>,
        cache: &mut Cache<'_>,
        at: AttentionLayer<'_>,
        score_scale: f32,
        projected: Projected<'_>,
    ) {
        let Self { shape, angles, local_angles, rotated, queries, .. } = self;
        let angles = if at.local_rope { local_angles } else { angles };
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
            angles: angles.window.view(shape.pairs),
            sink_angles: queries.apart.then(|| angles.sinks.view(shape.pairs)),
        };
        let q = MatrixMut::new(q, tokens, q_stride).columns(group_dim);
        let k = MatrixMut::new(k, tokens, kv_stride).columns(shape.head_dim);
        let ready =
            queries.window.heads_mut(shape, tokens).zip(queries.sinks.heads_mut(shape, tokens));
        let parts =
            cache.layer_mut(at.layer).zip(q.zip(k)).zip(ready.zip(rotated.chunks_mut(group_dim)));
        let parts = parts.enumerate().filter_map(|(head, ((cached, (q, k)), (ready, rotated)))| {
            Some(Part { head, cached, q, k, window: ready.0?, sinks: ready.1?, rotated })
        });
        if tokens == 1 {
            parts.for_each(|part| view.prepare(part));
        } else {
            for_each(machine.exec, parts, |part| view.prepare(part));
        }
    }
}

impl AngleBuffers<'_> {
    fn view(&self, pairs: usize) -> RotaryAngles<'_> {
        RotaryAngles::new(self.cos, self.sin, pairs)
    }
}

impl RopeBuffers<'_> {
    fn compute(&mut self, rope: &Rope<'_>, ring: &Ring, span: Span) {
        let Self { window, sinks } = self;
        rope.angles(span.indices(), window.cos, window.sin);
        if ring.is_apart(span.indices()) {
            rope.angles(span.indices().map(|i| ring.position_for_sinks(i)), sinks.cos, sinks.sin);
        }
    }
}

/// A part of the loop: all that belongs to one kv head.
struct Part<'a> {
    head: usize,
    cached: KvMut<'a>,
    /// (tokens, group · head_dim)
    q: MatrixMut<'a, f32>,
    /// (tokens, head_dim)
    k: MatrixMut<'a, f32>,
    /// (tokens, group)
    window: QueriesMut<'a>,
    /// (tokens, group)
    sinks: QueriesMut<'a>,
    /// (group · head_dim)
    rotated: &'a mut [f32],
}

/// Inputs that all parts share.
struct View<'v> {
    isa: Isa,
    shape: &'v AttentionShape,
    at: AttentionLayer<'v>,
    score_scale: f32,
    /// (tokens, n_kv_heads · head_dim)
    v: &'v [f32],
    kv_stride: usize,
    angles: RotaryAngles<'v>,
    /// Angles of the sinks' queries, where they differ.
    sink_angles: Option<RotaryAngles<'v>>,
}

impl View<'_> {
    fn prepare(&self, mut work: Part<'_>) {
        for t in 0..self.at.span.tokens {
            self.write(t, &mut work);
            let q = work.q.row(t);
            if let Some(angles) = &self.sink_angles {
                for (to, from) in work.rotated.iter_mut().zip(q.iter()) {
                    *to = *from;
                }
                let rotated = part_mut(work.rotated, ..q.len());
                self.set(t, rotated, angles, &mut work.sinks);
            }
            self.set(t, q, &self.angles, &mut work.window);
        }
    }

    /// Rotates the key of token `t` and writes it with its value.
    fn write(&self, t: usize, work: &mut Part<'_>) {
        let head_dim = self.shape.head_dim;
        let (cos, sin) = self.angles.row(t);
        let key = work.k.row(t);
        if self.at.rope {
            rotate(self.isa, key, head_dim, cos, sin);
        }
        let start = t * self.kv_stride + work.head * head_dim;
        let value = part(self.v, start..start + head_dim);
        let slot = self.at.ring.slot(self.at.span.first + t as u64);
        work.cached.write(self.isa, slot, key, value);
    }

    /// Rotates the queries of token `t`, `(group, head_dim)`, and makes them ready.
    fn set(&self, t: usize, q: &mut [f32], angles: &RotaryAngles<'_>, ready: &mut QueriesMut<'_>) {
        let AttentionShape { group, head_dim, .. } = *self.shape;
        let (cos, sin) = angles.row(t);
        if self.at.rope {
            rotate(self.isa, q, head_dim, cos, sin);
        }
        for (i, q) in q.chunks_exact(nonzero(head_dim)).enumerate() {
            ready.set(self.isa, t * group + i, q, self.score_scale);
        }
    }
}
