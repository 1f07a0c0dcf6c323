//! Tensors as they lie in a source file.

use std::collections::BTreeMap;

use byteorder::{ByteOrder, LittleEndian};
use oarlock::layout::{BLOCK_COLS, WeightType};
use oarlock::math::f16_to_f32;

use crate::error::{Error, Result};

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
}

impl Dtype {
    /// Values that share a block.
    pub const fn block(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 => 1,
            Self::Q8_0 | Self::Q4_0 | Self::Q4_1 => BLOCK_COLS,
        }
    }

    /// Bytes of a block.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Q8_0 => 34,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
        }
    }

    /// Bytes of a row, or `None` if it is no whole number of blocks.
    pub const fn row_bytes(self, cols: usize) -> Option<usize> {
        if !cols.is_multiple_of(self.block()) {
            return None;
        }
        (cols / self.block()).checked_mul(self.block_bytes())
    }

    /// The type that holds exactly these values.
    pub const fn keep(self) -> WeightType {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 => WeightType::F32,
            Self::Q8_0 => WeightType::Int8,
            Self::Q4_0 => WeightType::Int4,
            Self::Q4_1 => WeightType::Int4a,
        }
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

    /// Bytes of column `col` of a matrix of a type without blocks.
    pub fn column(&self, col: usize) -> Vec<u8> {
        let (len, cols) = (self.dtype.block_bytes(), self.shape.last().copied().unwrap_or(1));
        let rows = self.data.chunks_exact((cols * len).max(1));
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
    /// Reads a block of a quantized type.
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
