//! Measures the kernels on this machine: weight bytes a second for one token,
//! multiply-adds a second for several. Not a test: it prints and compares nothing.
//!
//! `cargo run --release -p oarlock-tests --example kernels [THREADS]`

use std::time::{Duration, Instant};

use oarlock::KvType;
use oarlock::internal::format::kv::KV_SPLIT_KEYS;
use oarlock::internal::format::layout::{WeightType, blocks, matrix_bytes};
use oarlock::internal::format::matrix::{Linear, Matrix};
use oarlock::internal::kernels::{
    Input, Job, Kv, QuantizedActivationsMut, QueriesMut, SoftmaxState, Task, attend, matmul,
};
use oarlock::{Isa, Machine};
use oarlock_tests::{Aligned, Random, Threads, isas};

const COLS: usize = 2048;
/// Larger than the caches of the machines in question.
const DECODE_BYTES: usize = 128 << 20;
const PREFILL_ROWS: usize = 1536;
const PREFILL_TOKENS: usize = 64;
const CACHE_BYTES: usize = 64 << 20;
/// Time for which a measurement is repeated, of which the least counts: long enough for the clock,
/// short enough to find a moment undisturbed.
const PATIENCE: Duration = Duration::from_millis(300);

fn main() {
    let threads = std::env::args().nth(1).map_or(1, |n| n.parse().expect("THREADS: a number"));
    for isa in isas().into_iter().rev().filter(|&isa| isa != Isa::SCALAR) {
        println!("{}, {threads} threads", isa.name());
        let machine = Machine { isa, exec: &Threads(threads) };
        for kind in WeightType::ALL.into_iter().rev() {
            let rows = DECODE_BYTES / matrix_bytes(kind, 16, COLS).expect("small") * 16;
            let decode = products(&machine, kind, rows, COLS, 1);
            let bytes = matrix_bytes(kind, rows, COLS).expect("fits") as f64;
            print!("{:6} decode {:6.1} GB/s", kind.name(), bytes / decode / 1e9);
            for cols in [576, COLS] {
                let prefill = products(&machine, kind, PREFILL_ROWS, cols, PREFILL_TOKENS);
                let macs = (PREFILL_ROWS * cols * PREFILL_TOKENS) as f64;
                print!("   prefill {cols}: {:6.1} GMAC/s", macs / prefill / 1e9);
            }
            println!();
        }
        for kind in [KvType::Int8, KvType::F16, KvType::F32] {
            for (what, queries, blocks) in [("decode", 3, 1), ("prefill", 24, 8)] {
                let time = attention(isa, kind, queries, blocks);
                let macs = (2 * queries * 64) as f64;
                print!("attention {:5} {what} {:6.1} GMAC/s   ", kind.name(), macs / time / 1e9);
            }
            println!();
        }
    }
}

/// The least of several times.
fn best(mut f: impl FnMut()) -> f64 {
    let begin = Instant::now();
    let mut least = f64::INFINITY;
    while begin.elapsed() < PATIENCE {
        let start = Instant::now();
        f();
        least = least.min(start.elapsed().as_secs_f64());
    }
    least
}

/// Seconds of one product.
fn products(machine: &Machine<'_>, kind: WeightType, rows: usize, cols: usize, n: usize) -> f64 {
    let mut bytes = Aligned::zeroed(matrix_bytes(kind, rows, cols).expect("fits"));
    // Any bit pattern is as good, but for exponents that would make subnormal sums.
    let mut random = Random::new(1);
    for chunk in bytes.chunks_exact_mut(4) {
        let word = random.bits() as u32 & 0x2fff_2fff;
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    let weight = Matrix::new(kind, rows, cols, &bytes).expect("exact length");
    let x: Vec<f32> = (0..n * cols).map(|_| random.normal() as f32).collect();
    let len = n * blocks(cols);
    let (mut q, mut scale, mut sum) = (vec![0; len * 32], vec![0.0; len], vec![0.0; len]);
    let mut acts =
        QuantizedActivationsMut::new(n, cols, &mut q, &mut scale, &mut sum).expect("large enough");
    for (token, x) in x.chunks_exact(cols).enumerate() {
        acts.quantize(machine.isa, token, x);
    }
    let input = Input { n, cols, x: &x, stride: cols, acts: Some(acts.view()) };
    let mut out = vec![0.0; n * rows];
    let task = Task::Store(Linear { weight, bias: None });
    best(|| matmul(machine, &mut [Job { input, task, out: &mut out, stride: rows }]))
}

/// Seconds for which `n` queries of a head of 64 dimensions look at one key, as in a model
/// whose cache is larger than those of the machine: blocks of queries go through `KEYS` keys of
/// one head one after the other, and then through those of the next.
fn attention(isa: Isa, kind: KvType, n: usize, blocks: usize) -> f64 {
    const DIMS: usize = 64;
    const KEYS: usize = 8 * KV_SPLIT_KEYS;
    let heads = CACHE_BYTES / (2 * KEYS * DIMS * kind.bytes());
    let mut random = Random::new(2);
    let bytes = |seed| (0..heads * KEYS * DIMS * kind.bytes()).map(move |i| (i % seed) as u8);
    let (keys, values): (Vec<u8>, Vec<u8>) = (bytes(61).collect(), bytes(53).collect());
    let scales = |each| vec![0.01; heads * KEYS * each];
    let (each_key, each_value) = (kind.key_scales(DIMS), kind.value_scales());
    let (key_scales, value_scales) = (scales(each_key), scales(each_value));
    let kv = |segment: usize| {
        let part = segment * KV_SPLIT_KEYS..(segment + 1) * KV_SPLIT_KEYS;
        let part = |each| part.start * each..part.end * each;
        Kv {
            kind,
            head_dim: DIMS,
            keys: &keys[part(DIMS * kind.bytes())],
            values: &values[part(DIMS * kind.bytes())],
            key_scales: &key_scales[part(each_key)],
            value_scales: &value_scales[part(each_value)],
        }
    };
    let (mut x, mut q) = (vec![0.0; n * DIMS], vec![0; n * DIMS]);
    let (mut scale, mut sum) = (vec![0.0; n * DIMS / 32], vec![0; n * DIMS / 32]);
    let mut queries =
        QueriesMut::new(kind, DIMS, n, &mut x, &mut q, &mut scale, &mut sum).expect("large enough");
    for i in 0..n {
        let x: Vec<f32> = (0..DIMS).map(|_| random.normal() as f32).collect();
        queries.set(isa, i, &x, 0.125);
    }
    let (mut max, mut total, mut acc) = (vec![0.0; n], vec![0.0; n], vec![0.0; n * DIMS]);
    let mut head = 0;
    best(|| {
        for _ in 0..blocks {
            for split in 0..KEYS / KV_SPLIT_KEYS {
                let mut partial = SoftmaxState::new(DIMS, n, &mut max, &mut total, &mut acc)
                    .expect("large enough");
                let kv = kv(head * (KEYS / KV_SPLIT_KEYS) + split);
                attend(isa, &queries.view(), &kv, |_| 0..KV_SPLIT_KEYS, None, &mut partial);
            }
        }
        head = (head + 1) % heads;
    }) / (blocks * KEYS) as f64
}
