//! Values that are no numbers, or too large to compute with: every instruction set gives the same
//! bits wherever the result is a number, and NaN where the plain kernels give NaN.

use oarlock::internal::format::layout::{WeightType, matrix_bytes};
use oarlock::internal::format::matrix::{Linear, Matrix};
use oarlock::internal::format::{Activation, Clamped};
use oarlock::internal::kernels::{
    Input, Job, Kv, KvMut, QuantizedActivationsMut, QueriesMut, SoftmaxState, Task, activate, add,
    add_scaled, attend, clamp, finish, layer_norm, matmul, merge, norm_heads, rms_norm, rotate,
    scale, soft_cap, sub_scaled,
};
use oarlock::internal::math;
use oarlock::{Isa, KvType, Machine, Serial};
use oarlock_tests::{Random, isas};

/// Quiet and signalling, of both signs, with fractions that differ.
const NANS: [u32; 6] =
    [0x7fc0_0000, 0xffc0_0000, 0x7fd5_5aa5, 0xfff2_3456, 0x7f80_0001, 0xff92_3456];

const NUMBERS: [f32; 22] = [
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::MAX,
    f32::MIN,
    f32::MIN_POSITIVE,
    1e-45,
    0.0,
    -0.0,
    65504.0,
    -65504.0,
    65519.0,
    65520.0,
    -1e9,
    1e30,
    2_147_483_648.0,
    -87.0,
    -87.1,
    88.0,
    89.0,
    -1e-8,
    0.5,
    1.0,
];

/// A vector of which about one in `each` is special.
fn special(random: &mut Random, len: usize, each: usize) -> Vec<f32> {
    let mut one = |_| match random.below(each * 2) {
        0 => f32::from_bits(NANS[random.below(NANS.len())]),
        1 => NUMBERS[random.below(NUMBERS.len())],
        _ => random.normal() as f32,
    };
    (0..len).map(&mut one).collect()
}

/// Vectors with special values among others: many, few, none but these, and one alone of each.
fn vectors(random: &mut Random, len: usize) -> Vec<Vec<f32>> {
    let mut all: Vec<_> =
        [1, 2, 5, 40, 300].into_iter().map(|each| special(random, len, each)).collect();
    for one in NUMBERS.into_iter().chain(NANS.map(f32::from_bits)) {
        let mut alone: Vec<f32> = (0..len).map(|_| random.normal() as f32).collect();
        alone[random.below(len)] = one;
        all.push(alone);
    }
    all
}

/// Fails where one is a number and the other is another, or none.
#[track_caller]
fn assert_same(isa: Isa, ours: &[f32], plain: &[f32], what: &dyn std::fmt::Debug) {
    assert_eq!(ours.len(), plain.len());
    for (i, (ours, plain)) in ours.iter().zip(plain).enumerate() {
        let same = ours.to_bits() == plain.to_bits() || ours.is_nan() && plain.is_nan();
        assert!(same, "{isa:?}, {what:?}: [{i}] is {ours:e}, and {plain:e} in plain Rust");
    }
}

/// Compares what `f` gives on every instruction set with what it gives in plain Rust.
fn everywhere(what: &dyn std::fmt::Debug, f: impl Fn(Isa) -> Vec<f32>) {
    let plain = f(Isa::SCALAR);
    isas().into_iter().for_each(|isa| assert_same(isa, &f(isa), &plain, what));
}

#[test]
fn every_float_is_cached_as_the_same_half() {
    let mut random = Random::new(41);
    for isa in isas() {
        for _ in 0..400 {
            let random_bits = |random: &mut Random| f32::from_bits(random.bits() as u32);
            let key: Vec<f32> = (0..32).map(|_| random_bits(&mut random)).collect();
            let value = special(&mut random, 32, 1);
            let (mut keys, mut values) = (vec![0; 32 * 64], vec![0; 32 * 64]);
            let mut kv = KvMut {
                kind: KvType::F16,
                head_dim: 32,
                keys: &mut keys,
                values: &mut values,
                key_scales: &mut [],
                value_scales: &mut [],
            };
            kv.write(isa, 5, &key, &value);
            for (from, to) in [(&key, &keys), (&value, &values)] {
                for (v, half) in from.iter().zip(to[5 * 64..].chunks_exact(2)) {
                    let half = u16::from_le_bytes([half[0], half[1]]);
                    assert_eq!(half, math::f32_to_f16(*v), "{isa:?}: {:x}", v.to_bits());
                    let nan = math::f16_to_f32(half).is_nan();
                    assert_eq!(nan, v.is_nan(), "{isa:?}: {:x} as {half:x}", v.to_bits());
                }
            }
        }
    }
}

#[test]
fn nan_is_a_half_that_is_quiet() {
    assert_eq!(math::f32_to_f16(f32::from_bits(0x7f80_0001)), 0x7e00);
    assert_eq!(math::f32_to_f16(f32::from_bits(0xffd5_6000)), 0xfeab);
    assert_eq!(math::f16_to_f32(0xfc01).to_bits(), 0xffc0_2000);
    assert_eq!(math::f16_to_f32(0x7c00), f32::INFINITY);
}

#[test]
fn functions_of_vectors() {
    const ACTIVATIONS: [Activation; 5] = [
        Activation::Silu,
        Activation::GeluTanh,
        Activation::GeluErf,
        Activation::Relu,
        Activation::ReluSquared,
    ];
    let mut random = Random::new(42);
    for len in [1, 7, 16, 33, 96] {
        for x in vectors(&mut random, len) {
            let y = special(&mut random, len, 8);
            let changed = |f: &dyn Fn(Isa, &mut [f32])| {
                everywhere(&x, |isa| {
                    let mut out = x.clone();
                    f(isa, &mut out);
                    out
                });
            };
            for activation in ACTIVATIONS {
                changed(&|isa, x| activate(isa, activation, x));
            }
            for by in [0.3, f32::NAN, f32::INFINITY, 0.0] {
                changed(&|isa, x| soft_cap(isa, x, by));
                changed(&|isa, x| clamp(isa, x, by));
                changed(&|isa, x| scale(isa, x, by));
                changed(&|isa, x| add_scaled(isa, x, &y, by));
                changed(&|isa, out| sub_scaled(isa, &x, &y, by, out));
                changed(&|isa, out| rms_norm(isa, &x, &y, by, out));
                changed(&|isa, out| layer_norm(isa, &x, &y, Some(&y), by, out));
                changed(&|isa, x| norm_heads(isa, x, &y, by));
            }
            changed(&|isa, x| add(isa, x, &y));
            changed(&|isa, x| rotate(isa, x, len, &y[..len / 2], &y[len - len / 2..]));
        }
    }
}

#[test]
fn quantized_activations() {
    let mut random = Random::new(43);
    for x in vectors(&mut random, 70) {
        everywhere(&x, |isa| {
            let (mut q, mut scale, mut sum) = ([7; 96], [7.0; 3], [7.0; 3]);
            let mut acts =
                QuantizedActivationsMut::new(1, 70, &mut q, &mut scale, &mut sum).expect("room");
            acts.quantize(isa, 0, &x);
            let floats = q.iter().map(|&q| f32::from(q));
            scale.into_iter().chain(sum).chain(floats).collect()
        });
    }
}

/// Products of any bytes with tokens of 70 columns.
fn product(isa: Isa, bytes: &[u8], kind: WeightType, x: &[f32], task: usize) -> Vec<f32> {
    let (rows, cols, n) = (16, 70, x.len() / 70);
    let weight = Matrix::new(kind, rows, cols, bytes).expect("as many bytes");
    let (mut q, mut scale, mut sum) = (vec![0; n * 96], vec![0.0; n * 3], vec![0.0; n * 3]);
    let mut acts =
        QuantizedActivationsMut::new(n, cols, &mut q, &mut scale, &mut sum).expect("room");
    x.chunks(cols).enumerate().for_each(|(token, x)| acts.quantize(isa, token, x));
    let linear = Linear { weight, bias: Some(&x[..rows]) };
    let clamped = (task == 3).then_some(Clamped { slope: 1.7, limit: 7.0 });
    let task = match task {
        0 => Task::Store(linear),
        1 => Task::Add(linear, x[20]),
        _ => Task::Gated { gate: linear, up: linear, activation: Activation::Silu, clamped },
    };
    let mut out = vec![0.5; n * rows];
    let input = Input { n, cols, x, stride: cols, acts: Some(acts.freeze()) };
    matmul(
        &Machine { isa, exec: &Serial },
        &mut [Job { input, task, out: &mut out, stride: rows }],
    );
    out
}

#[test]
fn products_with_scales_and_inputs_that_are_not_finite() {
    let mut random = Random::new(44);
    for kind in WeightType::ALL {
        for round in 0..60 {
            let mut bytes = vec![0; matrix_bytes(kind, 16, 70).expect("small")];
            bytes.iter_mut().for_each(|byte| *byte = random.bits() as u8);
            let n = [1, 2, 3, 9, 17][round % 5];
            let x = special(&mut random, 70 * n, [1, 5, 200][round % 3]);
            let task = round % 4;
            everywhere(&(kind, n, task), |isa| product(isa, &bytes, kind, &x, task));
        }
    }
}

/// Attends to 50 keys, in two splits that are merged.
fn attended(isa: Isa, kind: KvType, rows: &[Vec<f32>], queries: &[Vec<f32>]) -> Vec<f32> {
    let (dims, n) = (rows[0].len(), queries.len());
    let padded = dims.next_multiple_of(32);
    let len = 64 * padded * kind.bytes();
    let (mut keys, mut values) = (vec![0xff; len], vec![0xff; len]);
    let mut key_scales = vec![f32::NAN; 64 * kind.key_scales(dims)];
    let mut value_scales = vec![f32::NAN; 64 * kind.value_scales()];
    let mut to = KvMut {
        kind,
        head_dim: dims,
        keys: &mut keys,
        values: &mut values,
        key_scales: &mut key_scales,
        value_scales: &mut value_scales,
    };
    for slot in 0..50 {
        to.write(isa, slot, &rows[2 * slot], &rows[2 * slot + 1]);
    }
    let kv = Kv {
        kind,
        head_dim: dims,
        keys: &keys,
        values: &values,
        key_scales: &key_scales,
        value_scales: &value_scales,
    };
    let mut room = (
        vec![0.0; n * padded],
        vec![0; n * padded],
        vec![0.0; n * padded / 32],
        vec![0; n * padded / 32],
    );
    let mut ready =
        QueriesMut::new(kind, dims, n, &mut room.0, &mut room.1, &mut room.2, &mut room.3)
            .expect("room");
    queries.iter().enumerate().for_each(|(i, query)| ready.set(isa, i, query, 0.3));
    let mut buffers = [0, 1].map(|_| (vec![0.0; n], vec![0.0; n], vec![0.0; n * padded]));
    let [mut total, mut later] = buffers
        .each_mut()
        .map(|(max, sum, acc)| SoftmaxState::new(dims, n, max, sum, acc).expect("room"));
    attend(isa, &ready.view(), &kv, |_| 3..31, None, &mut total);
    attend(isa, &ready.view(), &kv, |query| 31..40 + query % 10, None, &mut later);
    merge(isa, &mut total, &later);
    let mut out = vec![0.0; n * dims];
    for (i, out) in out.chunks_exact_mut(dims).enumerate() {
        finish(isa, &total, i, (i % 2 == 1).then_some(f32::INFINITY), out);
    }
    out
}

#[test]
fn attention() {
    let mut random = Random::new(46);
    for kind in KvType::ALL {
        for round in 0..40 {
            let (dims, n) = ([32, 20, 64][round % 3], [1, 2, 3, 6, 13][round % 5]);
            let each = [10, 100, 2000, 20_000][round % 4];
            let mut rows = |n: usize| -> Vec<Vec<f32>> {
                (0..n).map(|_| special(&mut random, dims, each)).collect()
            };
            let (rows, queries) = (rows(100), rows(n));
            everywhere(&(kind, dims, n, each), |isa| attended(isa, kind, &rows, &queries));
        }
    }
}
