//! Rows of weights to the tiles of [`oarlock::internal::format::layout`].

use std::fmt;

use byteorder::{ByteOrder, LittleEndian};
use oarlock::internal::format::layout::{
    BLOCK_COLS, INT4_ZERO, LINE, TILE_ROWS, WeightType, blocks, f32_offset, int8_offset,
    nibble_offset, sign_offset, tile_bytes,
};
use oarlock::internal::math::f16_to_f32;

use super::group::Group;
use super::quantize::Quantize;
use crate::source::block::QuantBlock;
use crate::source::decode::decode;
use crate::source::dtype::Dtype;
use crate::source::levels::{IQ4_NL, Levels, levels};

/// Flaws of a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// NaN or infinite.
    NotFinite,
    /// Too large for an f16 scale.
    TooLarge,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFinite => "a weight is NaN or infinite",
            Self::TooLarge => "a weight is too large for an f16 scale",
        })
    }
}

impl std::error::Error for Flaw {}

/// Packs one tile: the rows (at most 16) as they lie in the source, `cols` weights each.
///
/// A row whose source type holds exactly what the tile's type can is taken over without
/// changing a value; an int4 one loses least in the columns of most `importance` (empty: all the
/// same).
pub fn tile(
    kind: WeightType,
    dtype: Dtype,
    cols: usize,
    rows: &[&[u8]],
    importance: &[f32],
    out: &mut [u8],
) -> Result<(), Flaw> {
    debug_assert_eq!(Some(out.len()), tile_bytes(kind, cols));
    let padding = if kind == WeightType::Int4 { INT4_ZERO | INT4_ZERO << 4 } else { 0 };
    for block in out.chunks_exact_mut(kind.block_bytes()) {
        block.fill(0);
        block[..kind.quant_bytes()].fill(padding);
    }
    let takes_over = dtype.counterpart() == Some(kind);
    let mut floats = vec![0.0; blocks(cols) * BLOCK_COLS];
    for (row, bytes) in rows.iter().enumerate() {
        if takes_over {
            take_over(kind, dtype, row, bytes, out)?;
            continue;
        }
        decode(dtype, bytes, &mut floats[..cols]);
        if !floats.iter().all(|v| v.is_finite()) {
            return Err(Flaw::NotFinite);
        }
        quantize(kind, row, &floats, cols, importance, out)?;
    }
    Ok(())
}

fn take_over(
    kind: WeightType,
    dtype: Dtype,
    row: usize,
    bytes: &[u8],
    out: &mut [u8],
) -> Result<(), Flaw> {
    let parts = dtype.block() / BLOCK_COLS;
    for (i, out) in out.chunks_exact_mut(kind.block_bytes()).enumerate() {
        let source = &bytes[i / parts * dtype.block_bytes()..];
        let block = QuantBlock::read(dtype, source, i % parts);
        if ![block.scale, block.minimum].iter().all(|&h| f16_to_f32(h).is_finite()) {
            return Err(Flaw::NotFinite);
        }
        put(kind, levels(dtype), row, &block, BLOCK_COLS, out);
    }
    Ok(())
}

fn quantize(
    kind: WeightType,
    row: usize,
    floats: &[f32],
    cols: usize,
    importance: &[f32],
    out: &mut [u8],
) -> Result<(), Flaw> {
    let (groups, _) = floats.as_chunks::<BLOCK_COLS>();
    for (i, (x, out)) in groups.iter().zip(out.chunks_exact_mut(kind.block_bytes())).enumerate() {
        let n = (cols - i * BLOCK_COLS).min(BLOCK_COLS);
        if kind == WeightType::F32 {
            for (col, &v) in x.iter().enumerate() {
                LittleEndian::write_f32(&mut out[f32_offset(row, col)..][..4], v);
            }
            continue;
        }
        if x.iter().any(|v| v.abs() > MAX_WEIGHT) {
            return Err(Flaw::TooLarge);
        }
        let importance = &group_of(importance, i);
        let block = Quantize { kind, x, importance, n }.block();
        put(kind, &IQ4_NL, row, &block, n, out);
    }
    Ok(())
}

/// The importance of the columns of block `block`.
fn group_of(importance: &[f32], block: usize) -> Group {
    let from = importance.get(block * BLOCK_COLS..).unwrap_or(&[]);
    std::array::from_fn(|i| from.get(i).copied().unwrap_or(1.0))
}

/// No scale or minimum of smaller weights is beyond f16.
const MAX_WEIGHT: f32 = 65504.0;

/// Writes the first `n` values of row `row` of a block, and its scale and minimum.
fn put(
    kind: WeightType,
    levels: &Levels,
    row: usize,
    block: &QuantBlock,
    n: usize,
    out: &mut [u8],
) {
    for (col, &q) in block.quants[..n].iter().enumerate() {
        match kind {
            WeightType::Int8 => out[int8_offset(row, col)] = q as u8,
            WeightType::Int4 => put_nibble(row, col, (q + INT4_ZERO as i8) as u8, out),
            WeightType::Int4n => {
                let nibble = levels.iter().position(|&level| level == q).unwrap_or_default();
                put_nibble(row, col, nibble as u8, out);
            }
            WeightType::Int5 => {
                put_nibble(row, col, q as u8 & 15, out);
                let (at, bit) = sign_offset(row, col);
                out[at] |= u8::from(q < 0) << bit;
            }
            WeightType::Int4a | WeightType::F32 => put_nibble(row, col, q as u8, out),
        }
    }
    LittleEndian::write_u16(&mut out[kind.quant_bytes() + 2 * row..][..2], block.scale);
    if kind == WeightType::Int4a {
        LittleEndian::write_u16(&mut out[kind.minimum_offset() + 2 * row..][..2], block.minimum);
    }
}

/// The bytes before the tiles of a matrix of this type that is made of that one.
pub fn head(kind: WeightType, dtype: Dtype) -> Vec<u8> {
    let mut line = [0; LINE];
    line.iter_mut().zip(levels(dtype)).for_each(|(byte, level)| *byte = *level as u8);
    line[..kind.head_bytes()].to_vec()
}

fn put_nibble(row: usize, col: usize, nibble: u8, out: &mut [u8]) {
    let (at, shift) = nibble_offset(row, col);
    out[at] = out[at] & !(15 << shift) | nibble << shift;
}

/// Rows that make `bytes` of packed tiles, at least one tile.
pub fn rows_for(kind: WeightType, cols: usize, bytes: usize) -> usize {
    let tile = tile_bytes(kind, cols).unwrap_or(usize::MAX).max(1);
    (bytes / tile).max(1) * TILE_ROWS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value at `(row, col)` of a block, by the words of the layout's documentation.
    fn value(kind: WeightType, block: &[u8], row: usize, col: usize) -> f32 {
        let f16 = |at: usize| f16_to_f32(LittleEndian::read_u16(&block[at..]));
        let group = col / 4;
        let byte = |line: usize| block[line * 64 + row * 4 + col % 4];
        let nibble = || f32::from(byte(group % 4) >> (group / 4 * 4) & 15);
        match kind {
            WeightType::F32 => LittleEndian::read_f32(&block[4 * (col * 16 + row)..]),
            WeightType::Int8 => f16(512 + 2 * row) * f32::from(byte(group) as i8),
            WeightType::Int4 => f16(256 + 2 * row) * (nibble() - 8.0),
            WeightType::Int4a => f16(256 + 2 * row) * nibble() + f16(288 + 2 * row),
            WeightType::Int4n => f16(256 + 2 * row) * f32::from(IQ4_NL[nibble() as usize]),
            WeightType::Int5 => {
                let sign = byte(4) >> group & 1;
                f16(320 + 2 * row) * (nibble() - 16.0 * f32::from(sign))
            }
        }
    }

    /// Source blocks of every quantized type, with all nibbles and all signs in them.
    fn source(dtype: Dtype, rows: usize, cols: usize) -> Vec<u8> {
        let len = dtype.row_bytes(cols).unwrap();
        let mut bytes: Vec<u8> = (0..rows * len).map(|i| (i * 167 + i / 7 * 13) as u8).collect();
        for (i, block) in bytes.chunks_exact_mut(dtype.block_bytes()).enumerate() {
            LittleEndian::write_u16(block, 0x2000 + 37 * i as u16);
            if dtype == Dtype::Q4_1 {
                LittleEndian::write_u16(&mut block[2..], 0xA800 + 11 * i as u16);
            }
        }
        bytes
    }

    #[test]
    fn keeps_every_value_of_gguf() {
        let (rows, cols) = (13, 96);
        use Dtype::{F32, Iq4Nl, Q4_0, Q4_1, Q5_0, Q8_0};
        for dtype in [Q8_0, Q4_0, Q4_1, Q5_0, Iq4Nl, F32] {
            let kind = dtype.keep().unwrap();
            let bytes = match dtype {
                Dtype::F32 => (0..rows * cols).flat_map(|i| (i as f32).to_le_bytes()).collect(),
                _ => source(dtype, rows, cols),
            };
            let lines: Vec<_> = bytes.chunks_exact(dtype.row_bytes(cols).unwrap()).collect();
            let mut out = vec![0xAA; tile_bytes(kind, cols).unwrap()];
            tile(kind, dtype, cols, &lines, &[], &mut out).unwrap();
            for (row, line) in lines.iter().enumerate() {
                let mut floats = vec![0.0; cols];
                decode(dtype, line, &mut floats);
                for (col, &v) in floats.iter().enumerate() {
                    let block = &out[col / 32 * kind.block_bytes()..];
                    assert_eq!(value(kind, block, row, col % 32), v, "{dtype:?} {row} {col}");
                }
            }
        }
    }

    #[test]
    fn padding_counts_as_zero() {
        let (rows, cols) = (3, 40);
        let floats: Vec<u8> =
            (0..rows * cols).flat_map(|i| (0.1 * i as f32 - 5.0).to_le_bytes()).collect();
        let lines: Vec<_> = floats.chunks_exact(4 * cols).collect();
        for kind in WeightType::ALL {
            let mut out = vec![0xAA; tile_bytes(kind, cols).unwrap()];
            tile(kind, Dtype::F32, cols, &lines, &[], &mut out).unwrap();
            for row in 0..TILE_ROWS {
                for col in 0..64 {
                    let block = &out[col / 32 * kind.block_bytes()..];
                    let v = value(kind, block, row, col % 32);
                    // Those of columns meet activations that are 0.
                    let any = matches!(kind, WeightType::Int4a | WeightType::Int4n);
                    let pads = row >= rows || (col >= cols && !any);
                    assert!(!pads || v == 0.0, "{kind:?} {row} {col}: {v}");
                    if row < rows && col < cols {
                        let x = 0.1 * (row * cols + col) as f32 - 5.0;
                        // The outer levels are further apart than equal ones.
                        let most = if kind == WeightType::Int4n { 0.5 } else { 0.4 };
                        assert!((v - x).abs() < most, "{kind:?} {row} {col}: {v} for {x}");
                    }
                    if row < rows && col >= cols && kind == WeightType::Int4a {
                        let (at, shift) = nibble_offset(row, col % 32);
                        assert_eq!(block[at] >> shift & 15, 0);
                    }
                }
            }
        }
    }

    #[test]
    fn flaws_are_found() {
        let row = |v: f32| [v; 32].iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>();
        let mut out = vec![0; tile_bytes(WeightType::Int4, 32).unwrap()];
        let mut try_one =
            |v| tile(WeightType::Int4, Dtype::F32, 32, &[&row(1.0), &row(v)], &[], &mut out);
        assert_eq!(try_one(f32::NAN), Err(Flaw::NotFinite));
        assert_eq!(try_one(f32::NEG_INFINITY), Err(Flaw::NotFinite));
        assert_eq!(try_one(1e9), Err(Flaw::TooLarge));
        assert_eq!(try_one(65504.0), Ok(()));
        let mut bytes = source(Dtype::Q4_0, 1, 32);
        LittleEndian::write_u16(&mut bytes, 0x7C00);
        let kept = tile(WeightType::Int4, Dtype::Q4_0, 32, &[&bytes], &[], &mut out);
        assert_eq!(kept, Err(Flaw::NotFinite));
    }
}
