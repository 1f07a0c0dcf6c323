//! Quantized blocks of 32 values, in the one form that all types with a counterpart here share.

use byteorder::{ByteOrder, LittleEndian};
use oarlock::internal::format::layout::BLOCK_COLS;

use super::dtype::Dtype;
use super::levels::IQ4_NL;

/// A block of 32 quantized values: `scale · quant + minimum`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuantBlock {
    /// f16.
    pub scale: u16,
    /// f16; 0 where the type has none.
    pub minimum: u16,
    /// Signed, except in an affine type, where they are 0 … 15.
    pub quants: [i8; BLOCK_COLS],
}

impl QuantBlock {
    /// Reads a block of a quantized type that has a counterpart here.
    ///
    /// GGUF keeps values 0 … 15 of a 4-bit block in the low nibbles and 16 … 31 in the high.
    pub fn read(dtype: Dtype, bytes: &[u8]) -> Self {
        let scale = LittleEndian::read_u16(bytes);
        let nibble = |bytes: &[u8], i: usize| ((bytes[i % 16] >> (i / 16 * 4)) & 15) as i8;
        let (minimum, quants): (_, [i8; BLOCK_COLS]) = match dtype {
            Dtype::Q4_1 => {
                let nibbles = &bytes[4..];
                let quants = std::array::from_fn(|i| nibble(nibbles, i));
                (LittleEndian::read_u16(&bytes[2..]), quants)
            }
            Dtype::Q4_0 => (0, std::array::from_fn(|i| nibble(&bytes[2..], i) - 8)),
            Dtype::Q5_0 => {
                let (high, low) = bytes[2..].split_at(4);
                let bit = |i: usize| (high[i / 8] >> (i % 8) & 1) as i8;
                (0, std::array::from_fn(|i| nibble(low, i) + 16 * bit(i) - 16))
            }
            Dtype::Iq4Nl => {
                let level = |i| IQ4_NL[nibble(&bytes[2..], i) as usize];
                (0, std::array::from_fn(level))
            }
            _ => (0, std::array::from_fn(|i| bytes[2 + i] as i8)),
        };
        Self { scale, minimum, quants }
    }
}
