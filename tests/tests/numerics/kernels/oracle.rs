//! The definition of what every kernel must compute, written from docs/reference/numerics.md alone: one value at a
//! time, with the standard library's fma and square root, and none of the runtime's code.

use oarlock::internal::format::Activation;

/// The padding of a head, the keys of a tile, the columns of a block.
pub const BLOCK: usize = 32;

pub fn f16(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    let value = match exponent {
        0 => fraction * 2_f64.powi(-24),
        31 => f64::INFINITY,
        _ => (1.0 + fraction / 1024.0) * 2_f64.powi(exponent - 15),
    };
    (sign * value) as f32
}

/// The half nearest to `v`: of all there are, the closest, the even one of two.
pub fn to_f16(v: f32) -> u16 {
    let sign = if v.is_sign_negative() { 0x8000 } else { 0 };
    let v = v.abs().min(65504.0);
    let distance = |bits: u16| (f64::from(f16(bits)) - f64::from(v)).abs();
    // Bits of finite halves ascend with their values.
    let (mut low, mut high) = (0_u16, 0x7bff_u16);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if f16(middle) <= v { low = middle } else { high = middle }
    }
    let nearer =
        if distance(low) == distance(high) { low & 1 == 0 } else { distance(low) < distance(high) };
    sign | if nearer { low } else { high }
}

pub fn exp(v: f32) -> f32 {
    if v < -87.0 {
        return 0.0;
    }
    let v = if v > 88.0 { 88.0 } else { v };
    let n = f64::from(v.mul_add(std::f32::consts::LOG2_E, 12582912.0) - 12582912.0);
    let r = (n as f32).mul_add(-0.693_145_75, v);
    let r = (n as f32).mul_add(-1.428_606_8e-6, r);
    let p = 0.001_381_459_9_f32.mul_add(r, 0.008_368_717);
    let p = p.mul_add(r, 0.041_668_39);
    let p = p.mul_add(r, 0.166_665_21);
    let p = p.mul_add(r, 0.499_999_94);
    let p = p.mul_add(r, 1.0);
    let p = p.mul_add(r, 1.0);
    (f64::from(p) * 2_f64.powi(n as i32)) as f32
}

fn sigmoid(x: f32) -> f32 {
    let e = exp(-x.abs());
    if x >= 0.0 { 1.0 / (1.0 + e) } else { e / (1.0 + e) }
}

pub fn activation(activation: Activation, x: f32) -> f32 {
    match activation {
        Activation::Silu => x * sigmoid(x),
        Activation::GeluTanh => {
            let cube = x * x * x;
            x * sigmoid(1.595_769 * 0.044_715_f32.mul_add(cube, x))
        }
        Activation::GeluErf => {
            let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
            let t = 1.0 / 0.327_591_1_f32.mul_add(z, 1.0);
            let p = 1.061_405_4_f32.mul_add(t, -1.453_152);
            let p = p.mul_add(t, 1.421_413_8).mul_add(t, -0.284_496_74).mul_add(t, 0.254_829_6);
            let half = p * t * exp(-(z * z)) * 0.5;
            x * if x < 0.0 { half } else { 1.0 - half }
        }
        Activation::Relu => {
            if x > 0.0 {
                x
            } else {
                0.0
            }
        }
        Activation::ReluSquared => {
            if x > 0.0 {
                x * x
            } else {
                0.0
            }
        }
    }
}

pub fn soft_capped(x: f32, cap: f32) -> f32 {
    let y = x / cap;
    let e = exp(y.abs() * -2.0);
    let capped = (1.0 - e) / (1.0 + e) * cap;
    if y < 0.0 { 0.0 - capped } else { capped }
}

/// The tree 8-4-2-1.
fn tree(mut lanes: [f32; 16]) -> f32 {
    for apart in [8, 4, 2, 1] {
        for i in 0..apart {
            lanes[i] += lanes[i + apart];
        }
    }
    lanes[0]
}

/// Σ a·b by 16 strided partial sums.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 16];
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        lanes[i % 16] = a.mul_add(*b, lanes[i % 16]);
    }
    tree(lanes)
}

pub fn rms_norm(x: &[f32], gain: &[f32], eps: f32) -> Vec<f32> {
    let r = 1.0 / (dot(x, x) / x.len() as f32 + eps).sqrt();
    x.iter().zip(gain).map(|(x, g)| (x * r) * g).collect()
}

pub fn layer_norm(x: &[f32], gain: &[f32], bias: Option<&[f32]>, eps: f32) -> Vec<f32> {
    let mut lanes = [0.0_f32; 16];
    x.iter().enumerate().for_each(|(i, x)| lanes[i % 16] += x);
    let mean = tree(lanes) / x.len() as f32;
    let centred: Vec<f32> = x.iter().map(|x| x - mean).collect();
    let mut y = rms_norm(&centred, gain, eps);
    y.iter_mut().zip(bias.unwrap_or_default()).for_each(|(y, b)| *y += b);
    y
}

/// One head, whose first `2 · cos.len()` dimensions turn.
pub fn rotate(x: &[f32], cos: &[f32], sin: &[f32]) -> Vec<f32> {
    let (half, mut out) = (cos.len(), x.to_vec());
    for i in 0..half {
        let (x0, x1) = (x[i], x[i + half]);
        out[i] = x0.mul_add(cos[i], -(x1 * sin[i]));
        out[i + half] = x1.mul_add(cos[i], x0 * sin[i]);
    }
    out
}

/// Values with one scale.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantized {
    pub q: Vec<i32>,
    pub scale: f32,
}

impl Quantized {
    pub fn sum(&self) -> i32 {
        self.q.iter().sum()
    }
}

/// Any number of values with one scale: a block of activations or of a key, or a value.
pub fn quantize(x: &[f32]) -> Quantized {
    let amax = x.iter().map(|x| x.to_bits() & 0x7fff_ffff).max().unwrap_or(0);
    let amax = f32::from_bits(amax);
    if amax < 2_f32.powi(-100) || !amax.is_finite() {
        return Quantized { q: vec![0; x.len()], scale: 0.0 };
    }
    let inverse = 127.0 / amax;
    let q = x.iter().map(|x| (x * inverse).round_ties_even().clamp(-127.0, 127.0) as i32).collect();
    Quantized { q, scale: amax * (1.0 / 127.0) }
}

/// A weight matrix before it is packed.
pub struct Weights {
    pub rows: usize,
    pub cols: usize,
    pub values: Values,
}

pub enum Values {
    /// `(rows, cols)`
    Floats(Vec<f32>),
    /// `(rows, cols)` integers, `(rows, blocks)` f16 scales, and minima in int4a
    Blocks { q: Vec<i32>, scale: Vec<u16>, minimum: Option<Vec<u16>> },
}

impl Weights {
    /// One row's product with one token.
    pub fn product(&self, row: usize, x: &[f32]) -> f32 {
        let here = |v: &[f32]| v[row * self.cols..(row + 1) * self.cols].to_vec();
        let mut acc = 0.0_f32;
        match &self.values {
            Values::Floats(w) => {
                for (w, x) in here(w).iter().zip(x) {
                    acc = w.mul_add(*x, acc);
                }
            }
            Values::Blocks { q, scale, minimum } => {
                let blocks = self.cols.div_ceil(BLOCK);
                for (b, x) in x.chunks(BLOCK).enumerate() {
                    let w = &q[row * self.cols + b * BLOCK..];
                    let a = quantize(x);
                    let dot: i32 = w.iter().zip(&a.q).map(|(w, a)| w * a).sum();
                    let at = row * blocks + b;
                    acc = (dot as f32).mul_add(f16(scale[at]) * a.scale, acc);
                    if let Some(minimum) = minimum {
                        acc = (a.sum() as f32).mul_add(f16(minimum[at]) * a.scale, acc);
                    }
                }
            }
        }
        acc
    }

    /// The value of one weight.
    pub fn value(&self, row: usize, col: usize) -> f32 {
        let i = row * self.cols + col;
        match &self.values {
            Values::Floats(w) => w[i],
            Values::Blocks { q, scale, minimum } => {
                let at = row * self.cols.div_ceil(BLOCK) + col / BLOCK;
                let value = q[i] as f32 * f16(scale[at]);
                minimum.as_ref().map_or(value, |minimum| value + f16(minimum[at]))
            }
        }
    }
}

/// Types of cache.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cache {
    Int8,
    F16,
    F32,
}

/// The running softmax of one query.
#[derive(Clone, Debug)]
pub struct State {
    pub max: f32,
    pub sum: f32,
    pub acc: Vec<f32>,
}

/// One query and one KV split: `seen` are the indices of its keys, ascending; tiles are 32
/// keys. `None` if it sees nothing. `modifier` changes the score of a key.
pub fn attend(
    cache: Cache,
    query: &[f32],
    keys: &[Vec<f32>],
    values: &[Vec<f32>],
    seen: std::ops::Range<usize>,
    modifier: impl Fn(usize, f32) -> f32,
) -> Option<State> {
    let mut state: Option<State> = None;
    for tile in 0..keys.len().div_ceil(32) {
        let here: Vec<usize> = seen.clone().filter(|key| key / 32 == tile).collect();
        if here.is_empty() {
            continue;
        }
        let scores: Vec<f32> =
            here.iter().map(|&key| modifier(key, score(cache, query, &keys[key]))).collect();
        let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let before = state.unwrap_or(State { max: largest, sum: 0.0, acc: vec![0.0; query.len()] });
        let max = before.max.max(largest);
        let rescale = exp(before.max - max);
        let mut lanes = [0.0; 16];
        let mut acc: Vec<f32> = before.acc.iter().map(|acc| acc * rescale).collect();
        let p: Vec<f32> = scores.iter().map(|score| exp(score - max)).collect();
        for (key, p) in here.iter().zip(&p) {
            lanes[key % 16] += p;
        }
        let values: Vec<&[f32]> = here.iter().map(|&key| &*values[key]).collect();
        weigh(cache, &p, &values, &mut acc);
        state = Some(State { max, sum: before.sum.mul_add(rescale, tree(lanes)), acc });
    }
    state
}

fn score(cache: Cache, query: &[f32], key: &[f32]) -> f32 {
    match cache {
        Cache::Int8 => query.chunks(32).zip(key.chunks(32)).fold(0.0, |acc, (query, key)| {
            let (q, k) = (quantize(query), quantize(key));
            let dot: i32 = q.q.iter().zip(&k.q).map(|(q, k)| q * k).sum();
            (dot as f32).mul_add(q.scale * k.scale, acc)
        }),
        Cache::F16 => dot(query, &key.iter().map(|k| f16(to_f16(*k))).collect::<Vec<_>>()),
        Cache::F32 => dot(query, key),
    }
}

/// Adds the values of a tile's keys times their weights.
fn weigh(cache: Cache, p: &[f32], values: &[&[f32]], acc: &mut [f32]) {
    if cache == Cache::Int8 {
        let values: Vec<Quantized> = values.iter().map(|value| quantize(value)).collect();
        let weights: Vec<f32> = p.iter().zip(&values).map(|(p, v)| p * v.scale).collect();
        let weights = quantize(&weights);
        for (dim, acc) in acc.iter_mut().enumerate() {
            let dot: i32 = weights.q.iter().zip(&values).map(|(w, v)| w * v.q[dim]).sum();
            *acc = (dot as f32).mul_add(weights.scale, *acc);
        }
        return;
    }
    for (p, value) in p.iter().zip(values) {
        for (acc, v) in acc.iter_mut().zip(*value) {
            let v = if cache == Cache::F16 { f16(to_f16(*v)) } else { *v };
            *acc = p.mul_add(v, *acc);
        }
    }
}

pub fn merge(a: Option<State>, b: Option<State>) -> Option<State> {
    let (a, b) = match (a, b) {
        (Some(a), Some(b)) => (a, b),
        (a, b) => return a.or(b),
    };
    let max = a.max.max(b.max);
    let (of_a, of_b) = (exp(a.max - max), exp(b.max - max));
    let fold = |b: f32, a: f32| b.mul_add(of_b, a * of_a);
    let acc = b.acc.iter().zip(&a.acc).map(|(b, a)| fold(*b, *a)).collect();
    Some(State { max, sum: fold(b.sum, a.sum), acc })
}
