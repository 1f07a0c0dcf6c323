//! Buffers of attention, carved once.

use crate::base::arena::Source;
use crate::base::checked::{nonzero, part_mut};
use crate::format::kv::{HEAD_ALIGN, KvType};
use crate::kernels::{Queries, QueriesMut, SoftmaxState};

/// Dimensions that decide how large the buffers are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttentionShape {
    /// Type of the cache: of layers without outliers, until [`AttentionShape::cached_as`] says.
    pub(crate) kv: KvType,
    /// Whether layers have outliers, and may so be cached otherwise than the rest.
    pub(crate) key_outliers: bool,
    pub(crate) n_kv_heads: usize,
    /// Query heads that share a kv head.
    pub(crate) group: usize,
    pub(crate) head_dim: usize,
    /// Whether each half of the heads attends to the values of both: then all heads attend
    /// twice, to values of the first half and to those of the second.
    pub(crate) differential: bool,
    /// rot_dim / 2
    pub(crate) pairs: usize,
    /// `pairs` of layers with frequencies of their own; 0 if there are none.
    pub(crate) local_pairs: usize,
    /// Most tokens that go through together.
    pub(crate) chunk: usize,
    /// Most KV splits that one query sees, that of the sinks included.
    pub(crate) kv_splits: usize,
}

impl AttentionShape {
    /// The same for a layer whose cache is of this type.
    pub(super) fn cached_as(self, kv: KvType) -> Self {
        Self { kv, ..self }
    }

    /// Elements from one head to the next, where kernels read them.
    fn padded(&self) -> usize {
        self.head_dim.next_multiple_of(HEAD_ALIGN)
    }

    /// Elements of the heads that share a kv head. (Never 0: no head is empty.)
    pub(super) fn width(&self) -> usize {
        nonzero(self.group * self.head_dim)
    }

    /// Passes over the cache: one for each kv head, or two where attention is differential.
    pub(super) fn passes(&self) -> usize {
        if self.differential { 2 * self.n_kv_heads } else { self.n_kv_heads }
    }

    /// The kv heads whose keys and whose values the `n`th pass reads.
    pub(super) fn heads(&self, n: usize) -> Heads {
        if !self.differential {
            return Heads { keys: n, values: n };
        }
        let half = nonzero(self.n_kv_heads / 2);
        // All keys with the values of the first half, then all with those of the second.
        let keys = n.checked_rem(self.n_kv_heads).unwrap_or(0);
        let values = n.checked_div(self.n_kv_heads).unwrap_or(0) * half + keys % half;
        Heads { keys, values }
    }

    /// Index of the token that a query belongs to: each has one for every head of a group.
    pub(super) fn token(&self, query: usize) -> usize {
        query / nonzero(self.group)
    }

    /// Query heads of `items` of each of `heads` kv heads.
    fn rows(&self, heads: usize, items: usize) -> Option<usize> {
        heads.checked_mul(self.group)?.checked_mul(items)
    }
}

/// Two kv heads, by their indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Heads {
    pub(super) keys: usize,
    pub(super) values: usize,
}

pub(crate) struct AttentionBuffers<'a> {
    pub(super) shape: AttentionShape,
    pub(super) angles: RopeBuffers<'a>,
    /// Angles of layers with frequencies of their own.
    pub(super) local_angles: RopeBuffers<'a>,
    /// (n_kv_heads, group · head_dim): a token's queries on their way to the sinks
    pub(super) rotated: &'a mut [f32],
    pub(super) queries: QueryBuffers<'a>,
    /// Softmax states of one KV split: (passes, chunk or splits, group).
    pub(super) kv_split: SoftmaxStates<'a>,
    /// Softmax states of all splits so far: (passes, chunk, group).
    pub(super) total: SoftmaxStates<'a>,
}

/// Rotary angles of a chunk.
pub(super) struct RopeBuffers<'a> {
    /// Angles of the window's queries, and of the keys.
    pub(super) window: AngleBuffers<'a>,
    /// Angles of the sinks' queries, where those differ.
    pub(super) sinks: AngleBuffers<'a>,
}

/// Cosines and sines: (chunk, rot_dim / 2) each.
pub(super) struct AngleBuffers<'a> {
    pub(super) cos: &'a mut [f32],
    pub(super) sin: &'a mut [f32],
}

/// Queries rotated for the window and, where that differs, for the sinks.
pub(super) struct QueryBuffers<'a> {
    pub(super) window: PreparedQueries<'a>,
    pub(super) sinks: PreparedQueries<'a>,
    /// Whether the sinks have queries of their own.
    pub(super) apart: bool,
    /// Tokens that there are queries of.
    pub(super) tokens: usize,
}

/// (n_kv_heads, tokens, group) queries, in floats or in quants whose blocks of 32 have a
/// scale and a sum each.
pub(super) struct PreparedQueries<'a> {
    /// (queries, padded)
    floats: &'a mut [f32],
    /// (queries, padded)
    quants: &'a mut [i8],
    /// (queries, padded / 32)
    scales: &'a mut [f32],
    /// (queries, padded / 32)
    sums: &'a mut [i32],
}

/// Online-softmax states (arXiv 1805.02867) of queries, `group` of them to an item.
pub(super) struct SoftmaxStates<'a> {
    /// (items, group)
    max: &'a mut [f32],
    /// (items, group)
    sum: &'a mut [f32],
    /// (items, group, padded)
    acc: &'a mut [f32],
}

impl<'a> AttentionBuffers<'a> {
    pub(crate) fn carve(source: &mut impl Source<'a>, shape: AttentionShape) -> Option<Self> {
        Some(Self {
            shape,
            angles: RopeBuffers::carve(source, &shape, shape.pairs)?,
            local_angles: RopeBuffers::carve(source, &shape, shape.local_pairs)?,
            rotated: source.take(shape.rows(shape.n_kv_heads, 1)?.checked_mul(shape.head_dim))?,
            queries: QueryBuffers {
                window: PreparedQueries::carve(source, &shape)?,
                sinks: PreparedQueries::carve(source, &shape)?,
                apart: false,
                tokens: 0,
            },
            kv_split: SoftmaxStates::carve(source, &shape, shape.chunk.max(shape.kv_splits))?,
            total: SoftmaxStates::carve(source, &shape, shape.chunk)?,
        })
    }
}

impl<'a> RopeBuffers<'a> {
    fn carve(source: &mut impl Source<'a>, shape: &AttentionShape, pairs: usize) -> Option<Self> {
        Some(Self {
            window: AngleBuffers::carve(source, shape, pairs)?,
            sinks: AngleBuffers::carve(source, shape, pairs)?,
        })
    }
}

impl<'a> AngleBuffers<'a> {
    fn carve(source: &mut impl Source<'a>, shape: &AttentionShape, pairs: usize) -> Option<Self> {
        let len = shape.chunk.checked_mul(pairs);
        Some(Self { cos: source.take(len)?, sin: source.take(len)? })
    }
}

impl QueryBuffers<'_> {
    /// The queries that share kv head `head`, of `tokens` tokens from the `start`th on:
    /// for the window, and for the sinks.
    pub(super) fn head(
        &self,
        shape: &AttentionShape,
        head: usize,
        start: usize,
        tokens: usize,
    ) -> [Option<Queries<'_>>; 2] {
        let (first, n) = ((head * self.tokens + start) * shape.group, tokens * shape.group);
        let window = self.window.view(shape, first, n);
        [window, if self.apart { self.sinks.view(shape, first, n) } else { window }]
    }
}

impl<'a> PreparedQueries<'a> {
    fn carve(source: &mut impl Source<'a>, shape: &AttentionShape) -> Option<Self> {
        let rows = shape.rows(shape.n_kv_heads, shape.chunk)?;
        let elements = rows.checked_mul(shape.padded())?;
        let scales = rows.checked_mul(shape.kv.key_scales(shape.head_dim))?;
        let has_quants = shape.kv == KvType::Int8;
        let has_floats = !has_quants || shape.key_outliers;
        Some(Self {
            floats: source.take(Some(if has_floats { elements } else { 0 }))?,
            quants: source.take(Some(if has_quants { elements } else { 0 }))?,
            scales: source.take(Some(scales))?,
            sums: source.take(Some(scales))?,
        })
    }

    /// The queries of each kv head in turn, to be written. The type of the cache decides whether
    /// there are floats or quants; of the others there is nothing.
    pub(super) fn heads_mut(
        &mut self,
        shape: &AttentionShape,
        tokens: usize,
    ) -> impl Iterator<Item = Option<QueriesMut<'_>>> {
        let (shape, n) = (*shape, tokens * shape.group);
        let elements = (n * shape.padded()).max(1);
        let blocks = (n * shape.kv.key_scales(shape.head_dim)).max(1);
        let mut floats = self.floats.chunks_mut(elements);
        let mut quants = self.quants.chunks_mut(elements);
        let mut scales = self.scales.chunks_mut(blocks);
        let mut sums = self.sums.chunks_mut(blocks);
        (0..shape.n_kv_heads).map(move |_| {
            QueriesMut::new(
                shape.kv,
                shape.head_dim,
                n,
                floats.next().unwrap_or_default(),
                quants.next().unwrap_or_default(),
                scales.next().unwrap_or_default(),
                sums.next().unwrap_or_default(),
            )
        })
    }

    /// `n` queries from the `first`th on.
    fn view(&self, shape: &AttentionShape, first: usize, n: usize) -> Option<Queries<'_>> {
        let each = |len: usize| first * len..(first + n) * len;
        let (elements, blocks) = (each(shape.padded()), each(shape.kv.key_scales(shape.head_dim)));
        Queries::new(
            shape.kv,
            shape.head_dim,
            n,
            self.floats.get(elements.clone()).unwrap_or_default(),
            self.quants.get(elements).unwrap_or_default(),
            self.scales.get(blocks.clone()).unwrap_or_default(),
            self.sums.get(blocks).unwrap_or_default(),
        )
    }
}

impl<'a> SoftmaxStates<'a> {
    fn carve(source: &mut impl Source<'a>, shape: &AttentionShape, items: usize) -> Option<Self> {
        let rows = shape.rows(shape.passes(), items);
        Some(Self {
            max: source.take(rows)?,
            sum: source.take(rows)?,
            acc: source.take(rows?.checked_mul(shape.padded()))?,
        })
    }

    /// The first `items` items, `each` at a time.
    pub(super) fn chunks_mut(
        &mut self,
        shape: &AttentionShape,
        items: usize,
        each: usize,
    ) -> impl Iterator<Item = SoftmaxStates<'_>> {
        let rows = items * shape.group;
        let this = SoftmaxStates {
            max: part_mut(self.max, ..rows),
            sum: part_mut(self.sum, ..rows),
            acc: part_mut(self.acc, ..rows * shape.padded()),
        };
        this.into_chunks(shape, each)
    }

    /// `each` items at a time.
    pub(super) fn into_chunks(
        self,
        shape: &AttentionShape,
        each: usize,
    ) -> impl Iterator<Item = SoftmaxStates<'a>> + use<'a> {
        let rows = nonzero(each * shape.group);
        let elements = nonzero(rows * shape.padded());
        let both = self.sum.chunks_mut(rows).zip(self.acc.chunks_mut(elements));
        self.max.chunks_mut(rows).zip(both).map(|(max, (sum, acc))| SoftmaxStates { max, sum, acc })
    }

    /// All items as the kernels take them, as they were left.
    pub(super) fn kernel(&mut self, shape: &AttentionShape) -> Option<SoftmaxState<'_>> {
        SoftmaxState::resume(shape.head_dim, self.max.len(), self.max, self.sum, self.acc)
    }
}
