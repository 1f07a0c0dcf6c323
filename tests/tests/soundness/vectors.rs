//! Functions of vectors.

use oarlock::internal::format::Activation;
use oarlock::internal::kernels::{
    QuantizedActivationsMut, activate, add, add_scaled, clamp, layer_norm, layer_norm_in,
    norm_heads, rms_norm, rotate, scale, soft_cap, sub_scaled,
};

use oarlock::Isa;
use oarlock::internal::math;

use crate::hostile::Hostile;

/// One round.
pub fn round(hostile: &mut Hostile) {
    let isa = hostile.isa();
    let len = hostile.size();
    let lens = [0; 4].map(|_| hostile.len(len));
    let [mut x, y, z, mut out] = lens.map(|len| hostile.floats(len));
    let (by, head) = (hostile.float(), hostile.about(len / 2));
    let activation = hostile.pick(&[
        Activation::Silu,
        Activation::GeluTanh,
        Activation::GeluErf,
        Activation::Relu,
        Activation::ReluSquared,
    ]);
    hostile.public("activate", || activate(isa, activation, &mut x));
    hostile.public("soft_cap", || soft_cap(isa, &mut x, by));
    hostile.public("clamp", || clamp(isa, &mut x, by));
    hostile.public("scale", || scale(isa, &mut x, by));
    hostile.public("add_scaled", || add_scaled(isa, &mut x, &y, by));
    hostile.public("sub_scaled", || sub_scaled(isa, &x, &y, by, &mut out));
    hostile.public("norm_heads", || norm_heads(isa, &mut x, &y, by));
    hostile.kernel("add", || add(isa, &mut x, &y));
    hostile.kernel("rms_norm", || rms_norm(isa, &x, &y, by, &mut out));
    hostile.kernel("layer_norm", || layer_norm(isa, &x, &y, Some(&z), by, &mut out));
    hostile.kernel("layer_norm_in", || layer_norm_in(isa, &mut x, &y, None, by));
    hostile.kernel("rotate", || rotate(isa, &mut x, head, &y, &z));

    quantized(hostile, isa, len, [x, y, z]);
    numbers(hostile);
}

/// Activations, quantized and copied.
fn quantized(hostile: &mut Hostile, isa: Isa, len: usize, [x, y, z]: [Vec<f32>; 3]) {
    let (n, cols) = (hostile.about(3), hostile.about(len));
    let quants = hostile.len(3 * len.next_multiple_of(32));
    let (mut q, mut source) = (hostile.quants(quants), Vec::new());
    let (at, token, split) = (hostile.about(1), hostile.about(2), hostile.about(1));
    source.clone_from(&q);
    let (mut scales, mut sums) = (y.clone(), z.clone());
    hostile.kernel("QuantizedActivationsMut", || {
        let Some(mut acts) = QuantizedActivationsMut::new(n, cols, &mut q, &mut scales, &mut sums)
        else {
            return;
        };
        let (mut scales, mut sums) = (y.clone(), z.clone());
        let from = QuantizedActivationsMut::new(1, len, &mut source, &mut scales, &mut sums);
        if let Some(from) = from {
            acts.copy(token, &from.view(), at);
        }
        let (mut few, mut rest) = acts.reborrow().split(split);
        if rest.n() > 0 && x.len() == cols {
            rest.quantize(isa, 0, &x);
        }
        few.quantize(isa, token, &x);
        let (few, rest) = (few.freeze(), rest.view());
        for acts in [few, rest] {
            let _ = (acts.n(), acts.cols(), acts.q().len(), acts.scale().len(), acts.sum().len());
        }
    });
}

/// Functions of numbers, which take any.
fn numbers(hostile: &mut Hostile) {
    let (a, b, c, bits) =
        (hostile.float(), hostile.float(), hostile.float(), hostile.random.bits());
    hostile.public("math", || {
        let _ = (math::fma(a, b, c), math::sqrt(a), math::rint(a), math::sigmoid(a));
        assert!(!math::exp(a).is_nan() || a.is_nan());
        let (sin, cos) = math::sin_cos(bits);
        assert!(sin.abs() <= 1.0 && cos.abs() <= 1.0);
        assert_eq!(math::f16_to_f32(math::f32_to_f16(a)).is_nan(), a.is_nan());
    });
}
