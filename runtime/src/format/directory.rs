//! The tensor directory: one entry for each tensor.

use super::error::Field;
use super::extent::Extent;
use super::fields::{put, u32_at, u64_at};
use super::role::Role;
use super::tensor_type::TensorType;
use crate::base::checked::part;

/// Byte ranges in an entry.
mod field {
    use core::ops::Range;
    pub const NAME_OFFSET: Range<usize> = 0..4;
    pub const NAME_LEN: Range<usize> = 4..8;
    pub const ROLE: Range<usize> = 8..12;
    pub const LAYER: Range<usize> = 12..16;
    pub const EXPERTS: Range<usize> = 16..20;
    pub const TYPE: Range<usize> = 20..24;
    pub const ROWS: Range<usize> = 24..28;
    pub const COLS: Range<usize> = 28..32;
    pub const OFFSET: Range<usize> = 32..40;
    pub const LENGTH: Range<usize> = 40..48;
    pub const CRC: Range<usize> = 48..52;
    pub const RESERVED: Range<usize> = 52..64;
}

/// An entry of the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Offset of the name in the names section.
    pub name_offset: u32,
    /// Bytes of the name.
    pub name_len: u32,
    /// The role in the model.
    pub role: Role,
    /// Index of the layer, or [`NONE`](super::NONE).
    pub layer: u32,
    /// Number of tensors of this type and shape that follow one another, one for each expert, each
    /// on a 64-byte boundary; [`NONE`](super::NONE) of what is no expert's.
    pub experts: u32,
    /// The type: the form of the bytes.
    pub kind: TensorType,
    /// Rows: outputs of a matrix, 1 for a vector.
    pub rows: u32,
    /// Columns: inputs of a matrix, elements of a vector.
    pub cols: u32,
    /// The place of the bytes.
    pub extent: Extent,
    /// CRC-32 of the bytes and of the padding after them.
    pub crc: u32,
}

impl Entry {
    /// Bytes of an entry.
    pub const LEN: usize = 64;

    /// Reads an entry.
    ///
    /// # Errors
    /// The field whose code does not exist, or [`Field::Reserved`] if bytes are used that are not
    /// yet.
    pub fn read(bytes: &[u8; Self::LEN]) -> Result<Self, Field> {
        if part(bytes, field::RESERVED).iter().any(|&b| b != 0) {
            return Err(Field::Reserved);
        }
        Ok(Self {
            name_offset: u32_at(bytes, field::NAME_OFFSET),
            name_len: u32_at(bytes, field::NAME_LEN),
            role: Role::from_code(u32_at(bytes, field::ROLE)).ok_or(Field::Role)?,
            layer: u32_at(bytes, field::LAYER),
            experts: u32_at(bytes, field::EXPERTS),
            kind: TensorType::from_code(u32_at(bytes, field::TYPE)).ok_or(Field::Type)?,
            rows: u32_at(bytes, field::ROWS),
            cols: u32_at(bytes, field::COLS),
            extent: Extent {
                offset: u64_at(bytes, field::OFFSET),
                len: u64_at(bytes, field::LENGTH),
            },
            crc: u32_at(bytes, field::CRC),
        })
    }

    /// Writes the entry.
    pub fn write(&self, out: &mut [u8; Self::LEN]) {
        out.fill(0);
        let u32s = [
            (field::NAME_OFFSET, self.name_offset),
            (field::NAME_LEN, self.name_len),
            (field::ROLE, self.role as u32),
            (field::LAYER, self.layer),
            (field::EXPERTS, self.experts),
            (field::TYPE, self.kind.code()),
            (field::ROWS, self.rows),
            (field::COLS, self.cols),
            (field::CRC, self.crc),
        ];
        for (range, v) in u32s {
            put(out, range, v.to_le_bytes());
        }
        put(out, field::OFFSET, self.extent.offset.to_le_bytes());
        put(out, field::LENGTH, self.extent.len.to_le_bytes());
    }
}
