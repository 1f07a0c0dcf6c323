//! A quantized matrix, whatever its method: codes, their meaning, scales.
//!
//! A row of it is given in blocks of 32 codes where a type here holds codes and scales like these, so
//! that it goes the way of GGUF's types; else as floats.

use byteorder::{ByteOrder, LittleEndian};
use oarlock::internal::format::layout::BLOCK_COLS;
use oarlock::internal::math::{f16_to_f32, f32_to_f16};

use super::codes::Codes;
use super::numbers::{Scales, e2m1};
use crate::source::dtype::Dtype;

/// A quantized matrix `(rows, cols)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix<'m> {
    /// The name of its type in messages.
    pub label: &'static str,
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
    /// A code for each number.
    pub codes: Codes<'m>,
    /// The columns that share scales.
    pub groups: Groups<'m>,
    /// Their scales.
    pub scales: Scales<'m>,
    /// The meaning of codes.
    pub levels: Levels<'m>,
}

/// Columns that share a scale.
#[derive(Clone, Debug, PartialEq)]
pub enum Groups<'m> {
    /// So many, one beside the other.
    Even(usize),
    /// The group of each column (i32), each of them checked.
    Listed(&'m [u8]),
    /// So many numbers of all rows, one after another.
    Flat(usize),
}

/// Meanings of codes, before they are multiplied by their scale.
#[derive(Clone, Debug, PartialEq)]
pub enum Levels<'m> {
    /// The code less this zero point.
    Zero(u8),
    /// The code less the zero point of its row and group.
    Zeros(Zeros<'m>),
    /// The code itself; behind the product a minimum is added.
    Minima(Scales<'m>),
    /// Floats of 4 bits.
    E2m1,
    /// Those of a table, by code.
    Table(Vec<f32>),
}

/// Zero points.
#[derive(Clone, Debug, PartialEq)]
pub struct Zeros<'m> {
    /// `(rows, groups)`, or the other way.
    pub codes: Codes<'m>,
    /// Whether the lines of codes are groups.
    pub by_groups: bool,
    /// Whether they are stored less one.
    pub less_one: bool,
}

impl Zeros<'_> {
    fn at(&self, row: usize, group: usize) -> u8 {
        let (line, i) = if self.by_groups { (group, row) } else { (row, group) };
        if self.less_one { self.codes.plus_one(line, i) } else { self.codes.get(line, i) }
    }
}

impl Matrix<'_> {
    /// Takes a zero point that all groups have for what it is.
    pub fn simplified(mut self) -> Self {
        if let Some(zero) = self.common_zero() {
            self.levels = Levels::Zero(zero);
        }
        self
    }

    fn common_zero(&self) -> Option<u8> {
        let (Levels::Zeros(zeros), Groups::Even(_)) = (&self.levels, &self.groups) else {
            return None;
        };
        let first = zeros.at(0, 0);
        self.all_groups().all(|(row, group)| zeros.at(row, group) == first).then_some(first)
    }

    /// Every row and group, in the order in which scales mostly lie.
    fn all_groups(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let rows = self.rows;
        let groups = match self.groups {
            Groups::Even(n) => self.cols.div_ceil(n),
            Groups::Listed(_) | Groups::Flat(_) => 0,
        };
        (0..groups).flat_map(move |group| (0..rows).map(move |row| (row, group)))
    }

    /// The type in which rows lose nothing and are blocks, if there is one.
    pub fn dtype(&self) -> Dtype {
        let blocks = |n: usize| n.is_multiple_of(BLOCK_COLS);
        match self.groups {
            Groups::Even(n) if blocks(n) && blocks(self.cols) => {}
            _ => return Dtype::Widened,
        }
        match (&self.levels, self.codes.bits) {
            (Levels::E2m1, _) if self.scales.numbers.are_powers() => Dtype::Mxfp4,
            (&Levels::Zero(zero), bits @ 1..=4) if zero <= 8 && (1 << bits) <= 8 + zero => {
                if self.has_half_scales() { Dtype::Q4_0 } else { Dtype::Scaled4 }
            }
            (Levels::Zero(128), 8) => {
                if self.has_half_scales() {
                    Dtype::Q8_0
                } else {
                    Dtype::Scaled8
                }
            }
            (Levels::Zero(_) | Levels::Zeros(_) | Levels::Minima(_), 1..=4) => {
                if self.has_half_scales() && self.has_half_minima() {
                    Dtype::Q4_1
                } else {
                    Dtype::Affine4
                }
            }
            _ => Dtype::Widened,
        }
    }

    /// Whether f16 holds every scale.
    pub fn has_half_scales(&self) -> bool {
        self.all_groups().all(|(row, group)| is_half(self.scales.at(row, group)))
    }

    fn has_half_minima(&self) -> bool {
        let minimum = |(row, group)| self.minimum(row, group, self.scales.at(row, group));
        self.all_groups().all(|at| is_half(minimum(at)))
    }

    /// The value of code 0 of a group with this scale.
    fn minimum(&self, row: usize, group: usize, scale: f32) -> f32 {
        match &self.levels {
            Levels::Zero(zero) => 0.0 - scale * f32::from(*zero),
            Levels::Zeros(zeros) => 0.0 - scale * f32::from(zeros.at(row, group)),
            Levels::Minima(minima) => minima.at(row, group),
            Levels::E2m1 | Levels::Table(_) => 0.0,
        }
    }

    /// The group of a column.
    fn group(&self, row: usize, col: usize) -> usize {
        match self.groups {
            Groups::Even(n) => col / n,
            Groups::Listed(groups) => LittleEndian::read_u32(&groups[4 * col..]) as usize,
            Groups::Flat(n) => (row * self.cols + col) / n,
        }
    }

    /// Row `row` in a type that [`Matrix::dtype`] gives of this matrix or of others of its kind.
    pub fn row(&self, row: usize, dtype: Dtype) -> Vec<u8> {
        let mut codes = vec![0; self.cols];
        self.codes.line(row, &mut codes);
        if dtype == Dtype::Widened {
            return self.floats(row, &codes);
        }
        let (blocks, _) = codes.as_chunks::<BLOCK_COLS>();
        let mut out = Vec::with_capacity(blocks.len() * dtype.block_bytes());
        for (i, codes) in blocks.iter().enumerate() {
            self.block(row, self.group(row, i * BLOCK_COLS), codes, dtype, &mut out);
        }
        out
    }

    fn floats(&self, row: usize, codes: &[u8]) -> Vec<u8> {
        let value = |(col, &code): (usize, &u8)| {
            let group = self.group(row, col);
            let (scale, code) = (self.scales.at(row, group), usize::from(code));
            let less = |zero: u8| scale * (code as f32 - f32::from(zero));
            match &self.levels {
                Levels::Zero(zero) => less(*zero),
                Levels::Zeros(zeros) => less(zeros.at(row, group)),
                Levels::Minima(minima) => scale * code as f32 + minima.at(row, group),
                Levels::E2m1 => scale * e2m1(code as u8),
                Levels::Table(table) => scale * table[code],
            }
        };
        codes.iter().enumerate().map(value).flat_map(f32::to_le_bytes).collect()
    }

    fn block(
        &self,
        row: usize,
        group: usize,
        codes: &[u8; BLOCK_COLS],
        dtype: Dtype,
        out: &mut Vec<u8>,
    ) {
        let scale = self.scales.at(row, group);
        let half = |v: f32| f32_to_f16(v).to_le_bytes();
        let minimum = || self.minimum(row, group, scale);
        let zero = if let Levels::Zero(zero) = self.levels { zero } else { 0 };
        match dtype {
            Dtype::Q4_0 | Dtype::Q4_1 | Dtype::Q8_0 => out.extend(half(scale)),
            Dtype::Mxfp4 => out.push(self.scales.exponent(row, group)),
            _ => out.extend(scale.to_le_bytes()),
        }
        match dtype {
            Dtype::Q4_1 => out.extend(half(minimum())),
            Dtype::Affine4 => out.extend(minimum().to_le_bytes()),
            _ => {}
        }
        match dtype {
            Dtype::Q8_0 | Dtype::Scaled8 => out.extend(codes.map(|code| code ^ 128)),
            Dtype::Q4_0 | Dtype::Scaled4 => out.extend(nibbles(&codes.map(|code| code + 8 - zero))),
            _ => out.extend(nibbles(codes)),
        }
    }
}

/// Whether f16 holds this number.
fn is_half(v: f32) -> bool {
    f16_to_f32(f32_to_f16(v)) == v
}

/// Codes in the order of GGUF: the first half in the low nibbles, the other in the high.
fn nibbles(codes: &[u8; BLOCK_COLS]) -> [u8; BLOCK_COLS / 2] {
    std::array::from_fn(|i| codes[i] | codes[i + BLOCK_COLS / 2] << 4)
}
