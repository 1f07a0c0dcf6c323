//! Stored numbers to floats.

use byteorder::{ByteOrder, LittleEndian};
use oarlock::internal::format::layout::BLOCK_COLS;
use oarlock::internal::math::f16_to_f32;

use super::block::QuantBlock;
use super::dtype::Dtype;
use super::ggml;

/// Reads a row as f32.
pub fn decode(dtype: Dtype, bytes: &[u8], out: &mut [f32]) {
    let halves = |bytes: &[u8], out: &mut [f32], f: fn(u16) -> f32| {
        let values = bytes.chunks_exact(2).map(LittleEndian::read_u16);
        out.iter_mut().zip(values).for_each(|(out, v)| *out = f(v));
    };
    match dtype {
        Dtype::F32 | Dtype::Widened => LittleEndian::read_f32_into(bytes, out),
        Dtype::F16 => halves(bytes, out, f16_to_f32),
        Dtype::Bf16 => halves(bytes, out, |v| f32::from_bits(u32::from(v) << 16)),
        Dtype::Q8_0 | Dtype::Q4_0 | Dtype::Q4_1 | Dtype::Q5_0 | Dtype::Iq4Nl => {
            let blocks = bytes.chunks_exact(dtype.block_bytes());
            for (block, out) in blocks.zip(out.chunks_exact_mut(BLOCK_COLS)) {
                QuantBlock::read(dtype, block, 0).decode(out);
            }
        }
        Dtype::Scaled4 | Dtype::Affine4 | Dtype::Scaled8 => {
            let blocks = bytes.chunks_exact(dtype.block_bytes());
            for (block, out) in blocks.zip(out.chunks_exact_mut(BLOCK_COLS)) {
                singles(dtype, block, out);
            }
        }
        _ => {
            let blocks = bytes.chunks_exact(dtype.block_bytes());
            for (block, out) in blocks.zip(out.chunks_exact_mut(dtype.block())) {
                ggml::decode(dtype, block, out);
            }
        }
    }
}

/// Writes the values of a block whose scale, and minimum, is f32.
fn singles(dtype: Dtype, block: &[u8], out: &mut [f32]) {
    let scale = LittleEndian::read_f32(block);
    let minimum = if dtype == Dtype::Affine4 { LittleEndian::read_f32(&block[4..]) } else { 0.0 };
    for (out, q) in out.iter_mut().zip(QuantBlock::read(dtype, block, 0).quants) {
        let product = scale * f32::from(q);
        *out = if minimum == 0.0 { product } else { product + minimum };
    }
}
