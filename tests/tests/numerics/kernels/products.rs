//! Matrix products of every weight type, and single rows.

use oarlock::internal::format::Activation;
use oarlock::internal::format::layout;
use oarlock::internal::format::layout::WeightType;
use oarlock::internal::format::matrix::{Linear, Matrix};
use oarlock::internal::kernels::{
    Input, Job, QuantizedActivationsMut, Task, embedding_row, matmul,
};
use oarlock::{Executor, Isa, Machine, Serial};
use oarlock_tests::{Random, Threads, isas};

use super::oracle::{self, BLOCK, Values, Weights};
use super::{assert_bits, vectors};

/// A random f16 whose products stay normal, or 0.
fn half(random: &mut Random) -> u16 {
    match random.below(12) {
        0 => 0,
        // The least subnormal and the largest.
        1 => 0x8001,
        2 => 0x03ff,
        _ => (random.bits() as u16 & 0x83ff) | ((random.below(16) as u16 + 4) << 10),
    }
}

/// Levels of int4n, both ends among them.
const LEVELS: [i8; layout::LEVELS] =
    [-128, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 127];

/// Weights that reach both ends of their type.
fn weights(kind: WeightType, rows: usize, cols: usize, random: &mut Random) -> Weights {
    let len = rows * cols;
    if kind == WeightType::F32 {
        let values = Values::Floats((0..len).map(|_| random.normal() as f32).collect());
        return Weights { rows, cols, values };
    }
    // A third of the rows hold one value only: the least, or the largest.
    let (least, most) = match kind {
        WeightType::Int8 => (-128, 127),
        WeightType::Int4 => (-8, 7),
        WeightType::Int5 => (-16, 15),
        _ => (0, 15),
    };
    let mut q = Vec::new();
    for row in 0..rows {
        for _ in 0..cols {
            let any = least + random.below((most - least + 1) as usize) as i32;
            let value = [least, any, any, any, most, any][row % 6];
            q.push(if kind == WeightType::Int4n { LEVELS[value as usize].into() } else { value });
        }
    }
    let mut halves = || (0..rows * layout::blocks(cols)).map(|_| half(random)).collect();
    let (scale, minima) = (halves(), halves());
    let minimum = (kind == WeightType::Int4a).then_some(minima);
    Weights { rows, cols, values: Values::Blocks { q, scale, minimum } }
}

/// Packs weights as `layout` says, padding included.
fn pack(kind: WeightType, weights: &Weights) -> Vec<u8> {
    let (rows, cols) = (weights.rows, weights.cols);
    let (blocks, size) = (layout::blocks(cols), kind.block_bytes());
    let mut bytes = vec![0; layout::matrix_bytes(kind, rows, cols).expect("small")];
    let (head, tiles) = bytes.split_at_mut(kind.head_bytes());
    head.iter_mut().zip(LEVELS).for_each(|(byte, level)| *byte = level as u8);
    for (i, block) in tiles.chunks_exact_mut(size).enumerate() {
        let (tile, b) = (i / blocks, i % blocks);
        for lane in 0..16 {
            let row = tile * 16 + lane;
            for c in 0..BLOCK {
                let col = b * BLOCK + c;
                let here = (row < rows && col < cols).then_some(row * cols + col);
                put(kind, block, lane, c, weights, here);
            }
            if let (Values::Blocks { scale, minimum, .. }, true) = (&weights.values, row < rows) {
                let at = kind.quant_bytes() + 2 * lane;
                block[at..at + 2].copy_from_slice(&scale[row * blocks + b].to_le_bytes());
                if let Some(minimum) = minimum {
                    let at = kind.minimum_offset() + 2 * lane;
                    block[at..at + 2].copy_from_slice(&minimum[row * blocks + b].to_le_bytes());
                }
            }
        }
    }
    bytes
}

/// Puts weight number `i`, or the padding, into a block.
fn put(kind: WeightType, block: &mut [u8], lane: usize, c: usize, w: &Weights, i: Option<usize>) {
    match (&w.values, kind) {
        (Values::Floats(w), _) => {
            let at = layout::f32_offset(lane, c);
            block[at..at + 4].copy_from_slice(&i.map_or(0.0, |i| w[i]).to_le_bytes());
        }
        (Values::Blocks { q, .. }, WeightType::Int8) => {
            block[layout::int8_offset(lane, c)] = i.map_or(0, |i| q[i]) as u8;
        }
        (Values::Blocks { q, .. }, _) => {
            let (at, shift) = layout::nibble_offset(lane, c);
            let q = i.map_or(0, |i| q[i]);
            let nibble = match kind {
                WeightType::Int4 => q + 8,
                WeightType::Int4n => {
                    LEVELS.iter().position(|&v| i32::from(v) == q).unwrap_or(3) as i32
                }
                _ => q & 15,
            };
            block[at] |= (nibble as u8) << shift;
            if kind == WeightType::Int5 {
                let (at, bit) = layout::sign_offset(lane, c);
                block[at] |= u8::from(q < 0) << bit;
            }
        }
    }
}

/// `(n, rows)` of the oracle, bias added.
fn exact(weights: &Weights, bias: Option<&[f32]>, tokens: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let row = |x: &Vec<f32>| {
        let product = |row| {
            let y = weights.product(row, x);
            bias.map_or(y, |bias| y + bias[row])
        };
        (0..weights.rows).map(product).collect()
    };
    tokens.iter().map(row).collect()
}

/// Quantizes and lays out tokens, and hands them to `f`.
fn with_input(isa: Isa, tokens: &[Vec<f32>], f: impl FnOnce(&Input<'_>)) {
    let (n, cols) = (tokens.len(), tokens[0].len());
    let len = n * layout::blocks(cols);
    let (mut q, mut scale, mut sum) = (vec![0; len * BLOCK], vec![0.0; len], vec![0.0; len]);
    let mut acts =
        QuantizedActivationsMut::new(n, cols, &mut q, &mut scale, &mut sum).expect("large enough");
    let stride = cols + 3;
    let mut x = vec![f32::NAN; n * stride];
    for (token, values) in tokens.iter().enumerate() {
        acts.quantize(isa, token, values);
        x[token * stride..][..cols].copy_from_slice(values);
    }
    f(&Input { n, cols, x: &x, stride, acts: Some(acts.view()) });
}

/// The factor of a product before it is added: no power of two, so that it rounds.
const FACTOR: f32 = 0.3;

/// Runs all three tasks on one shape and compares every bit, padding and surroundings too.
fn check(kind: WeightType, rows: usize, tokens: &[Vec<f32>], executors: &[&dyn Executor]) {
    let cols = tokens[0].len();
    let mut random = Random::new((rows * 1000 + cols) as u64);
    let (first, second) =
        (weights(kind, rows, cols, &mut random), weights(kind, rows, cols, &mut random));
    let (packed, packed_second) = (pack(kind, &first), pack(kind, &second));
    let bias: Vec<f32> = (0..rows).map(|_| random.normal() as f32).collect();
    let matrix = |tiles| Matrix::new(kind, rows, cols, tiles).expect("exact length");
    let plain = Linear { weight: matrix(&packed), bias: None };
    let biased = Linear { weight: matrix(&packed_second), bias: Some(&bias) };
    let (y, z) = (exact(&first, None, tokens), exact(&second, Some(&bias), tokens));
    let stride = rows.next_multiple_of(16) + 16;
    for isa in isas() {
        for &exec in executors {
            let machine = Machine { isa, exec };
            let activation = Activation::GeluTanh;
            let mut outs = [0, 1, 2, 3].map(|_| vec![0.5_f32; tokens.len() * stride]);
            let [stored, added, gated, activated] = &mut outs;
            with_input(isa, tokens, |input| {
                let job = |task, out| Job { input: *input, task, out, stride };
                let gate = Task::Gated { gate: plain, up: biased, activation, clamped: None };
                let mut jobs = [
                    job(Task::Store(plain), stored),
                    job(Task::Add(biased, FACTOR), added),
                    job(gate, gated),
                    job(Task::Activated(biased, activation), activated),
                ];
                matmul(&machine, &mut jobs);
            });
            let what = (kind, rows, cols, tokens.len(), isa, exec.threads());
            for (token, (y, z)) in y.iter().zip(&z).enumerate() {
                let row = |out: &Vec<f32>| out[token * stride..(token + 1) * stride].to_vec();
                let padded = |values: Vec<f32>, padding: f32| {
                    let mut all = values;
                    all.resize(rows.next_multiple_of(16), padding);
                    all.resize(stride, 0.5);
                    all
                };
                let sum = z.iter().map(|z| 0.5 + z * FACTOR).collect();
                let f = |y: &f32| oracle::activation(activation, *y);
                let product = y.iter().zip(z).map(|(y, z)| f(y) * z).collect();
                let plain = z.iter().map(f).collect();
                assert_bits(&row(&outs[0]), &padded(y.clone(), 0.0), &("store", what));
                assert_bits(&row(&outs[1]), &padded(sum, 0.5), &("add", what));
                assert_bits(&row(&outs[2]), &padded(product, 0.0), &("gate", what));
                assert_bits(&row(&outs[3]), &padded(plain, 0.0), &("plain", what));
            }
        }
    }
}

/// Tokens of every kind of vector in turn.
fn tokens(n: usize, cols: usize, random: &mut Random) -> Vec<Vec<f32>> {
    let mut all = vectors(random, cols);
    // Products of 1e15 with themselves in the gate would leave f32.
    all.remove(1);
    (0..n).map(|i| all[i % all.len()].clone()).collect()
}

#[test]
fn products_of_every_shape() {
    let mut random = Random::new(21);
    for kind in WeightType::ALL {
        for rows in [1, 15, 16, 17, 33] {
            for cols in [1, 31, 32, 33, 64, 95] {
                for n in 1..=9 {
                    check(kind, rows, &tokens(n, cols, &mut random), &[&Serial]);
                }
            }
        }
    }
}

/// Enough of them for what takes 16 or 64 at a time, and for what is left then.
#[test]
fn products_of_many_tokens() {
    let mut random = Random::new(24);
    for kind in WeightType::ALL {
        for n in [15, 16, 17, 31, 33, 63, 64, 65, 81, 129, 147] {
            check(kind, 33, &tokens(n, 70, &mut random), &[&Serial]);
        }
    }
}

#[test]
fn products_split_between_threads() {
    let mut random = Random::new(22);
    for kind in WeightType::ALL {
        // One tile to beyond four streams a thread, with every remainder.
        for rows in [16, 32, 48, 64, 79, 80, 81, 112, 128, 144, 200] {
            for n in [1, 6] {
                check(
                    kind,
                    rows,
                    &tokens(n, 70, &mut random),
                    &[&Serial, &Threads(2), &Threads(3)],
                );
            }
        }
    }
}

#[test]
fn extreme_blocks_do_not_saturate() {
    // Every product of a block at its largest, of either sign.
    for kind in WeightType::ALL {
        for sign in [1.0, -1.0] {
            let x = vec![sign; 64];
            check(kind, 18, std::slice::from_ref(&x), &[&Serial]);
            check(kind, 18, &[x.clone(), x.clone(), x.clone()], &[&Serial]);
            check(kind, 18, &vec![x; 80], &[&Serial]);
        }
    }
}

#[test]
fn single_rows() {
    let mut random = Random::new(23);
    for kind in WeightType::ALL {
        for rows in [1, 16, 17] {
            for cols in [1, 31, 32, 33, 64] {
                let weights = weights(kind, rows, cols, &mut random);
                let bytes = pack(kind, &weights);
                let matrix = Matrix::new(kind, rows, cols, &bytes).expect("exact length");
                for row in 0..rows {
                    let mut out = vec![7.0; cols];
                    embedding_row(&matrix, row, &mut out);
                    let exact: Vec<f32> = (0..cols).map(|col| weights.value(row, col)).collect();
                    assert_bits(&out, &exact, &(kind, rows, cols, row));
                }
            }
        }
    }
}

/// Activations that nobody has quantized, whose sums are anything: products are, too, and that is all.
#[test]
fn activations_that_were_never_quantized_do_no_harm() {
    let (rows, cols) = (16, 32);
    let all = WeightType::ALL.into_iter();
    for (kind, isa) in all.flat_map(|kind| isas().into_iter().map(move |isa| (kind, isa))) {
        let bytes = vec![0x7f; layout::matrix_bytes(kind, rows, cols).expect("small")];
        let weight = Matrix::new(kind, rows, cols, &bytes).expect("exact length");
        for n in [1, 2, 5, 17] {
            for bad in [f32::NAN, f32::INFINITY, 1e30, -1e30, -2_147_483_648.0] {
                let (mut q, mut scale) = (vec![-128_i8; 32 * n], vec![f32::NAN; n]);
                let mut sum = vec![bad; n];
                let acts = QuantizedActivationsMut::new(n, cols, &mut q, &mut scale, &mut sum);
                let (x, acts) = (vec![bad; cols * n], acts.expect("large enough").freeze());
                let input = Input { n, cols, x: &x, stride: cols, acts: Some(acts) };
                let (mut out, task) =
                    (vec![0.0; rows * n], Task::Store(Linear { weight, bias: None }));
                let job = Job { input, task, out: &mut out, stride: rows };
                matmul(&Machine { isa, exec: &Serial }, &mut [job]);
            }
        }
    }
}
