//! Tensors as they lie in a source file.

use std::collections::BTreeMap;

use byteorder::{ByteOrder, LittleEndian};
use oarlock::internal::format::layout::{BLOCK_COLS, WeightType};
use oarlock::internal::math::f16_to_f32;

use crate::error::{Error, Result};
use crate::ggml;

/// How a source stores its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// The upper halves of 32-bit floats.
    Bf16,
    /// GGUF: 32 int8 and an f16 scale.
    Q8_0,
    /// GGUF: 32 nibbles less 8 and an f16 scale.
    Q4_0,
    /// GGUF: 32 nibbles, an f16 scale and an f16 minimum.
    Q4_1,
    /// GGUF: 32 values of 5 bits less 16 and an f16 scale.
    Q5_0,
    /// GGUF: 32 values of 5 bits, an f16 scale and an f16 minimum.
    Q5_1,
    /// GGUF: 256 values of 2 bits, scales and minima of 16 each.
    Q2K,
    /// GGUF: 256 values of 3 bits, scales of 16 each.
    Q3K,
    /// GGUF: 256 values of 4 bits, scales and minima of 32 each.
    Q4K,
    /// GGUF: 256 values of 5 bits, scales and minima of 32 each.
    Q5K,
    /// GGUF: 256 values of 6 bits, scales of 16 each.
    Q6K,
    /// GGUF: 32 of 16 unequal levels and an f16 scale.
    Iq4Nl,
    /// GGUF: 256 of the same levels, scales of 32 each.
    Iq4Xs,
    /// 32 numbers of 4 bits (E2M1) and a power of two.
    Mxfp4,
    /// Safetensors: bytes, of which something else is made.
    U8,
}

/// The types of GGUF that are read, by code and name.
const OF_GGUF: &[(u32, &str, Dtype)] = &[
    (0, "F32", Dtype::F32),
    (1, "F16", Dtype::F16),
    (2, "Q4_0", Dtype::Q4_0),
    (3, "Q4_1", Dtype::Q4_1),
    (6, "Q5_0", Dtype::Q5_0),
    (7, "Q5_1", Dtype::Q5_1),
    (8, "Q8_0", Dtype::Q8_0),
    (10, "Q2_K", Dtype::Q2K),
    (11, "Q3_K", Dtype::Q3K),
    (12, "Q4_K", Dtype::Q4K),
    (13, "Q5_K", Dtype::Q5K),
    (14, "Q6_K", Dtype::Q6K),
    (20, "IQ4_NL", Dtype::Iq4Nl),
    (23, "IQ4_XS", Dtype::Iq4Xs),
    (30, "BF16", Dtype::Bf16),
    (39, "MXFP4", Dtype::Mxfp4),
];

impl Dtype {
    /// The type with this code in GGUF.
    pub fn of_gguf(code: u32) -> Option<Self> {
        OF_GGUF.iter().find(|(known, ..)| *known == code).map(|(.., dtype)| *dtype)
    }

    /// What GGUF calls the types that are read.
    pub fn names() -> impl Iterator<Item = &'static str> {
        OF_GGUF.iter().map(|(_, name, _)| *name)
    }

    /// What GGUF calls it.
    pub fn name(self) -> &'static str {
        OF_GGUF.iter().find(|(.., dtype)| *dtype == self).map_or("", |(_, name, _)| name)
    }

    /// Values that share a block.
    pub const fn block(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 | Self::U8 => 1,
            Self::Q8_0 | Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 => BLOCK_COLS,
            Self::Iq4Nl | Self::Mxfp4 => BLOCK_COLS,
            Self::Q2K | Self::Q3K | Self::Q4K | Self::Q5K | Self::Q6K | Self::Iq4Xs => 256,
        }
    }

    /// Bytes of a block.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::U8 => 1,
            Self::Mxfp4 => 17,
            Self::Q8_0 => 34,
            Self::Q4_0 | Self::Iq4Nl => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q2K => 84,
            Self::Q3K => 110,
            Self::Q4K => 144,
            Self::Q5K => 176,
            Self::Q6K => 210,
            Self::Iq4Xs => 136,
        }
    }

    /// Bytes of a row, or `None` if it is no whole number of blocks.
    pub const fn row_bytes(self, cols: usize) -> Option<usize> {
        if !cols.is_multiple_of(self.block()) {
            return None;
        }
        (cols / self.block()).checked_mul(self.block_bytes())
    }

    /// The type that holds exactly these values, if one does.
    pub const fn keep(self) -> Option<WeightType> {
        Some(match self {
            Self::F32 | Self::F16 | Self::Bf16 => WeightType::F32,
            Self::Q8_0 => WeightType::Int8,
            Self::Q4_0 => WeightType::Int4,
            Self::Q4_1 => WeightType::Int4a,
            _ => return None,
        })
    }
}

/// A tensor of a source file.
#[derive(Clone, Debug)]
pub struct Raw<'m> {
    /// How its numbers are stored.
    pub dtype: Dtype,
    /// Its dimensions, the slowest first.
    pub shape: Vec<usize>,
    /// Its bytes.
    pub data: &'m [u8],
}

impl<'m> Raw<'m> {
    /// `(rows, cols)`; a vector is one row.
    pub fn matrix_shape(&self) -> Option<(usize, usize)> {
        match *self.shape {
            [cols] => Some((1, cols)),
            [rows, cols] => Some((rows, cols)),
            _ => None,
        }
    }

    /// Bytes of row `row`.
    pub fn row(&self, row: usize, cols: usize) -> &'m [u8] {
        let len = self.dtype.row_bytes(cols).unwrap_or(0);
        &self.data[row * len..(row + 1) * len]
    }

    /// Bytes of column `col` of a matrix of a type without blocks; the columns of several are
    /// counted one after another.
    pub fn column(&self, col: usize) -> Vec<u8> {
        let (len, cols) = (self.dtype.block_bytes(), self.shape.last().copied().unwrap_or(1));
        let before = self.shape.len().saturating_sub(2);
        let bytes = self.shape[before..].iter().product::<usize>() * len;
        let (matrix, col) = (col / cols, col % cols);
        let rows = self.data[matrix * bytes..][..bytes].chunks_exact((cols * len).max(1));
        rows.flat_map(|row| &row[col * len..(col + 1) * len]).copied().collect()
    }

    /// The bytes that a tensor of this type and shape has, or `None` if that overflows or
    /// its rows are no whole number of blocks.
    pub fn bytes_needed(dtype: Dtype, shape: &[usize]) -> Option<usize> {
        let (&cols, rows) = shape.split_last()?;
        let rows = rows.iter().try_fold(1_usize, |n, &d| n.checked_mul(d))?;
        dtype.row_bytes(cols)?.checked_mul(rows)
    }
}

/// The tensors of a model, by name.
pub type Tensors<'m> = BTreeMap<String, Raw<'m>>;

/// Adds a tensor that must not be there yet.
pub fn insert<'m>(to: &mut Tensors<'m>, name: &str, raw: Raw<'m>) -> Result<()> {
    match to.insert(name.into(), raw) {
        None => Ok(()),
        Some(_) => Err(Error::new(name, "the tensor is there twice", "get the model again")),
    }
}

/// Reads a row as f32.
pub fn decode(dtype: Dtype, bytes: &[u8], out: &mut [f32]) {
    let halves = |bytes: &[u8], out: &mut [f32], f: fn(u16) -> f32| {
        let values = bytes.chunks_exact(2).map(LittleEndian::read_u16);
        out.iter_mut().zip(values).for_each(|(out, v)| *out = f(v));
    };
    match dtype {
        Dtype::F32 => LittleEndian::read_f32_into(bytes, out),
        Dtype::F16 => halves(bytes, out, f16_to_f32),
        Dtype::Bf16 => halves(bytes, out, |v| f32::from_bits(u32::from(v) << 16)),
        Dtype::Q8_0 | Dtype::Q4_0 | Dtype::Q4_1 => {
            let blocks = bytes.chunks_exact(dtype.block_bytes());
            for (block, out) in blocks.zip(out.chunks_exact_mut(BLOCK_COLS)) {
                decode_block(&Block::read(dtype, block), out);
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

fn decode_block(block: &Block, out: &mut [f32]) {
    let (scale, minimum) = (f16_to_f32(block.scale), f16_to_f32(block.minimum));
    for (out, &q) in out.iter_mut().zip(&block.quants) {
        *out = scale * f32::from(q) + minimum;
    }
}

/// A block of 32 quantized values: `scale · quant + minimum`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// f16.
    pub scale: u16,
    /// f16; 0 where the type has none.
    pub minimum: u16,
    /// Signed, except in an affine type, where they are 0 … 15.
    pub quants: [i8; BLOCK_COLS],
}

impl Block {
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
            _ => (0, std::array::from_fn(|i| bytes[2 + i] as i8)),
        };
        Self { scale, minimum, quants }
    }
}
