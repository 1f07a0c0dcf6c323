//! Scales: numbers of any type, of a row and a group of columns.

use byteorder::{ByteOrder, LittleEndian};
use oarlock::internal::math::f16_to_f32;

use crate::source::dtype::Dtype;
use crate::source::levels::MXFP4;

/// Numbers one after another.
#[derive(Clone, Debug, PartialEq)]
pub struct Numbers<'m> {
    data: &'m [u8],
    kind: Kind<'m>,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind<'m> {
    F32,
    F16,
    Bf16,
    E4m3,
    E8m0,
    Nested(Box<Nested<'m>>),
}

/// Numbers that are quantized themselves: a byte of them stands for a level of a table, times a
/// scale that `block` of them share, and `offset` is added to all.
#[derive(Clone, Debug, PartialEq)]
pub struct Nested<'m> {
    /// f32 `(256)`
    pub table: &'m [u8],
    /// Their scales.
    pub scales: Numbers<'m>,
    /// Numbers that share one.
    pub block: usize,
    /// Added to all.
    pub offset: f32,
}

impl<'m> Numbers<'m> {
    /// Numbers of this type; bytes are powers of two.
    pub fn new(dtype: Dtype, data: &'m [u8]) -> Option<Self> {
        let kind = match dtype {
            Dtype::F32 => Kind::F32,
            Dtype::F16 => Kind::F16,
            Dtype::Bf16 => Kind::Bf16,
            Dtype::Other("F8_E4M3", _) => Kind::E4m3,
            Dtype::U8 | Dtype::Other("F8_E8M0", _) => Kind::E8m0,
            _ => return None,
        };
        Some(Self { data, kind })
    }

    /// Floats of 8 bits that are stored as bytes.
    pub const fn e4m3(data: &'m [u8]) -> Self {
        Self { data, kind: Kind::E4m3 }
    }

    /// Numbers that are quantized themselves.
    pub fn nested(data: &'m [u8], nested: Nested<'m>) -> Self {
        Self { data, kind: Kind::Nested(Box::new(nested)) }
    }

    /// Whether these are powers of two.
    pub fn are_powers(&self) -> bool {
        self.kind == Kind::E8m0
    }

    /// The byte that number `i` is.
    pub fn byte(&self, i: usize) -> u8 {
        self.data[i]
    }

    /// Number `i`.
    pub fn get(&self, i: usize) -> f32 {
        let half = || LittleEndian::read_u16(&self.data[2 * i..]);
        match &self.kind {
            Kind::F32 => LittleEndian::read_f32(&self.data[4 * i..]),
            Kind::F16 => f16_to_f32(half()),
            Kind::Bf16 => f32::from_bits(u32::from(half()) << 16),
            Kind::E4m3 => e4m3(self.data[i]),
            Kind::E8m0 => e8m0(self.data[i]),
            Kind::Nested(nested) => {
                let level = LittleEndian::read_f32(&nested.table[4 * usize::from(self.data[i])..]);
                level * nested.scales.get(i / nested.block) + nested.offset
            }
        }
    }
}

/// A float of 8 bits, four of them its exponent: no infinity, and two NaN (arXiv 2209.05433).
pub fn e4m3(byte: u8) -> f32 {
    let (exponent, mantissa) = (u32::from(byte >> 3 & 15), u32::from(byte & 7));
    let size = match (exponent, mantissa) {
        (15, 7) => f32::NAN,
        (0, m) => m as f32 / 512.0,
        (e, m) => f32::from_bits((e + 120) << 23 | m << 20),
    };
    if byte >> 7 == 1 { -size } else { size }
}

/// A power of two by its biased exponent, of which 255 is NaN.
fn e8m0(exponent: u8) -> f32 {
    match u32::from(exponent) {
        0 => f32::from_bits(1 << 22),
        255 => f32::NAN,
        e => f32::from_bits(e << 23),
    }
}

/// A float of 4 bits, two of them its exponent.
pub fn e2m1(code: u8) -> f32 {
    0.5 * f32::from(MXFP4[usize::from(code & 15)])
}

/// A factor of all scales of a matrix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Factor {
    /// Multiplied by.
    Times(f32),
    /// Divided by.
    Over(f32),
}

/// The scale of each row, or block of rows, and each group of columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Scales<'m> {
    /// The scales.
    pub numbers: Numbers<'m>,
    /// Rows that share theirs.
    pub row_block: usize,
    /// Scales from those of a block of rows to those of the next.
    pub row_step: usize,
    /// Scales from that of a group to that of the next.
    pub group_step: usize,
    /// A factor of all.
    pub factor: Factor,
}

impl<'m> Scales<'m> {
    /// Scales `(rows, groups)`.
    pub const fn by_rows(numbers: Numbers<'m>, groups: usize) -> Self {
        let factor = Factor::Times(1.0);
        Self { numbers, row_block: 1, row_step: groups, group_step: 1, factor }
    }

    /// Scales `(groups, rows)`.
    pub const fn by_groups(numbers: Numbers<'m>, rows: usize) -> Self {
        let factor = Factor::Times(1.0);
        Self { numbers, row_block: 1, row_step: 1, group_step: rows, factor }
    }

    fn index(&self, row: usize, group: usize) -> usize {
        row / self.row_block * self.row_step + group * self.group_step
    }

    /// The scale of a row and a group.
    pub fn at(&self, row: usize, group: usize) -> f32 {
        let scale = self.numbers.get(self.index(row, group));
        match self.factor {
            Factor::Times(factor) => scale * factor,
            Factor::Over(divisor) => scale / divisor,
        }
    }

    /// The exponent of the scale of a row and a group, where scales are powers of two.
    pub fn exponent(&self, row: usize, group: usize) -> u8 {
        self.numbers.byte(self.index(row, group))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_floats_are_what_their_bits_say() {
        let known =
            [(0x00, 0.0), (0x01, 1.0 / 512.0), (0x08, 1.0 / 64.0), (0x38, 1.0), (0xBA, -1.25)];
        for (byte, value) in known.into_iter().chain([(0x7E, 448.0), (0xFE, -448.0)]) {
            assert_eq!(e4m3(byte), value, "{byte:#x}");
        }
        assert!(e4m3(0x7F).is_nan() && e4m3(0xFF).is_nan());
        assert_eq!([e8m0(127), e8m0(0), e8m0(254)], [1.0, 2_f32.powi(-127), 2_f32.powi(127)]);
        let levels = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];
        assert!((0..8).all(|i| e2m1(i) == levels[usize::from(i)]));
        assert!((8..16).all(|i| e2m1(i) == -levels[usize::from(i) - 8]));
    }
}
