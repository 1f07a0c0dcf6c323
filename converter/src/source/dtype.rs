//! Types of numbers in source files: their blocks, their names in GGUF.

use oarlock::internal::format::layout::{BLOCK_COLS, WeightType};

/// Types of numbers in source files.
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
    /// Safetensors: 32 nibbles less 8 and an f32 scale.
    Scaled4,
    /// Safetensors: 32 nibbles, an f32 scale and an f32 minimum.
    Affine4,
    /// Safetensors: 32 int8 and an f32 scale.
    Scaled8,
    /// Safetensors: any other quantized numbers, as f32.
    Widened,
    /// Safetensors: bytes, of which something else is made.
    U8,
    /// Safetensors: of this name and size, which no weights are.
    Other(&'static str, usize),
}

/// The types of GGUF that are read, by code and name.
const GGUF_TYPES: &[(u32, &str, Dtype)] = &[
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
    pub fn from_gguf(code: u32) -> Option<Self> {
        GGUF_TYPES.iter().find(|(known, ..)| *known == code).map(|(.., dtype)| *dtype)
    }

    /// GGUF's names of the types that are read.
    pub fn names() -> impl Iterator<Item = &'static str> {
        GGUF_TYPES.iter().map(|(_, name, _)| *name)
    }

    /// GGUF's name of the type, or words for one that it does not have.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scaled4 => "4 bits with scales beyond f16",
            Self::Affine4 => "4 bits with zero points",
            Self::Scaled8 => "8 bits with scales beyond f16",
            Self::Widened => "numbers quantized so",
            _ => {
                GGUF_TYPES.iter().find(|(.., dtype)| *dtype == self).map_or("", |(_, name, _)| name)
            }
        }
    }

    /// Values that share a block.
    pub const fn block(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 | Self::Widened | Self::U8 | Self::Other(..) => 1,
            Self::Q8_0 | Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 => BLOCK_COLS,
            Self::Iq4Nl | Self::Mxfp4 | Self::Scaled4 | Self::Affine4 | Self::Scaled8 => BLOCK_COLS,
            Self::Q2K | Self::Q3K | Self::Q4K | Self::Q5K | Self::Q6K | Self::Iq4Xs => 256,
        }
    }

    /// Bytes of a block.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F32 | Self::Widened => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::U8 => 1,
            Self::Other(_, bytes) => bytes,
            Self::Mxfp4 => 17,
            Self::Q8_0 => 34,
            Self::Q4_0 | Self::Iq4Nl => 18,
            Self::Q4_1 | Self::Scaled4 => 20,
            Self::Affine4 => 24,
            Self::Scaled8 => 36,
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

    /// The type with blocks like these: it holds the same quants, and scales rounded to f16 at most.
    pub const fn counterpart(self) -> Option<WeightType> {
        Some(match self {
            Self::Scaled4 => WeightType::Int4,
            Self::Q4K | Self::Affine4 => WeightType::Int4a,
            Self::Scaled8 => WeightType::Int8,
            Self::Iq4Xs | Self::Mxfp4 => WeightType::Int4n,
            _ if self.is_quantized() => return self.keep(),
            _ => return None,
        })
    }

    /// The smallest type that holds these values but for a rounding far below the source's own
    /// steps; `None` for floats.
    pub fn nearest(self) -> Option<WeightType> {
        self.is_quantized().then(|| self.counterpart().unwrap_or(WeightType::Int8))
    }

    /// Whether values share scales.
    pub const fn is_quantized(self) -> bool {
        self.block() > 1 || matches!(self, Self::Widened)
    }

    /// A type in which quantized numbers of both types are given, if there is one.
    pub fn common(self, other: Self) -> Option<Self> {
        use Dtype::{Affine4, Q4_0, Q4_1, Q8_0, Scaled4, Scaled8, Widened};
        Some(match (self, other) {
            _ if self == other => self,
            (Q4_0 | Scaled4, Q4_0 | Scaled4) => Scaled4,
            (Q8_0 | Scaled8, Q8_0 | Scaled8) => Scaled8,
            (Q4_0 | Scaled4 | Q4_1 | Affine4, Q4_0 | Scaled4 | Q4_1 | Affine4) => Affine4,
            _ if self.is_quantized() && other.is_quantized() => Widened,
            _ => return None,
        })
    }

    /// The type that holds exactly these values, if one does.
    pub const fn keep(self) -> Option<WeightType> {
        Some(match self {
            Self::F32 | Self::F16 | Self::Bf16 => WeightType::F32,
            Self::Q8_0 => WeightType::Int8,
            Self::Q4_0 => WeightType::Int4,
            Self::Q4_1 => WeightType::Int4a,
            Self::Q5_0 => WeightType::Int5,
            Self::Iq4Nl => WeightType::Int4n,
            _ => return None,
        })
    }
}
