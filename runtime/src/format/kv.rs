//! The layout of cached keys and values: sizes and offsets.
//!
//! One file that the cache (which owns the bytes) and the attention kernels (which read
//! and write them) both import. Keys and values of one kv head of one layer are runs of
//! tiles of [`TILE_KEYS`]; a head's dimensions are padded to [`HEAD_ALIGN`].
//!
//! ```text
//! keys, int8       [2 halves][padded dims / 4][16 keys][4] i8: a lane is a key
//! keys, f16, f32   [32 keys][padded dims]
//! values, int8     [padded dims / 16][32 keys / 4][16 dims][4] i8: a lane is a dimension
//! values, f16, f32 [32 keys][padded dims]
//! key scales, int8 [padded dims / 32][32 keys] f32
//! value scales     [32 keys] f32, of int8
//! ```

use super::layout::BLOCK_COLS;

/// Keys in a tile.
pub const TILE_KEYS: usize = 32;
/// Indices in a KV split, which has a softmax of its own until the merge.
pub const KV_SPLIT_KEYS: usize = 512;
/// Multiple to which a head's dimensions are padded.
pub const HEAD_ALIGN: usize = 32;

/// The type of cached keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum KvType {
    /// 8 bits; a key has a scale per 32 dimensions, a value one. Scores are integer dot
    /// products.
    Int8,
    /// 16-bit floats.
    F16,
    /// 32-bit floats, for models whose matrices are all f32.
    F32,
}

impl KvType {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Int8, Self::F16, Self::F32];

    /// The type of this name on the command line.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kv| kv.name() == name)
    }

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Int8 => "int8",
            Self::F16 => "f16",
            Self::F32 => "f32",
        }
    }

    /// The type of one layer in a session of this type.
    ///
    /// Instead of int8, a layer with outliers among its keys has f16: one large element makes the
    /// scale that 32 share too coarse for the rest.
    pub const fn of_layer(self, key_outliers: bool) -> Self {
        match self {
            Self::Int8 if key_outliers => Self::F16,
            _ => self,
        }
    }

    /// Bytes of one element.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Int8 => 1,
            Self::F16 => 2,
            Self::F32 => 4,
        }
    }

    /// Number of scales of one cached key of a head of `head_dim`: one for each 32 dimensions.
    pub const fn key_scales(self, head_dim: usize) -> usize {
        if matches!(self, Self::Int8) { head_dim.div_ceil(BLOCK_COLS) } else { 0 }
    }

    /// Number of scales of one cached value of a head.
    pub const fn value_scales(self) -> usize {
        matches!(self, Self::Int8) as usize
    }
}

/// Offset in an int8 key tile of dimension `dim` of key `key`, whose head is padded to
/// `padded` dimensions.
pub const fn int8_key_offset(padded: usize, key: usize, dim: usize) -> usize {
    let (half, lane) = (key / 16, key % 16);
    half * 16 * padded + (dim / 4) * 64 + lane * 4 + dim % 4
}

/// Offset in an int8 value tile of dimension `dim` of the value of key `key`.
pub const fn int8_value_offset(key: usize, dim: usize) -> usize {
    (dim / 16) * 16 * TILE_KEYS + (key / 4) * 64 + (dim % 16) * 4 + key % 4
}

/// Index among an int8 head's key scales, tiles counted, of block `block` of the key in
/// `slot`.
pub const fn int8_scale_offset(padded: usize, slot: usize, block: usize) -> usize {
    let (tile, key) = (slot / TILE_KEYS, slot % TILE_KEYS);
    (tile * (padded / BLOCK_COLS) + block) * TILE_KEYS + key
}
