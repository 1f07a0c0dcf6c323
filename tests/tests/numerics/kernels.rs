//! Every kernel, on every instruction set of this CPU, equals a plain oracle bit for bit:
//! at every boundary ±1 of every size, and on values chosen to hurt.

mod oracle;

mod attention;
mod products;
mod special;
mod vectors;

use oarlock_tests::Random;

/// Fails with the first place where two vectors differ in a bit.
#[track_caller]
fn assert_bits(ours: &[f32], exact: &[f32], what: &dyn std::fmt::Debug) {
    assert_eq!(ours.len(), exact.len(), "{what:?}");
    for (i, (ours, exact)) in ours.iter().zip(exact).enumerate() {
        assert!(ours.to_bits() == exact.to_bits(), "{what:?}: [{i}] is {ours:e}, not {exact:e}");
    }
}

/// Vectors that kernels have been seen to get wrong, each of `len`.
fn vectors(random: &mut Random, len: usize) -> Vec<Vec<f32>> {
    let mut normal =
        |scale: f32| -> Vec<f32> { (0..len).map(|_| random.normal() as f32 * scale).collect() };
    let mut all = vec![
        normal(1.0),
        // Squares and products of the scales stay finite, sums become large.
        normal(1e15),
        normal(1e-15),
        // Blocks below 2^-100, and on both sides of it.
        normal(5e-31),
        vec![0.0; len],
        vec![-0.0; len],
    ];
    // Magnitudes far apart in one vector, signed zeros among them.
    let mixed = normal(1.0).into_iter().enumerate();
    all.push(mixed.map(|(i, v)| v * [1.0, 1e6, -0.0, 1e-20, 1e-6][i % 5]).collect());
    // Ties of rounding: with 127 as the largest, halves come out exactly.
    let tie = |i: usize| if i.is_multiple_of(32) { 127.0 } else { i as f32 % 13.0 - 6.5 };
    all.push((0..len).map(tie).collect());
    all
}
