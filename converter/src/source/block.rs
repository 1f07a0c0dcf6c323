//! Quantized blocks of 32 values, in the one form that all types with a counterpart here share.

use byteorder::{ByteOrder, LittleEndian};
use oarlock::internal::format::layout::BLOCK_COLS;
use oarlock::internal::math::{f16_to_f32, f32_to_f16};

use super::dtype::Dtype;
use super::ggml::{e8m0_half, iq4_xs_scale, k_scale};
use super::levels::levels;

/// A block of 32 quantized values: `scale · quant + minimum`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuantBlock {
    /// f16.
    pub scale: u16,
    /// f16; 0 where the type has none.
    pub minimum: u16,
    /// Signed, except in an affine type, where they are 0 … 15; in a non-linear one its levels.
    pub quants: [i8; BLOCK_COLS],
}

impl QuantBlock {
    /// Reads 32 values of a type that has a counterpart here: part `part` of a block of the source.
    ///
    /// Scales and minima that the source has as products, or as f32, are rounded to f16.
    pub fn read(dtype: Dtype, bytes: &[u8], part: usize) -> Self {
        let half = |at: usize| LittleEndian::read_u16(&bytes[at..]);
        let single = |at: usize| f32_to_f16(LittleEndian::read_f32(&bytes[at..]));
        let level = |nibble: i8| levels(dtype)[nibble as usize];
        let nibbles = |at: usize| std::array::from_fn(|i| nibble(&bytes[at..], i));
        // Two parts of a block of 256 share bytes.
        let halves = |at: usize| {
            let bytes = &bytes[at + part / 2 * BLOCK_COLS..];
            std::array::from_fn(|i| (bytes[i] >> (part % 2 * 4) & 15) as i8)
        };
        let (scale, minimum, quants): (_, _, [i8; BLOCK_COLS]) = match dtype {
            Dtype::Q4_0 => (half(0), 0, nibbles(2).map(|v: i8| v - 8)),
            Dtype::Q4_1 => (half(0), half(2), nibbles(4)),
            Dtype::Scaled4 => (single(0), 0, nibbles(4).map(|v: i8| v - 8)),
            Dtype::Affine4 => (single(0), single(4), nibbles(8)),
            Dtype::Scaled8 => (single(0), 0, std::array::from_fn(|i| bytes[4 + i] as i8)),
            Dtype::Q5_0 => (half(0), 0, q5_0(bytes)),
            Dtype::Q4K => {
                let (scale, minimum) = k_scale(bytes, part);
                (f32_to_f16(scale), f32_to_f16(-minimum), halves(16))
            }
            Dtype::Iq4Nl => (half(0), 0, nibbles(2).map(level)),
            Dtype::Iq4Xs => {
                let scale = f32_to_f16(iq4_xs_scale(bytes, part));
                let nibbles = &bytes[8 + part * BLOCK_COLS / 2..];
                (scale, 0, std::array::from_fn(|i| level(nibble(nibbles, i))))
            }
            Dtype::Mxfp4 => (f32_to_f16(e8m0_half(bytes[0])), 0, nibbles(1).map(level)),
            _ => (half(0), 0, std::array::from_fn(|i| bytes[2 + i] as i8)),
        };
        Self { scale, minimum, quants }
    }

    /// The values.
    pub fn decode(&self, out: &mut [f32]) {
        let (scale, minimum) = (f16_to_f32(self.scale), f16_to_f32(self.minimum));
        for (out, &q) in out.iter_mut().zip(&self.quants) {
            let product = scale * f32::from(q);
            // Else −0 would become 0.
            *out = if self.minimum == 0 { product } else { product + minimum };
        }
    }
}

/// A nibble of 32: GGUF keeps values 0 … 15 in the low ones and 16 … 31 in the high.
fn nibble(bytes: &[u8], i: usize) -> i8 {
    ((bytes[i % 16] >> (i / 16 * 4)) & 15) as i8
}

/// 32 high bits, 32 nibbles.
fn q5_0(block: &[u8]) -> [i8; BLOCK_COLS] {
    let (high, low) = block[2..].split_at(4);
    let bit = |i: usize| (high[i / 8] >> (i % 8) & 1) as i8;
    std::array::from_fn(|i| nibble(low, i) + 16 * bit(i) - 16)
}
