//! The blocks of ggml that no type of ours holds exactly, to floats.
//!
//! Value i of a group is `scale · quant(i) − minimum`, in single precision and in this order,
//! which gives the bits that ggml's own reference gives. Types of 256 values ("K-quants") have
//! scales of small integers, for 16 or 32 values each, times one of the whole block.

use byteorder::{ByteOrder, LittleEndian};
use oarlock::internal::math::f16_to_f32;

use super::dtype::Dtype;
use super::levels::{IQ4_NL, MXFP4};

/// Writes the values of one block of a type without a counterpart here.
pub fn decode(dtype: Dtype, block: &[u8], out: &mut [f32]) {
    match dtype {
        Dtype::Q5_1 => q5_1(block, out),
        Dtype::Q2K => q2_k(block, out),
        Dtype::Q3K => q3_k(block, out),
        Dtype::Q4K => q4_k(block, out),
        Dtype::Q5K => q5_k(block, out),
        Dtype::Q6K => q6_k(block, out),
        Dtype::Iq4Xs => iq4_xs(block, out),
        Dtype::Mxfp4 => mxfp4(block, out),
        Dtype::F32 | Dtype::F16 | Dtype::Bf16 => unreachable!("{dtype:?} is read as it is"),
        Dtype::Q8_0 | Dtype::Q4_0 | Dtype::Q4_1 | Dtype::Q5_0 | Dtype::Iq4Nl => {
            unreachable!("{dtype:?} has a counterpart here")
        }
        Dtype::Scaled4 | Dtype::Affine4 | Dtype::Scaled8 | Dtype::Widened => {
            unreachable!("{dtype:?} is none of ggml's")
        }
        Dtype::U8 | Dtype::Other(..) => unreachable!("{dtype:?} is no weights"),
    }
}

/// A field of `width` bits: bytes lie in stripes, the first fields of a stripe in the lowest
/// bits of its bytes, the next above them.
fn field(bytes: &[u8], i: usize, width: usize, stripe: usize) -> i8 {
    let per_byte = 8 / width;
    let byte = bytes[i / (stripe * per_byte) * stripe + i % stripe];
    let shift = i / stripe % per_byte * width;
    ((byte >> shift) & ((1 << width) - 1)) as i8
}

fn half(bytes: &[u8], at: usize) -> f32 {
    f16_to_f32(LittleEndian::read_u16(&bytes[at..]))
}

/// Fills `out` in groups, which share a scale and a minimum.
fn fill(
    out: &mut [f32],
    group: usize,
    scale: impl Fn(usize) -> (f32, f32),
    quant: impl Fn(usize) -> i8,
) {
    for (g, out) in out.chunks_exact_mut(group).enumerate() {
        let (scale, minimum) = scale(g);
        for (i, out) in out.iter_mut().enumerate() {
            *out = scale * f32::from(quant(g * group + i)) - minimum;
        }
    }
}

/// Half of 2^(e − 127) (E8M0: a biased exponent, of which 255 is NaN), by its bits: of the least two
/// a subnormal number.
pub(super) fn e8m0_half(exponent: u8) -> f32 {
    match u32::from(exponent) {
        e @ 0..2 => f32::from_bits(1 << (21 + e)),
        255 => f32::NAN,
        e => f32::from_bits((e - 1) << 23),
    }
}

/// A scale, 32 nibbles.
fn mxfp4(block: &[u8], out: &mut [f32]) {
    let quant = |i| MXFP4[field(&block[1..], i, 4, 16) as usize];
    fill(out, 32, |_| (e8m0_half(block[0]), 0.0), quant);
}

/// `d`, `m` (f16), 32 high bits, 32 nibbles.
fn q5_1(block: &[u8], out: &mut [f32]) {
    let (high, low) = block[4..].split_at(4);
    let quant = |i| field(low, i, 4, 16) | field(high, i, 1, 1) << 4;
    fill(out, 32, |_| (half(block, 0), -half(block, 2)), quant);
}

/// 16 scales and minima in nibbles, 256 values of two bits, `d`, `dmin` (f16).
fn q2_k(block: &[u8], out: &mut [f32]) {
    let (scales, low) = block.split_at(16);
    let (d, dmin) = (half(block, 80), half(block, 82));
    let scale = |g: usize| (d * f32::from(scales[g] & 15), dmin * f32::from(scales[g] >> 4));
    fill(out, 16, scale, |i| field(low, i, 2, 32));
}

/// 256 high bits, 256 values of two bits, 16 scales of six bits, `d` (f16).
fn q3_k(block: &[u8], out: &mut [f32]) {
    let (high, rest) = block.split_at(32);
    let (low, scales) = rest.split_at(64);
    let d = half(block, 108);
    let scale = |g| {
        let scale = field(scales, g, 4, 8) | field(&scales[8..], g, 2, 4) << 4;
        (d * f32::from(scale - 32), 0.0)
    };
    // A high bit that is not set counts, as minus four.
    fill(out, 16, scale, |i| field(low, i, 2, 32) - 4 * (1 - field(high, i, 1, 32)));
}

/// The scale and the minimum of group `g` of eight, in six bits each of twelve bytes.
fn six_bits(bytes: &[u8], g: usize) -> (u8, u8) {
    match g {
        0..4 => (bytes[g] & 63, bytes[g + 4] & 63),
        _ => {
            let low = bytes[g + 4];
            (low & 15 | bytes[g - 4] >> 6 << 4, low >> 4 | bytes[g] >> 6 << 4)
        }
    }
}

/// Scale and minimum of group `g`, from `d`, `dmin` (f16) and the twelve bytes behind them.
pub(super) fn k_scale(block: &[u8], g: usize) -> (f32, f32) {
    let (scale, minimum) = six_bits(&block[4..16], g);
    (half(block, 0) * f32::from(scale), half(block, 2) * f32::from(minimum))
}

/// `d`, `dmin`, eight scales and minima, 256 nibbles.
fn q4_k(block: &[u8], out: &mut [f32]) {
    fill(out, 32, |g| k_scale(block, g), |i| field(&block[16..], i, 4, 32));
}

/// `d`, `dmin`, eight scales and minima, 256 high bits, 256 nibbles.
fn q5_k(block: &[u8], out: &mut [f32]) {
    let (high, low) = block[16..].split_at(32);
    let quant = |i| field(low, i, 4, 32) | field(high, i, 1, 32) << 4;
    fill(out, 32, |g| k_scale(block, g), quant);
}

/// 256 nibbles, 256 values of two high bits, 16 scales (i8), `d` (f16).
fn q6_k(block: &[u8], out: &mut [f32]) {
    let (low, rest) = block.split_at(128);
    let (high, scales) = rest.split_at(64);
    let d = half(block, 208);
    let quant = |i| (field(low, i, 4, 64) | field(high, i, 2, 32) << 4) - 32;
    fill(out, 16, |g| (d * f32::from(scales[g] as i8), 0.0), quant);
}

fn level(nibbles: &[u8], i: usize) -> i8 {
    IQ4_NL[usize::from(field(nibbles, i, 4, 16) as u8)]
}

/// The scale of group `g`, from `d` (f16), the high two bits of eight scales and their low nibbles.
pub(super) fn iq4_xs_scale(block: &[u8], g: usize) -> f32 {
    let (high, low) = (&block[2..4], &block[4..8]);
    let scale = field(low, g, 4, 1) | field(high, g, 2, 1) << 4;
    half(block, 0) * f32::from(scale - 32)
}

/// `d` (f16), the high two bits of eight scales, their low nibbles, 256 nibbles that name levels.
fn iq4_xs(block: &[u8], out: &mut [f32]) {
    fill(out, 32, |g| (iq4_xs_scale(block, g), 0.0), |i| level(&block[8..], i));
}
