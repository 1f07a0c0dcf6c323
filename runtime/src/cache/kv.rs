//! Keys and values of the tokens that are still in sight, in rings.

use super::ring::Run;
use crate::base::arena::Source;
use crate::base::carry::Carrier;
use crate::base::checked::{part, part_mut, present};
use crate::format::kv::{HEAD_ALIGN, KvType};
use crate::kernels::{Isa, Kv, KvMut, MAX_HEAD_DIM};

/// Dimensions that decide how large a cache is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CacheShape {
    pub(crate) kv: KvType,
    pub(crate) n_layers: usize,
    pub(crate) n_kv_heads: usize,
    pub(crate) head_dim: usize,
    /// Slots of storage: see [`Ring::max_slots`].
    pub(crate) slots: usize,
}

impl CacheShape {
    /// Bytes of one key, or value, of one kv head.
    fn slot_bytes(&self) -> Option<usize> {
        self.head_dim.checked_next_multiple_of(HEAD_ALIGN)?.checked_mul(self.kv.bytes())
    }

    /// Bytes of the keys, or of the values, of one kv head of one layer.
    fn head_bytes(&self) -> Option<usize> {
        self.slots.checked_mul(self.slot_bytes()?)
    }

    fn heads(&self) -> Option<usize> {
        self.n_layers.checked_mul(self.n_kv_heads)
    }

    /// Key scales of one kv head of one layer.
    fn head_key_scales(&self) -> Option<usize> {
        self.slots.checked_mul(self.kv.key_scales(self.head_dim))
    }

    /// Value scales of one kv head of one layer.
    fn head_value_scales(&self) -> usize {
        self.slots * self.kv.value_scales()
    }
}

/// Names one of a session's caches, by what its layers have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CacheClass {
    /// Whether the layer has a window of its own.
    pub(crate) local: bool,
    /// Whether its keys have outliers, and its type so is not that of the other layers.
    pub(crate) wide: bool,
}

impl CacheClass {
    /// Every class, in the order of their [`index`](Self::index).
    pub(crate) const ALL: [Self; 4] = [
        Self { local: false, wide: false },
        Self { local: false, wide: true },
        Self { local: true, wide: false },
        Self { local: true, wide: true },
    ];

    /// The class of a layer in a session whose cache is `kv`.
    pub(crate) fn new(local: bool, key_outliers: bool, kv: KvType) -> Self {
        Self { local, wide: kv.of_layer(key_outliers) != kv }
    }

    const fn index(self) -> usize {
        2 * self.local as usize + self.wide as usize
    }
}

/// The caches of a session, one for each [`CacheClass`]: of its layers, in their order.
pub(crate) struct Caches<'a>([Cache<'a>; 4]);

impl<'a> Caches<'a> {
    /// Takes the buffers of caches of these shapes. Those of a window come first, so that the far
    /// end of the slice, which is touched latest, is of those that see the whole context.
    pub(crate) fn carve(
        source: &mut impl Source<'a>,
        shape: impl Fn(CacheClass) -> CacheShape,
    ) -> Option<Self> {
        let [whole, whole_wide, local, local_wide] = CacheClass::ALL.map(shape);
        let local = Cache::carve(source, local)?;
        let local_wide = Cache::carve(source, local_wide)?;
        let whole_wide = Cache::carve(source, whole_wide)?;
        Some(Self([Cache::carve(source, whole)?, whole_wide, local, local_wide]))
    }

    /// The cache of a class.
    pub(crate) fn get_mut(&mut self, class: CacheClass) -> &mut Cache<'a> {
        let [whole, whole_wide, local, local_wide] = &mut self.0;
        match class.index() {
            0 => whole,
            1 => whole_wide,
            2 => local,
            _ => local_wide,
        }
    }
}

/// Counts the layers of each class that have been met, in the order of the model.
#[derive(Default)]
pub(crate) struct CacheIndex([usize; 4]);

impl CacheIndex {
    /// The index of the next layer, which is of this class, in its cache.
    pub(crate) fn next(&mut self, class: CacheClass) -> usize {
        let Some(next) = self.0.get_mut(class.index()) else { return 0 };
        *next += 1;
        *next - 1
    }
}

/// The cache of layers alike. Cells that no token has reached hold anything.
pub(crate) struct Cache<'a> {
    shape: CacheShape,
    /// (n_layers, n_kv_heads, slots, padded) of the type, in tiles
    keys: &'a mut [u8],
    /// (n_layers, n_kv_heads, slots, padded) of the type
    values: &'a mut [u8],
    /// (n_layers, n_kv_heads, slots, padded / 32), in tiles, if the type has scales
    key_scales: &'a mut [f32],
    /// (n_layers, n_kv_heads, slots), if the type has scales
    value_scales: &'a mut [f32],
}

impl<'a> Cache<'a> {
    /// Takes its buffers.
    pub(crate) fn carve(source: &mut impl Source<'a>, shape: CacheShape) -> Option<Self> {
        let bytes = shape.heads()?.checked_mul(shape.head_bytes()?);
        let key_scales = shape.heads()?.checked_mul(shape.head_key_scales()?);
        let value_scales = shape.heads()?.checked_mul(shape.head_value_scales());
        Some(Self {
            shape,
            keys: source.take(bytes)?,
            values: source.take(bytes)?,
            key_scales: source.take(key_scales)?,
            value_scales: source.take(value_scales)?,
        })
    }

    /// Type of its keys and values.
    pub(crate) fn kv(&self) -> KvType {
        self.shape.kv
    }

    /// The kv heads of a layer, to be written: a run of all slots each.
    pub(crate) fn layer_mut(&mut self, layer: usize) -> impl Iterator<Item = KvMut<'_>> {
        let (shape, heads) = (self.shape, self.shape.n_kv_heads);
        let bytes = present(shape.head_bytes());
        let scales = (present(shape.head_key_scales()), shape.head_value_scales());
        let mut keys = heads_of(self.keys, layer, heads, bytes);
        let mut values = heads_of(self.values, layer, heads, bytes);
        let mut key_scales = heads_of(self.key_scales, layer, heads, scales.0);
        let mut value_scales = heads_of(self.value_scales, layer, heads, scales.1);
        (0..heads).map(move |_| KvMut {
            kind: shape.kv,
            head_dim: shape.head_dim,
            keys: present(keys.next()),
            values: present(values.next()),
            key_scales: key_scales.next().unwrap_or_default(),
            value_scales: value_scales.next().unwrap_or_default(),
        })
    }

    /// Zeroes these slots of every kv head.
    pub(crate) fn blank(&mut self, slots: impl Iterator<Item = usize> + Clone) {
        let zeros = [0.0; MAX_HEAD_DIM];
        let zeros = part(&zeros, ..self.shape.head_dim);
        for layer in 0..self.shape.n_layers {
            for mut head in self.layer_mut(layer) {
                slots.clone().for_each(|slot| head.write(Isa::COMMON, slot, zeros, zeros));
            }
        }
    }

    /// Carries the first `slots` slots, whole tiles, of every kv head.
    pub(crate) fn carry<C: Carrier>(
        &mut self,
        slots: usize,
        carrier: &mut C,
    ) -> Result<(), C::Error> {
        let shape = self.shape;
        let bytes = slots * present(shape.slot_bytes());
        let key_scales = slots * shape.kv.key_scales(shape.head_dim);
        let value_scales = slots * shape.kv.value_scales();
        for layer in 0..shape.n_layers {
            for head in self.layer_mut(layer) {
                carrier.bytes(part_mut(head.keys, ..bytes))?;
                carrier.bytes(part_mut(head.values, ..bytes))?;
                carrier.cells(part_mut(head.key_scales, ..key_scales))?;
                carrier.cells(part_mut(head.value_scales, ..value_scales))?;
            }
        }
        Ok(())
    }

    /// The tiles of a run: the keys of one kv head of a layer, the values of another or the same.
    pub(crate) fn tiles(&self, layer: usize, keys: usize, values: usize, run: &Run) -> Kv<'_> {
        let shape = &self.shape;
        let first = |head| (layer * shape.n_kv_heads + head) * shape.slots + run.slot;
        let (keys, values) = (first(keys), first(values));
        let bytes = present(shape.slot_bytes());
        let (key, value) = (shape.kv.key_scales(shape.head_dim), shape.kv.value_scales());
        Kv {
            kind: shape.kv,
            head_dim: shape.head_dim,
            keys: part(self.keys, keys * bytes..(keys + run.slots) * bytes),
            values: part(self.values, values * bytes..(values + run.slots) * bytes),
            key_scales: part(self.key_scales, keys * key..(keys + run.slots) * key),
            value_scales: part(self.value_scales, values * value..(values + run.slots) * value),
        }
    }
}

/// The parts of each head of a layer, `each` long; none at all of a cache without scales.
fn heads_of<T>(
    all: &mut [T],
    layer: usize,
    heads: usize,
    each: usize,
) -> core::slice::ChunksExactMut<'_, T> {
    part_mut(all, layer * heads * each..(layer + 1) * heads * each).chunks_exact_mut(each.max(1))
}
