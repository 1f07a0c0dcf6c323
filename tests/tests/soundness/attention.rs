//! Attention, its cache, and what runs along the keys.

use std::cell::RefCell;
use std::ops::Range;

use oarlock::internal::kernels::{
    AlibiSlopes, Kv, KvMut, Queries, QueriesMut, ScoreModifier, SoftmaxState, attend, finish, merge,
};
use oarlock::{Isa, KvType};

use crate::hostile::Hostile;

/// The buffers of a run of one kv head.
struct Cache {
    kind: KvType,
    head_dim: usize,
    keys: Vec<u8>,
    values: Vec<u8>,
    key_scales: Vec<f32>,
    value_scales: Vec<f32>,
}

impl Cache {
    fn any(hostile: &mut Hostile, kind: KvType, dims: usize, tiles: usize) -> Self {
        let slots = 32 * tiles;
        let len = slots * dims.next_multiple_of(32) * kind.bytes();
        let lens = [
            hostile.len(len),
            hostile.len(len),
            hostile.len(slots * kind.key_scales(dims)),
            hostile.len(slots * kind.value_scales()),
        ];
        Self {
            kind: if hostile.one_in(20) { hostile.pick(&KvType::ALL) } else { kind },
            head_dim: hostile.about(dims),
            keys: hostile.bytes(lens[0]),
            values: hostile.bytes(lens[1]),
            key_scales: hostile.floats(lens[2]),
            value_scales: hostile.floats(lens[3]),
        }
    }

    fn write(&mut self, isa: Isa, slot: usize, [key, value]: [&[f32]; 2]) {
        let Self { kind, head_dim, keys, values, key_scales, value_scales } = self;
        KvMut { kind: *kind, head_dim: *head_dim, keys, values, key_scales, value_scales }
            .write(isa, slot, key, value);
    }

    fn view(&self) -> Kv<'_> {
        Kv {
            kind: self.kind,
            head_dim: self.head_dim,
            keys: &self.keys,
            values: &self.values,
            key_scales: &self.key_scales,
            value_scales: &self.value_scales,
        }
    }
}

/// The buffers of queries, or of what they have attended to.
struct Buffers {
    floats: Vec<f32>,
    quants: Vec<i8>,
    scales: Vec<f32>,
    sums: Vec<i32>,
    max: Vec<f32>,
    sum: Vec<f32>,
    acc: Vec<f32>,
}

impl Buffers {
    fn any(hostile: &mut Hostile, n: usize, dims: usize) -> Self {
        let padded = dims.next_multiple_of(32);
        let mut len = |wanted: usize| hostile.len(wanted);
        let lens = [n * padded, n * padded / 32, n, n * padded].map(&mut len);
        let [elements, blocks, queries, acc] = lens;
        let sums = hostile.bytes(4 * blocks);
        let sums = sums.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect();
        Self {
            floats: hostile.floats(elements),
            quants: hostile.quants(elements),
            scales: hostile.floats(blocks),
            sums,
            max: hostile.floats(queries),
            sum: hostile.floats(queries),
            acc: hostile.floats(acc),
        }
    }

    fn state(&mut self, dims: usize, n: usize, begun: bool) -> Option<SoftmaxState<'_>> {
        let Self { max, sum, acc, .. } = self;
        if begun {
            SoftmaxState::resume(dims, n, max, sum, acc)
        } else {
            SoftmaxState::new(dims, n, max, sum, acc)
        }
    }
}

fn range(hostile: &mut Hostile, slots: usize) -> Range<usize> {
    match hostile.random.below(6) {
        0 => hostile.absurd()..hostile.absurd(),
        1 => hostile.about(slots)..0,
        2 => 0..hostile.about(slots),
        _ => 3..slots.saturating_sub(2),
    }
}

/// One round.
pub fn round(hostile: &mut Hostile) {
    let (isa, kind) = (hostile.isa(), hostile.pick(&KvType::ALL));
    let (dims, n) =
        (hostile.pick(&[1, 20, 32, 64, 96, 512, 513]), hostile.pick(&[0, 1, 2, 3, 6, 7, 13, 26]));
    let tiles = hostile.pick(&[0, 1, 2, 3]);
    let mut cache = Cache::any(hostile, kind, dims, tiles);
    let len = hostile.len(dims);
    let (key, value) = (hostile.floats(len), hostile.floats(len));
    for _ in 0..3 {
        let slot = hostile.about(5);
        hostile.kernel("KvMut::write", || cache.write(isa, slot, [&key, &value]));
    }
    let [mut queries, mut total, mut later] = [0; 3].map(|_| Buffers::any(hostile, n, dims));
    let (dims, n, scale) = (hostile.about(dims), hostile.about(n), hostile.float());
    let i = hostile.about(n / 2);
    let Buffers { floats, quants, scales, sums, .. } = &mut queries;
    let set = hostile.one_in(2);
    hostile.kernel("QueriesMut::set", || {
        let ready = QueriesMut::new(kind, dims, n, floats, quants, scales, sums);
        if let (Some(mut ready), true) = (ready, set) {
            ready.set(isa, i, &key, scale);
            let _ = ready.view();
        }
    });
    if let Some(ready) = Queries::new(kind, dims, n, floats, quants, scales, sums) {
        let shape = (dims, n, 32 * tiles);
        attended(hostile, isa, (&ready, &cache), shape, [&mut total, &mut later]);
    }
    let (mut out, i) = (vec![0.0; len], hostile.about(n / 2));
    let sink = hostile.one_in(2).then(|| hostile.float());
    hostile.kernel("finish", || {
        if let Some(state) = total.state(dims, n, true) {
            finish(isa, &state, i, sink, &mut out);
        }
    });
}

/// Lets queries attend to slots that may not be there, and merges what comes of it.
fn attended(
    hostile: &mut Hostile,
    isa: Isa,
    (ready, cache): (&Queries<'_>, &Cache),
    (head_dim, n, slots): (usize, usize, usize),
    [total, later]: [&mut Buffers; 2],
) {
    let slopes = hostile.size() % 5;
    let slopes = hostile.floats(slopes);
    let cap = hostile.one_in(3).then(|| hostile.float());
    let (begun, alibi, reset) = (hostile.one_in(2), hostile.one_in(3), hostile.one_in(8));
    let fickle = hostile.one_in(3);
    let first = range(hostile, slots);
    let source = RefCell::new(Hostile::new(hostile.random.bits()));
    let visible = |_| if fickle { range(&mut source.borrow_mut(), slots) } else { first.clone() };
    let from = |_| source.borrow_mut().float();
    let modifier = ScoreModifier {
        soft_cap: cap,
        alibi: alibi.then_some(AlibiSlopes { each: &slopes, from: &from }),
    };
    let what = format!("attention of {:?} on {isa:?}", cache.kind);
    hostile.kernel(&what, || {
        let Some(mut state) = total.state(head_dim, n, begun) else { return };
        attend(isa, ready, &cache.view(), visible, Some(modifier), &mut state);
        if let Some(later) = later.state(head_dim, n, true) {
            merge(isa, &mut state, &later);
        }
        if reset {
            state.reset();
        }
    });
}
