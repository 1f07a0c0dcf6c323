//! The packed layout of a weight matrix: sizes, offsets and nibble order.
//!
//! One file that the converter (which writes it) and the kernels (which read it)
//! both import, so that they cannot disagree.
//!
//! A matrix of `rows × cols` is cut into tiles of [`TILE_ROWS`] rows; a tile is a
//! run of blocks, one for each [`BLOCK_COLS`] columns; tiles follow one another.
//! Inside a block one SIMD lane belongs to one row, so a dot product needs no
//! horizontal sum:
//!
//! ```text
//! int8   [8 column groups][16 rows][4 columns] i8, then 16 × f16 scale
//! int4   [4 lines][16 rows][4 columns] u8,         then 16 × f16 scale
//! int4a  as int4,                                  then 16 × f16 scale, 16 × f16 minimum
//! int4n  as int4
//! int5   as int4, then [16 rows][4 columns] u8 of signs, then 16 × f16 scale
//! f32    [32 columns][16 rows] f32
//! ```
//!
//! A 4-bit line `c` holds column group `c` in its low and `c + 4` in its high
//! nibbles. A weight is `scale · (nibble − 8)` in int4, `scale · nibble + minimum`
//! in int4a and `scale · byte` in int8. In int4n it is `scale · levels[nibble]`: a
//! matrix begins with its 16 levels, signed bytes, and zeros up to [`LINE`] bytes.
//! In int5 it is `scale · (nibble − 16 · sign)`, two's complement of 5 bits: bit `c`
//! of a byte of signs is that of column group `c`.
//!
//! Rows are padded to 16 with zero scales (and minima), columns to 32 with values
//! that count as zero: nibble 8 in int4, nibble 0 in int4a and int5, byte 0 in int8. In
//! int4n any nibble will do, as the activations that it meets are 0.

/// Rows in a tile: one 64-byte line of int8 is a column group of all of them.
pub const TILE_ROWS: usize = 16;
/// Columns in a block, which share a scale per row.
pub const BLOCK_COLS: usize = 32;
/// Columns in a group: the values that one 32-bit lane of an integer dot product takes.
pub const GROUP_COLS: usize = 4;
/// Column groups in a block.
pub const GROUPS: usize = BLOCK_COLS / GROUP_COLS;
/// Bytes of one line: a column group of all rows at one byte (or two nibbles) a value.
pub const LINE: usize = TILE_ROWS * GROUP_COLS;
/// Offset in an int5 block of its signs.
pub const SIGNS: usize = GROUPS / 2 * LINE;
/// Levels of int4n.
pub const LEVELS: usize = 16;
/// The nibble that stands for zero in int4.
pub const INT4_ZERO: u8 = 8;

/// The type of a matrix's weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u32)]
pub enum WeightType {
    /// 32-bit floats, for checking conversions: activations are then f32 too.
    F32 = 0,
    /// 8 bits, a scale for 32: 8.5 bits a weight.
    Int8 = 1,
    /// 4 bits, symmetric, a scale for 32: 4.5 bits a weight.
    Int4 = 2,
    /// 4 bits, affine, a scale and a minimum for 32: 5 bits a weight.
    Int4a = 3,
    /// 4 bits, one of 16 levels that the matrix has of its own, a scale for 32: 4.5 bits a weight.
    Int4n = 4,
    /// 5 bits, symmetric, a scale for 32: 5.5 bits a weight.
    Int5 = 5,
}

impl WeightType {
    /// All of them, in the order of their codes in the file.
    pub const ALL: [Self; 6] =
        [Self::F32, Self::Int8, Self::Int4, Self::Int4a, Self::Int4n, Self::Int5];

    /// The type with this code in the file.
    pub const fn from_code(code: u32) -> Option<Self> {
        match code {
            0 => Some(Self::F32),
            1 => Some(Self::Int8),
            2 => Some(Self::Int4),
            3 => Some(Self::Int4a),
            4 => Some(Self::Int4n),
            5 => Some(Self::Int5),
            _ => None,
        }
    }

    /// The name on the command line and in listings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Int8 => "int8",
            Self::Int4 => "int4",
            Self::Int4a => "int4a",
            Self::Int4n => "int4n",
            Self::Int5 => "int5",
        }
    }

    /// Bytes of the quants of one block of 16 × 32, which are also the offset of its scales.
    pub const fn quant_bytes(self) -> usize {
        match self {
            Self::F32 => 4 * TILE_ROWS * BLOCK_COLS,
            Self::Int8 => GROUPS * LINE,
            Self::Int4 | Self::Int4a | Self::Int4n => GROUPS / 2 * LINE,
            Self::Int5 => SIGNS + LINE,
        }
    }

    /// Offset of the minima of a block, in the type that has them.
    pub const fn minimum_offset(self) -> usize {
        self.quant_bytes() + 2 * TILE_ROWS
    }

    /// Bytes of one block of 16 × 32: quants, then scales, then minima.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F32 => self.quant_bytes(),
            Self::Int8 | Self::Int4 | Self::Int4n | Self::Int5 => {
                self.quant_bytes() + 2 * TILE_ROWS
            }
            Self::Int4a => self.quant_bytes() + 4 * TILE_ROWS,
        }
    }

    /// Bytes of a matrix before its first tile.
    pub const fn head_bytes(self) -> usize {
        match self {
            Self::Int4n => LINE,
            _ => 0,
        }
    }

    /// Whether a matrix of this type takes its input quantized, in int8 blocks.
    pub const fn is_quantized(self) -> bool {
        !matches!(self, Self::F32)
    }
}

/// Number of blocks in a row of `cols` columns, the last one padded.
pub const fn blocks(cols: usize) -> usize {
    cols.div_ceil(BLOCK_COLS)
}

/// Number of tiles in `rows` rows, the last one padded.
pub const fn tiles(rows: usize) -> usize {
    rows.div_ceil(TILE_ROWS)
}

/// Bytes of one packed tile; `None` if that overflows.
pub const fn tile_bytes(kind: WeightType, cols: usize) -> Option<usize> {
    blocks(cols).checked_mul(kind.block_bytes())
}

/// Bytes of a packed matrix; `None` if that overflows.
pub const fn matrix_bytes(kind: WeightType, rows: usize, cols: usize) -> Option<usize> {
    match tile_bytes(kind, cols) {
        Some(bytes) => match tiles(rows).checked_mul(bytes) {
            Some(bytes) => bytes.checked_add(kind.head_bytes()),
            None => None,
        },
        None => None,
    }
}

/// Offset in an int8 block of the value at `(row, col)`, both inside the block.
pub const fn int8_offset(row: usize, col: usize) -> usize {
    (col / GROUP_COLS) * LINE + row * GROUP_COLS + col % GROUP_COLS
}

/// Offset in a 4-bit block of the byte that holds `(row, col)`, and the shift of its nibble.
pub const fn nibble_offset(row: usize, col: usize) -> (usize, u32) {
    let group = col / GROUP_COLS;
    let (line, shift) = if group < GROUPS / 2 { (group, 0) } else { (group - GROUPS / 2, 4) };
    (line * LINE + row * GROUP_COLS + col % GROUP_COLS, shift)
}

/// Offset in an int5 block of the byte that holds the sign of `(row, col)`, and its bit.
pub const fn sign_offset(row: usize, col: usize) -> (usize, u32) {
    (SIGNS + row * GROUP_COLS + col % GROUP_COLS, (col / GROUP_COLS) as u32)
}

/// Offset in an f32 block of the value at `(row, col)`.
pub const fn f32_offset(row: usize, col: usize) -> usize {
    4 * (col * TILE_ROWS + row)
}
