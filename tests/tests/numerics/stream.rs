//! A session against the definition: a plain transformer over the whole stream, which keeps
//! every key and computes each query from `docs/reference/numerics.md`, one after the other.

use std::ops::Range;

use oarlock::internal::format::layout::WeightType;
use oarlock::internal::format::{Config, Positions, Role};
use oarlock::internal::math::{exp, f16_to_f32, f32_to_f16, rint, sin_cos, sqrt};
use oarlock::{KvType, Machine, Model, Options, Session};
use oarlock_tests::{Aligned, Random, Synthetic, has_key_outliers};

/// Keys and values of one kv head of one layer, of the whole stream.
#[derive(Default)]
struct History {
    keys: Vec<Vec<f32>>,
    values: Vec<Vec<f32>>,
    /// Scales of each key, one for each 32 dimensions.
    key_scales: Vec<Vec<f32>>,
    value_scales: Vec<f32>,
}

/// The model of the paper over one token at a time, forgetting nothing.
struct Oracle<'m> {
    model: &'m Synthetic,
    options: Options,
    /// (n_layers, n_kv_heads)
    history: Vec<Vec<History>>,
    len: u64,
}

impl<'m> Oracle<'m> {
    fn new(model: &'m Synthetic, options: Options) -> Self {
        let heads = || (0..model.config.n_kv_heads).map(|_| History::default()).collect();
        let history = (0..model.config.n_layers).map(|_| heads()).collect();
        Self { model, options, history, len: 0 }
    }

    fn logits(&mut self, token: u32) -> Vec<f32> {
        let c = &self.model.config;
        let embedding = self.weight(Role::Embedding, None);
        let mut x = embedding[token as usize * c.dim..][..c.dim].to_vec();
        for layer in 0..c.n_layers {
            let normed = self.norm(&x, Role::AttnNorm, Some(layer));
            let attended = self.attention(layer, &normed);
            add(&mut x, &self.linear(&attended, Role::O, Role::OBias, layer));
            let normed = self.norm(&x, Role::FfnNorm, Some(layer));
            let gate = self.linear(&normed, Role::Gate, Role::GateBias, layer);
            let up = self.linear(&normed, Role::Up, Role::UpBias, layer);
            let gated: Vec<f32> = gate.iter().zip(&up).map(|(g, u)| silu(*g) * u).collect();
            add(&mut x, &self.linear(&gated, Role::Down, Role::DownBias, layer));
        }
        self.len += 1;
        let normed = self.norm(&x, Role::OutputNorm, None);
        let output = if c.tied { Role::Embedding } else { Role::Output };
        product(self.weight(output, None), &normed)
    }

    fn weight(&self, role: Role, layer: Option<usize>) -> &'m [f32] {
        self.model.tensor(role, layer).expect("every model has this tensor")
    }

    fn norm(&self, x: &[f32], gain: Role, layer: Option<usize>) -> Vec<f32> {
        let mean = strided(x.iter().map(|v| (*v, *v))) / x.len() as f32;
        let r = 1.0 / sqrt(mean + self.model.config.norm_eps);
        x.iter().zip(self.weight(gain, layer)).map(|(x, g)| (x * r) * g).collect()
    }

    fn linear(&self, x: &[f32], role: Role, bias: Role, layer: usize) -> Vec<f32> {
        let mut y = product(self.weight(role, Some(layer)), x);
        if let Some(bias) = self.model.tensor(bias, Some(layer)) {
            add(&mut y, bias);
        }
        y
    }

    fn attention(&mut self, layer: usize, x: &[f32]) -> Vec<f32> {
        let c = self.model.config;
        let q = self.linear(x, Role::Q, Role::QBias, layer);
        let k = self.linear(x, Role::K, Role::KBias, layer);
        let v = self.linear(x, Role::V, Role::VBias, layer);
        let here = self.options.base_position.wrapping_add(self.len);
        for head in 0..c.n_kv_heads {
            let of = |all: &[f32]| all[head * c.head_dim..][..c.head_dim].to_vec();
            let kv = self.kv(layer);
            let (key, key_scales) = stored(kv, &self.rotated(layer, &of(&k), here), 32);
            let (value, value_scales) = stored(kv, &of(&v), c.head_dim);
            let history = &mut self.history[layer][head];
            history.keys.push(key);
            history.values.push(value);
            history.key_scales.push(key_scales);
            history.value_scales.push(value_scales[0]);
        }
        let group = c.n_heads / c.n_kv_heads;
        let query = |h: usize, values: usize| {
            let history = (&self.history[layer][h / group], &self.history[layer][values]);
            self.query(layer, h, history, &q[h * c.head_dim..][..c.head_dim])
        };
        if c.differential {
            return self.diff_attention(layer, query);
        }
        (0..c.n_heads).flat_map(|h| query(h, h / group)).collect()
    }

    /// Differential attention: that of the second half of the heads, λ times, taken from that of the
    /// first half, each of the values of one head of either half of the key and value heads.
    fn diff_attention(&self, layer: usize, query: impl Fn(usize, usize) -> Vec<f32>) -> Vec<f32> {
        let c = &self.model.config;
        let lambda = self.weight(Role::Lambda, Some(layer))[0];
        let (half, kv_half) = (c.n_heads / 2, c.n_kv_heads / 2);
        let mut all = Vec::new();
        for h in 0..half {
            let own = h / (c.n_heads / c.n_kv_heads);
            let mut left = Vec::new();
            for values in [own, own + kv_half] {
                let (a, b) = (query(h, values), query(h + half, values));
                left.extend(a.iter().zip(&b).map(|(a, b)| fma(-lambda, *b, *a)));
            }
            all.extend(self.norm(&left, Role::DiffNorm, Some(layer)));
        }
        all
    }

    /// Attention of one query head: what it makes of the keys it sees, and of values, maybe another head's.
    fn query(
        &self,
        layer: usize,
        head: usize,
        history: (&History, &History),
        q: &[f32],
    ) -> Vec<f32> {
        let (n, mut s) = (self.options.context as u64, self.options.sinks as u64);
        let (i, mut w, mut reach) = (self.len, n - s, u64::MAX);
        if self.is_local(layer) {
            reach = self.model.config.window as u64;
            if reach <= w {
                (s, w) = (0, reach);
            }
        }
        let mut total = None;
        let place = i.min(n - 1);
        let sinks = self.made(layer, head, q, place);
        let first = (place + 1).saturating_sub(reach).min(s.min(i + 1));
        total = self.kv_split(history, &sinks, first..s.min(i + 1), 0, total);
        let window = self.made(layer, head, q, i);
        if i >= s {
            let first = (i + 1).saturating_sub(w).max(s);
            for split in (first - s) / 512..=(i - s) / 512 {
                let start = s + split * 512;
                let keys = first.max(start)..(i + 1).min(start + 512);
                total = self.kv_split(history, &window, keys, s, total);
            }
        }
        let total = total.expect("a query sees at least itself");
        let sink = self.model.tensor(Role::SinkLogits, Some(layer)).map(|logits| logits[head]);
        let sum = sink.map_or(total.sum, |sink| total.sum + exp(sink - total.max));
        total.acc.iter().map(|acc| acc / sum).collect()
    }

    /// Whether the layer sees no more than the model's window: as `Synthetic` has it.
    fn is_local(&self, layer: usize) -> bool {
        self.model.config.window > 0 && layer.is_multiple_of(2)
    }

    /// The query of a head as at `place` of the stream.
    fn made(&self, layer: usize, head: usize, q: &[f32], place: u64) -> Query {
        let position = self.options.base_position.wrapping_add(place);
        let kv = self.kv(layer);
        let (q, scales) = self.scaled(kv, &self.rotated(layer, q, position));
        let slope = self.model.tensor(Role::Slopes, None).map(|slopes| slopes[head]);
        Query { kv, q, scales, place, slope }
    }

    /// The score with key `j` once its modifiers are applied.
    fn modified(&self, query: &Query, j: usize, score: f32) -> f32 {
        let score = self.model.config.score_cap.map_or(score, |cap| {
            let y = score / cap;
            let e = exp(y.abs() * -2.0);
            let capped = (1.0 - e) / (1.0 + e) * cap;
            if y < 0.0 { 0.0 - capped } else { capped }
        });
        let distance = (query.place - j as u64) as f32;
        query.slope.map_or(score, |slope| fma(-slope, distance, score))
    }

    /// Folds the KV split of `keys`, whose tiles are aligned from index `origin` on.
    fn kv_split(
        &self,
        history: (&History, &History),
        q: &Query,
        keys: Range<u64>,
        origin: u64,
        total: Option<Softmax>,
    ) -> Option<Softmax> {
        let mut state: Option<Softmax> = None;
        let mut start = keys.start;
        while start < keys.end {
            let end = (origin + ((start - origin) / 32 + 1) * 32).min(keys.end);
            let keys: Vec<(usize, usize)> =
                (start..end).map(|j| (j as usize, ((j - origin) % 16) as usize)).collect();
            state = Some(self.tile(history, q, &keys, state));
            start = end;
        }
        match (total, state) {
            (Some(a), Some(b)) => Some(a.merged(&b)),
            (a, b) => a.or(b),
        }
    }

    fn tile(
        &self,
        (of_keys, of_values): (&History, &History),
        query: &Query,
        keys: &[(usize, usize)],
        before: Option<Softmax>,
    ) -> Softmax {
        let scores: Vec<f32> = keys
            .iter()
            .map(|&(j, _)| {
                let score = if query.kv == KvType::Int8 {
                    let blocks = query.q.chunks(32).zip(of_keys.keys[j].chunks(32));
                    let scales = query.scales.iter().zip(&of_keys.key_scales[j]);
                    blocks.zip(scales).fold(0.0, |acc, ((q, k), (q_scale, k_scale))| {
                        let products = q.iter().zip(k).map(|(q, k)| *q as i32 * *k as i32);
                        fma(products.sum::<i32>() as f32, q_scale * k_scale, acc)
                    })
                } else {
                    strided(query.q.iter().copied().zip(of_keys.keys[j].iter().copied()))
                };
                self.modified(query, j, score)
            })
            .collect();
        let largest = scores.iter().copied().reduce(max).expect("a tile has a key");
        let most = before.as_ref().map_or(largest, |b| max(b.max, largest));
        let p: Vec<f32> = scores.iter().map(|s| exp(s - most)).collect();
        let mut lanes = [0.0; 16];
        for (p, &(_, lane)) in p.iter().zip(keys) {
            lanes[lane] += p;
        }
        let (mut sum, mut acc) = (tree(lanes), vec![0.0; of_values.values[0].len()]);
        if let Some(before) = before {
            let alpha = exp(before.max - most);
            sum = fma(before.sum, alpha, sum);
            acc = before.acc.iter().map(|a| a * alpha).collect();
        }
        let keys: Vec<usize> = keys.iter().map(|(j, _)| *j).collect();
        weigh(query.kv, &p, &keys, of_values, &mut acc);
        Softmax { max: most, sum, acc }
    }

    fn rotated(&self, layer: usize, head: &[f32], position: u64) -> Vec<f32> {
        let (mut out, pairs) = (head.to_vec(), self.model.phases.len());
        // As `Synthetic` makes the second table.
        let slower = u32::from(self.model.config.local_rope && self.is_local(layer));
        for (i, phase) in self.model.phases.iter().enumerate() {
            let phase = phase >> slower;
            let (s, c) = sin_cos(phase.wrapping_mul(position));
            let (s, c) = (s * self.model.attention_factor, c * self.model.attention_factor);
            let (x0, x1) = (head[i], head[i + pairs]);
            out[i] = fma(x0, c, -(x1 * s));
            out[i + pairs] = fma(x1, c, x0 * s);
        }
        out
    }

    /// A query, scaled, with the scales of its quants where there are such.
    fn scaled(&self, kv: KvType, q: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let scaled: Vec<f32> = q.iter().map(|q| q * self.model.config.score_scale).collect();
        if kv == KvType::Int8 { quantized(&scaled, 32) } else { (scaled, vec![1.0]) }
    }

    /// The type of a layer's cache.
    fn kv(&self, layer: usize) -> KvType {
        let wide = has_key_outliers(&self.model.config, layer);
        if wide && self.options.kv == KvType::Int8 { KvType::F16 } else { self.options.kv }
    }
}

/// Adds the values of a tile's keys times their weights.
fn weigh(kv: KvType, p: &[f32], keys: &[usize], of_values: &History, acc: &mut [f32]) {
    if kv == KvType::Int8 {
        let weight = |(p, j): (&f32, &usize)| p * of_values.value_scales[*j];
        let weights: Vec<f32> = p.iter().zip(keys).map(weight).collect();
        let (quants, scale) = quantized_block(&weights);
        for (dim, acc) in acc.iter_mut().enumerate() {
            let products = quants.iter().zip(keys).map(|(q, j)| q * of_values.values[*j][dim]);
            *acc = fma(products.sum(), scale, *acc);
        }
        return;
    }
    for (p, &j) in p.iter().zip(keys) {
        for (acc, v) in acc.iter_mut().zip(&of_values.values[j]) {
            *acc = fma(*p, *v, *acc);
        }
    }
}

/// A key or value as cached, with the scale of each `block` dimensions.
fn stored(kv: KvType, head: &[f32], block: usize) -> (Vec<f32>, Vec<f32>) {
    match kv {
        KvType::Int8 => quantized(head, block),
        KvType::F16 => (head.iter().map(|v| f16_to_f32(f32_to_f16(*v))).collect(), vec![1.0]),
        KvType::F32 => (head.to_vec(), vec![1.0]),
    }
}

/// A query of one head, made ready.
struct Query {
    /// The type of cache of the keys that it meets.
    kv: KvType,
    q: Vec<f32>,
    /// Scales of its quants, where there are such.
    scales: Vec<f32>,
    /// The index in the stream from which distances to keys are counted.
    place: u64,
    /// The slope of its head, where there is one.
    slope: Option<f32>,
}

struct Softmax {
    max: f32,
    sum: f32,
    acc: Vec<f32>,
}

impl Softmax {
    fn merged(&self, b: &Self) -> Self {
        let most = max(self.max, b.max);
        let (x, y) = (exp(self.max - most), exp(b.max - most));
        let pairs = self.acc.iter().zip(&b.acc);
        let acc = pairs.map(|(acc_a, acc_b)| fma(*acc_b, y, acc_a * x)).collect();
        Self { max: most, sum: fma(b.sum, y, self.sum * x), acc }
    }
}

fn max(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// Quants, and the scale of each `block` of them.
fn quantized(head: &[f32], block: usize) -> (Vec<f32>, Vec<f32>) {
    let blocks: Vec<_> = head.chunks(block).map(quantized_block).collect();
    let quants = blocks.iter().flat_map(|(quants, _)| quants).copied().collect();
    (quants, blocks.iter().map(|(_, scale)| *scale).collect())
}

fn quantized_block(head: &[f32]) -> (Vec<f32>, f32) {
    let most = head.iter().map(|v| v.abs()).fold(0.0, max);
    if most < 2.0_f32.powi(-100) {
        return (vec![0.0; head.len()], 0.0);
    }
    let inverse = 127.0 / most;
    (head.iter().map(|v| rint(v * inverse).clamp(-127.0, 127.0)).collect(), most * (1.0 / 127.0))
}

fn product(weights: &[f32], x: &[f32]) -> Vec<f32> {
    let row = |row: &[f32]| row.iter().zip(x).fold(0.0, |acc, (w, x)| fma(*w, *x, acc));
    weights.chunks(x.len()).map(row).collect()
}

/// The standard library's.
fn fma(a: f32, b: f32, c: f32) -> f32 {
    a.mul_add(b, c)
}

fn add(x: &mut [f32], y: &[f32]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}

fn silu(x: f32) -> f32 {
    let e = exp(-x.abs());
    x * ((if x < 0.0 { e } else { 1.0 }) / (1.0 + e))
}

fn strided(pairs: impl Iterator<Item = (f32, f32)>) -> f32 {
    let mut lanes = [0.0; 16];
    for (i, (a, b)) in pairs.enumerate() {
        lanes[i % 16] = fma(a, b, lanes[i % 16]);
    }
    tree(lanes)
}

fn tree(mut lanes: [f32; 16]) -> f32 {
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
    }
    lanes[0]
}

fn config(n_heads: usize, n_kv_heads: usize, head_dim: usize, rot_dim: usize) -> Config {
    Config {
        vocab_size: 37,
        dim: 20,
        n_layers: 2,
        n_heads,
        n_kv_heads,
        head_dim,
        ffn_dim: 33,
        context: 4096,
        rot_dim,
        norm_eps: 1e-5,
        score_scale: 1.0 / (head_dim as f32).sqrt(),
        tied: n_heads == 4,
        ..Config::default()
    }
}

/// Feeds `tokens` in chunks of many sizes and compares all logits with the oracle's.
fn compare(model: &Synthetic, options: Options, tokens: &[u32]) {
    let opened = Model::open(&model.file).expect("a good file");
    let mut scratch = Aligned::zeroed(Session::bytes_needed(&opened, &options).expect("fits"));
    // Cells that no token has reached hold anything.
    scratch.fill(0xFF);
    let mut session = Session::new(opened, options, &mut scratch).expect("enough scratch");
    let mut oracle = Oracle::new(model, options);
    let mut fed = 0;
    for size in [1, 2, options.chunk, 2 * options.chunk + 1].into_iter().cycle() {
        let part = &tokens[fed..tokens.len().min(fed + size)];
        if part.is_empty() {
            break;
        }
        session
            .feed_each(&Machine::SCALAR, part, &mut |i, logits| {
                let expected = oracle.logits(part[i]);
                let same = logits.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits());
                assert_eq!(logits.len(), expected.len());
                assert!(same, "token {} of {options:?}", fed + i);
            })
            .expect("tokens of the vocabulary");
        fed += part.len();
    }
}

fn tokens(n: usize) -> Vec<u32> {
    let mut random = Random::new(7);
    (0..n).map(|_| random.below(37) as u32).collect()
}

fn options(context: usize, sinks: usize, kv: KvType, chunk: usize) -> Options {
    let base_position = if context.is_multiple_of(2) { 0 } else { u64::MAX - 20 };
    Options { context, sinks, kv, chunk, draft: 2, logit_rows: 3, base_position }
}

#[test]
fn every_query_sees_what_it_should() {
    let model = Synthetic::new(config(4, 2, 10, 6), WeightType::F32, 1);
    for kv in [KvType::F32, KvType::Int8, KvType::F16] {
        for (context, sinks, chunk) in
            [(2, 0, 1), (2, 1, 7), (7, 1, 5), (33, 0, 1), (33, 4, 64), (40, 20, 7), (80, 33, 32)]
        {
            compare(&model, options(context, sinks, kv, chunk), &tokens(2 * context + 150));
        }
    }
}

#[test]
fn heads_of_any_shape_attend() {
    for (heads, kv_heads, head_dim, rot_dim) in [(1, 1, 64, 64), (6, 2, 33, 32), (5, 5, 16, 4)] {
        let model = Synthetic::new(config(heads, kv_heads, head_dim, rot_dim), WeightType::F32, 2);
        for kv in [KvType::F32, KvType::Int8, KvType::F16] {
            compare(&model, options(48, 4, kv, 16), &tokens(160));
        }
    }
}

#[test]
fn kv_splits_are_merged_in_order() {
    let model = Synthetic::new(config(2, 1, 8, 8), WeightType::F32, 3);
    for (context, sinks) in [(600, 4), (1100, 540)] {
        compare(&model, options(context, sinks, KvType::Int8, 61), &tokens(2 * context + 100));
    }
}

/// Windows below, at and above what a session sees beside its sinks, with rotary frequencies of
/// their own; and a cap of scores.
#[test]
fn layers_with_a_window_see_no_more() {
    for window in [1, 5, 28, 29, 30, 32, 33, 40] {
        let config =
            Config { window, local_rope: true, score_cap: Some(3.0), ..config(4, 2, 10, 6) };
        let model = Synthetic::new(config, WeightType::F32, 4);
        for (sinks, chunk, kv) in [(4, 1, KvType::F32), (0, 64, KvType::Int8), (16, 7, KvType::F32)]
        {
            compare(&model, options(33, sinks, kv, chunk), &tokens(150));
        }
    }
}

/// Layers that an int8 cache keeps in f16, with a window of their own and without.
#[test]
fn layers_with_outliers_are_kept_in_f16() {
    for window in [0, 9] {
        let config = Config { window, key_outliers: true, n_layers: 5, ..config(4, 2, 36, 36) };
        let model = Synthetic::new(config, WeightType::F32, 7);
        for (sinks, chunk, kv) in [(4, 1, KvType::Int8), (0, 64, KvType::Int8), (4, 7, KvType::F32)]
        {
            compare(&model, options(33, sinks, kv, chunk), &tokens(150));
        }
    }
}

/// A logit of each head that no token has, where layers see all and where they have a window.
#[test]
fn sink_logits_take_their_part() {
    for window in [0, 9] {
        let config = Config { window, sink_logits: true, ..config(6, 2, 10, 6) };
        let model = Synthetic::new(config, WeightType::F32, 6);
        for (sinks, chunk, kv) in [(4, 1, KvType::F32), (0, 64, KvType::Int8), (16, 7, KvType::F16)]
        {
            compare(&model, options(33, sinks, kv, chunk), &tokens(150));
        }
    }
}

/// Differential attention, of one pair of heads and of several.
#[test]
fn half_the_heads_are_taken_off_the_other_half() {
    for (heads, kv_heads, head_dim, window) in [(2, 2, 36, 0), (8, 4, 10, 9)] {
        let config = Config {
            differential: true,
            sink_logits: window > 0,
            window,
            ..config(heads, kv_heads, head_dim, head_dim)
        };
        let model = Synthetic::new(config, WeightType::F32, 8);
        for (sinks, chunk, kv) in [(4, 1, KvType::F32), (0, 64, KvType::Int8), (16, 7, KvType::F16)]
        {
            compare(&model, options(33, sinks, kv, chunk), &tokens(150));
        }
    }
}

#[test]
fn distances_are_those_in_the_cache() {
    let linear = Config { positions: Positions::Alibi, ..config(4, 2, 10, 0) };
    for config in [linear, Config { window: 20, ..linear }] {
        let model = Synthetic::new(config, WeightType::F32, 5);
        for (sinks, chunk, kv) in [(4, 1, KvType::F32), (0, 64, KvType::Int8), (16, 7, KvType::F16)]
        {
            compare(&model, options(33, sinks, kv, chunk), &tokens(150));
        }
    }
}
