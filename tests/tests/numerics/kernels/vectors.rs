//! Norm, addition, gating, rotation, quantization, and scalar mathematics.

use oarlock::internal::format::Activation;
use oarlock::internal::kernels::{
    QuantizedActivationsMut, activate, add, clamp, layer_norm, layer_norm_in, norm_heads, rms_norm,
    rotate, scale, soft_cap, sub_scaled,
};
use oarlock::internal::math;
use oarlock_tests::{Random, isas};

use super::oracle::{self, BLOCK};
use super::{assert_bits, vectors};

/// Around every register, block and unrolling.
const LENGTHS: &[usize] =
    &[1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 23, 24, 25, 31, 32, 33, 47, 48, 49, 63, 64, 65, 576];

/// Runs a check on every vector of every length, with a second vector beside it.
fn everywhere(check: impl Fn(oarlock::Isa, &[f32], &[f32])) {
    let mut random = Random::new(11);
    for &len in LENGTHS {
        let other: Vec<f32> = (0..len).map(|_| random.normal() as f32).collect();
        for x in vectors(&mut random, len) {
            isas().into_iter().for_each(|isa| check(isa, &x, &other));
        }
    }
}

#[test]
fn rms_norms() {
    everywhere(|isa, x, gain| {
        let mut out = vec![7.0; x.len()];
        rms_norm(isa, x, gain, 1e-5, &mut out);
        assert_bits(&out, &oracle::rms_norm(x, gain, 1e-5), &(isa, x.len()));
    });
}

#[test]
fn layer_norms() {
    everywhere(|isa, x, gain| {
        let bias: Vec<f32> = gain.iter().rev().copied().collect();
        for bias in [None, Some(&bias[..])] {
            let mut out = vec![7.0; x.len()];
            layer_norm(isa, x, gain, bias, 1e-5, &mut out);
            assert_bits(&out, &oracle::layer_norm(x, gain, bias, 1e-5), &(isa, x.len()));
            let mut there = x.to_vec();
            layer_norm_in(isa, &mut there, gain, bias, 1e-5);
            assert_bits(&there, &out, &("in place", isa, x.len()));
        }
    });
}

#[test]
fn norms_of_heads() {
    everywhere(|isa, x, gain| {
        let mut heads = [x, gain, x].concat();
        norm_heads(isa, &mut heads, gain, 1e-5);
        let of = |head| oracle::rms_norm(head, gain, 1e-5);
        assert_bits(&heads, &[of(x), of(gain), of(x)].concat(), &(isa, x.len()));
    });
}

#[test]
fn factors() {
    everywhere(|isa, x, other| {
        let mut out = x.to_vec();
        scale(isa, &mut out, other[0]);
        let exact: Vec<f32> = x.iter().map(|x| x * other[0]).collect();
        assert_bits(&out, &exact, &(isa, x.len()));
    });
}

#[test]
fn sums() {
    everywhere(|isa, x, y| {
        let mut out = x.to_vec();
        add(isa, &mut out, y);
        let exact: Vec<f32> = x.iter().zip(y).map(|(x, y)| x + y).collect();
        assert_bits(&out, &exact, &(isa, x.len()));
    });
}

#[test]
fn scaled_differences() {
    everywhere(|isa, x, y| {
        let (factor, mut out) = (0.37, vec![7.0; x.len()]);
        sub_scaled(isa, x, y, factor, &mut out);
        let exact: Vec<f32> = x.iter().zip(y).map(|(x, y)| (-factor).mul_add(*y, *x)).collect();
        assert_bits(&out, &exact, &(isa, x.len()));
    });
}

#[test]
fn non_linearities() {
    everywhere(|isa, x, _| {
        for activation in Activation::ALL {
            let mut out = x.to_vec();
            activate(isa, activation, &mut out);
            let exact: Vec<f32> = x.iter().map(|x| oracle::activation(activation, *x)).collect();
            assert_bits(&out, &exact, &(isa, activation, x.len()));
        }
    });
}

#[test]
fn limits() {
    everywhere(|isa, x, other| {
        let most = other[0].abs() + 0.1;
        let (mut capped, mut cut) = (x.to_vec(), x.to_vec());
        soft_cap(isa, &mut capped, most);
        clamp(isa, &mut cut, most);
        let exact: Vec<f32> = x.iter().map(|x| oracle::soft_capped(*x, most)).collect();
        assert_bits(&capped, &exact, &("soft", isa, x.len()));
        let exact: Vec<f32> = x.iter().map(|x| x.clamp(-most, most)).collect();
        assert_bits(&cut, &exact, &("hard", isa, x.len()));
    });
}

/// −88 … 88 in steps that meet both sides of every rounding to a power of two, and small
/// enough that an exponential rounded once too often shows somewhere.
fn every_exponent() -> Vec<f32> {
    (-880_000..880_000).map(|i| i as f32 * 1e-4).collect()
}

#[test]
fn activations_at_every_exponent() {
    let x = every_exponent();
    for activation in Activation::ALL {
        let exact: Vec<f32> = x.iter().map(|x| oracle::activation(activation, *x)).collect();
        for isa in isas() {
            let mut out = x.clone();
            activate(isa, activation, &mut out);
            assert_bits(&out, &exact, &(isa, activation));
        }
    }
}

/// The bits are one thing, what they should be another: tanh and erf in f64.
#[test]
fn activations_are_those_of_the_papers() {
    let tanh = |x: f64| {
        x / 2.0 * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
    };
    for v in every_exponent() {
        let (x, of) = (f64::from(v), |a| f64::from(oracle::activation(a, v)));
        assert!((of(Activation::GeluTanh) - tanh(x)).abs() <= 3e-7 * x.abs(), "{v}");
        assert!((of(Activation::GeluErf) - x * normal(x)).abs() <= 3e-7 * x.abs(), "{v}");
        let capped = f64::from(oracle::soft_capped(v, 30.0));
        assert!((capped - 30.0 * (x / 30.0).tanh()).abs() <= 30.0 * 3e-7, "{v}");
    }
}

/// Φ(x) by its Taylor series, or by the continued fraction of the tail (Abramowitz and Stegun
/// 26.2.10 and 26.2.14).
fn normal(x: f64) -> f64 {
    let density = (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt();
    if x.abs() < 3.0 {
        let terms = (0..60).scan(x, |term, n| {
            let this = *term;
            *term *= x * x / f64::from(2 * n + 3);
            Some(this)
        });
        return 0.5 + density * terms.sum::<f64>();
    }
    let tail = density / (1..40).rev().fold(x.abs(), |rest, n| x.abs() + f64::from(n) / rest);
    if x < 0.0 { tail } else { 1.0 - tail }
}

#[test]
fn rotations() {
    let mut random = Random::new(12);
    for &half in LENGTHS {
        for still in [0, 1, 8] {
            let head_dim = 2 * half + still;
            let angles: Vec<f32> = (0..half).map(|_| random.normal() as f32).collect();
            let cos: Vec<f32> = angles.iter().map(|a| a.cos()).collect();
            let mut sin: Vec<f32> = angles.iter().map(|a| a.sin()).collect();
            sin[0] = 0.0;
            for x in vectors(&mut random, 3 * head_dim) {
                let heads = x.chunks_exact(head_dim);
                let exact: Vec<f32> = heads.flat_map(|x| oracle::rotate(x, &cos, &sin)).collect();
                for isa in isas() {
                    let mut out = x.clone();
                    rotate(isa, &mut out, head_dim, &cos, &sin);
                    assert_bits(&out, &exact, &(isa, half, still));
                }
            }
        }
    }
}

/// A token quantized, and what it should be.
fn check_quantized(isa: oarlock::Isa, x: &[f32]) {
    let blocks = x.len().div_ceil(BLOCK);
    // Two tokens, so that a write beyond one is seen in the other.
    let (mut q, mut scale) = (vec![99; 64 * blocks], vec![9.0; 2 * blocks]);
    let mut sum = scale.clone();
    let mut acts = QuantizedActivationsMut::new(2, x.len(), &mut q, &mut scale, &mut sum)
        .expect("large enough");
    acts.quantize(isa, 1, x);
    for (b, x) in x.chunks(BLOCK).enumerate() {
        let exact = oracle::quantize(x);
        let at = (blocks + b) * BLOCK;
        let ours: Vec<i32> = q[at..at + BLOCK].iter().map(|q| i32::from(*q)).collect();
        assert_eq!(&ours[..x.len()], exact.q, "{isa:?} {x:?}");
        assert!(ours[x.len()..].iter().all(|q| *q == 0));
        assert_bits(&[scale[blocks + b]], &[exact.scale], &(isa, x));
        assert_bits(&[sum[blocks + b]], &[exact.sum() as f32], &(isa, x));
    }
    assert!(q[..32 * blocks].iter().all(|q| *q == 99) && scale[..blocks].iter().all(|s| *s == 9.0));
}

#[test]
fn activations() {
    everywhere(|isa, x, _| check_quantized(isa, x));
    let least = 2_f32.powi(-100);
    let hard = [least, least.next_down(), f32::MAX, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
    for largest in hard {
        for at in [0, 7, 8, 31, 40] {
            let mut x: Vec<f32> = (0..48).map(|i| i as f32 * 1e-32).collect();
            x[at] = largest;
            isas().into_iter().for_each(|isa| check_quantized(isa, &x));
        }
    }
}

#[test]
fn activations_beside_every_tie() {
    let mut random = Random::new(14);
    for _ in 0..500 {
        let amax = random.normal().abs() as f32 * 10.0 + 0.1;
        let mut x = vec![amax; 32];
        for x in &mut x[1..] {
            // The quotient and its neighbours: a factor that is off by an ulp shows.
            let tie = (random.below(126) as f32 + 0.5) / (127.0 / amax);
            *x = [tie.next_down(), tie, tie.next_up(), -tie][random.below(4)];
        }
        isas().into_iter().for_each(|isa| check_quantized(isa, &x));
    }
}

#[test]
fn scalar_functions() {
    let mut random = Random::new(13);
    for _ in 0..200_000 {
        let v = f32::from_bits(random.bits() as u32);
        if !v.is_nan() {
            assert_bits(&[math::exp(v)], &[oracle::exp(v)], &v);
            assert_bits(&[math::sqrt(v.abs())], &[v.abs().sqrt()], &v);
            let half = oracle::to_f16(v);
            assert_eq!(math::f32_to_f16(v), half, "{v:e}");
        }
        let v = random.normal() as f32 * 30.0;
        assert_bits(&[math::exp(v)], &[oracle::exp(v)], &v);
        assert_bits(&[math::rint(v)], &[v.round_ties_even() + 0.0], &v);
    }
    for bits in (0..=u16::MAX).filter(|bits| bits & 0x7c00 != 0x7c00) {
        assert_bits(&[math::f16_to_f32(bits)], &[oracle::f16(bits)], &bits);
    }
}
