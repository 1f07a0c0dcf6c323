//! Attention over cached tiles: every kind of cache, head and range of keys.

use std::ops::Range;

use oarlock::Isa;
use oarlock::KvType;
use oarlock::internal::kernels::{
    AlibiSlopes, Kv, KvMut, QueriesMut, ScoreModifier, SoftmaxState, attend, finish, merge,
};
use oarlock_tests::{Random, isas};

use super::assert_bits;
use super::oracle::{self, Cache};

const SCORE_SCALE: f32 = 0.3;

/// A head's cache and what was written to it.
struct Head {
    kind: KvType,
    head_dim: usize,
    keys: Vec<Vec<f32>>,
    values: Vec<Vec<f32>>,
}

impl Head {
    fn random(kind: KvType, head_dim: usize, tiles: usize, random: &mut Random) -> Self {
        let mut rows = |slots: usize| -> Vec<Vec<f32>> {
            let scale = [1.0, 30.0, 0.0, 1e-3, 1.0];
            let mut row = |i: usize| -> Vec<f32> {
                (0..head_dim).map(|_| random.normal() as f32 * scale[i % 5]).collect()
            };
            (0..slots).map(&mut row).collect()
        };
        let (keys, values) = (rows(32 * tiles), rows(32 * tiles));
        Self { kind, head_dim, keys, values }
    }

    fn cache(&self) -> Cache {
        match self.kind {
            KvType::Int8 => Cache::Int8,
            KvType::F16 => Cache::F16,
            KvType::F32 => Cache::F32,
        }
    }

    /// Writes the keys in `written` and hands the run to `f`; all other slots hold NaN.
    fn with_kv<T>(&self, isa: Isa, written: Range<usize>, f: impl FnOnce(&Kv<'_>) -> T) -> T {
        let (slots, dims) = (self.keys.len(), self.head_dim.next_multiple_of(32));
        let mut keys = vec![0xff; slots * dims * self.kind.bytes()];
        let mut values = keys.clone();
        let mut key_scales = vec![f32::NAN; slots * self.kind.key_scales(self.head_dim)];
        let mut value_scales = vec![f32::NAN; slots * self.kind.value_scales()];
        let mut to = KvMut {
            kind: self.kind,
            head_dim: self.head_dim,
            keys: &mut keys,
            values: &mut values,
            key_scales: &mut key_scales,
            value_scales: &mut value_scales,
        };
        for slot in written {
            to.write(isa, slot, &self.keys[slot], &self.values[slot]);
        }
        f(&Kv {
            kind: self.kind,
            head_dim: self.head_dim,
            keys: &keys,
            values: &values,
            key_scales: &key_scales,
            value_scales: &value_scales,
        })
    }
}

/// Attends with all queries at once, and compares each with the oracle. Each gets its
/// keys in two splits, cut at a tile, which are merged.
fn check(head: &Head, queries: &[Vec<f32>], ranges: &[Range<usize>]) {
    for modifiers in [[false, false], [true, false], [false, true]] {
        check_modified(head, queries, ranges, modifiers);
    }
}

/// The cap of scores, and the slopes of three heads.
const CAP: f32 = 20.0;
const SLOPES: [f32; 3] = [0.5, 0.062_5, 1.3];

fn check_modified(
    head: &Head,
    queries: &[Vec<f32>],
    ranges: &[Range<usize>],
    [capped, sloped]: [bool; 2],
) {
    let (n, dim, dims) = (queries.len(), head.head_dim, head.head_dim.next_multiple_of(32));
    let cut = head.keys.len() / 64 * 32;
    let cut_ranges = |part: usize| -> Vec<Range<usize>> {
        let within = |r: &Range<usize>| match part {
            0 => r.start.min(cut)..r.end.min(cut),
            _ => r.start.max(cut)..r.end.max(cut),
        };
        ranges.iter().map(within).collect()
    };
    // Behind the last key.
    let from = |query: usize| (head.keys.len() + query) as f32;
    let written = ranges.iter().map(|r| r.start).min().unwrap_or(0)
        ..ranges.iter().map(|r| r.end).max().unwrap_or(0);
    for isa in isas() {
        let (mut x, mut q) = (vec![9.0; n * dims], vec![9; n * dims]);
        let (mut scale, mut sum) = (vec![9.0; n * dims / 32], vec![9; n * dims / 32]);
        let mut ready =
            QueriesMut::new(head.kind, dim, n, &mut x, &mut q, &mut scale, &mut sum).expect("room");
        for (i, query) in queries.iter().enumerate() {
            ready.set(isa, i, query, SCORE_SCALE);
        }
        let mut buffers = [0, 1].map(|_| (vec![9.0; n], vec![9.0; n], vec![9.0; n * dims]));
        let [mut first, mut second] = buffers
            .each_mut()
            .map(|(max, sum, acc)| SoftmaxState::new(dim, n, max, sum, acc).expect("large enough"));
        head.with_kv(isa, written.clone(), |kv| {
            for (part, state) in [&mut first, &mut second].into_iter().enumerate() {
                let ranges = cut_ranges(part);
                let slopes = AlibiSlopes { each: &SLOPES, from: &from };
                let modifier = ScoreModifier {
                    soft_cap: capped.then_some(CAP),
                    alibi: sloped.then_some(slopes),
                };
                let modifier = (capped || sloped).then_some(modifier);
                attend(isa, &ready.view(), kv, |i| ranges[i].clone(), modifier, state);
            }
        });
        merge(isa, &mut first, &second);
        for (i, query) in queries.iter().enumerate() {
            let scaled: Vec<f32> = query.iter().map(|x| x * SCORE_SCALE).collect();
            let part = |part: usize| {
                let seen = cut_ranges(part)[i].clone();
                let modifier = |key: usize, score: f32| match [capped, sloped] {
                    [true, _] => oracle::soft_capped(score, CAP),
                    [_, true] => (-SLOPES[i % 3]).mul_add(from(i) - key as f32, score),
                    _ => score,
                };
                oracle::attend(head.cache(), &scaled, &head.keys, &head.values, seen, modifier)
            };
            let Some(exact) = oracle::merge(part(0), part(1)) else { continue };
            // Without a sink, and with one near, far below and far above the scores.
            for sink in [None, Some(0.3), Some(-1e30), Some(1e3)] {
                let mut out = vec![7.0; dim];
                finish(isa, &first, i, sink, &mut out);
                let sum = exact.sum + sink.map_or(0.0, |sink| oracle::exp(sink - exact.max));
                let exact: Vec<f32> = exact.acc.iter().map(|acc| acc / sum).collect();
                assert_bits(&out, &exact, &(isa, head.kind, dim, &ranges[i], i, sink));
            }
        }
    }
}

fn queries(n: usize, head_dim: usize, random: &mut Random) -> Vec<Vec<f32>> {
    let mut query = |i: usize| -> Vec<f32> {
        let scale = [1.0, 5.0, 0.1, 0.0, 1.0][i % 5];
        (0..head_dim).map(|_| random.normal() as f32 * scale).collect()
    };
    (0..n).map(&mut query).collect()
}

const KINDS: [KvType; 3] = [KvType::Int8, KvType::F16, KvType::F32];

#[test]
fn heads_of_every_size() {
    let mut random = Random::new(31);
    for kind in KINDS {
        for head_dim in [1, 8, 15, 16, 17, 31, 32, 33, 64, 80, 96, 128, 256, 512] {
            let head = Head::random(kind, head_dim, 2, &mut random);
            for n in 1..=9 {
                let queries = queries(n, head_dim, &mut random);
                check(&head, &queries, &vec![0..64; n]);
            }
        }
    }
}

#[test]
fn ranges_of_every_kind() {
    let mut random = Random::new(32);
    for kind in KINDS {
        let head = Head::random(kind, 24, 4, &mut random);
        let edges = [0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 96, 127, 128];
        for start in edges {
            for end in edges.into_iter().filter(|end| *end > start) {
                let queries = queries(3, 24, &mut random);
                check(&head, &queries, &vec![start..end; 3]);
            }
        }
    }
}

#[test]
fn queries_that_see_different_keys_share_nothing() {
    let mut random = Random::new(33);
    for kind in KINDS {
        let head = Head::random(kind, 64, 4, &mut random);
        for n in [2, 7, 12, 24] {
            let queries = queries(n, 64, &mut random);
            // A chunk: pairs of queries, each pair seeing one key more and one less.
            let chunk: Vec<_> = (0..n).map(|i| i / 2 + 3..i / 2 + 90).collect();
            check(&head, &queries, &chunk);
            let any: Vec<_> = (0..n)
                .map(|_| {
                    let start = random.below(127);
                    start..start + random.below(129 - start)
                })
                .collect();
            check(&head, &queries, &any);
        }
    }
}

#[test]
fn weights_of_any_magnitude_are_quantized_as_activations_are() {
    let mut random = Random::new(35);
    // Values that are cached, and whose weights are on either side of what counts as zero.
    for magnitude in [1e-29_f32, 9e-29, 2e-28, 1e-20, 1e30] {
        let mut head = Head::random(KvType::Int8, 16, 2, &mut random);
        for value in head.values.iter_mut().flatten() {
            *value = random.normal() as f32 * magnitude;
        }
        for n in [1, 3, 12] {
            let queries = queries(n, 16, &mut random);
            check(&head, &queries, &vec![0..64; n]);
            check(&head, &queries, &vec![3..50; n]);
        }
    }
}

#[test]
fn halves_saturate_in_the_cache() {
    let mut random = Random::new(34);
    let mut head = Head::random(KvType::F16, 16, 1, &mut random);
    for value in [65519.0, 65520.0, -70000.0, 1e30, 6e-8, 2.9e-8, -3e-8, 65504.0] {
        head.values[5] = vec![value; 16];
        head.keys[5] = vec![value.clamp(-1.0, 1.0); 16];
        let queries = queries(1, 16, &mut random);
        check(&head, &queries, std::slice::from_ref(&(0..32)));
        // Alone, its weight is 1 and the value itself comes out.
        check(&head, &queries, std::slice::from_ref(&(5..6)));
    }
}
