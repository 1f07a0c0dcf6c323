//! The tensor directory.

use byteorder::{ByteOrder, LittleEndian};

use super::header::{put, u32_at, u64_at};
use super::{ALIGN, Config, Extent, Mlp, Norm, Positions, QkNorm, Residual};
use crate::format::layout::{WeightType, matrix_bytes};

/// The layer of a tensor that belongs to none, the number of experts of what is no expert's.
pub const NONE: u32 = u32::MAX;

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

/// What a tensor is for. Inside a layer the order of the codes is the order in the file,
/// which is the order of use; there is room between them for the families to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[expect(missing_docs, reason = "the roles of `docs/reference/format.md`, by their names")]
#[repr(u32)]
pub enum Role {
    Embedding = 0,
    Positions = 0x10,
    EmbeddingNorm = 0x20,
    EmbeddingNormBias = 0x21,
    Slopes = 0x30,
    AttnNorm = 0x100,
    AttnNormBias = 0x101,
    Q = 0x110,
    QBias = 0x111,
    QNorm = 0x112,
    K = 0x120,
    KBias = 0x121,
    KNorm = 0x122,
    V = 0x130,
    VBias = 0x131,
    SinkLogits = 0x132,
    Lambda = 0x133,
    DifferenceNorm = 0x134,
    O = 0x140,
    OBias = 0x141,
    AttnAfterNorm = 0x150,
    FfnNorm = 0x200,
    FfnNormBias = 0x201,
    Gate = 0x210,
    GateBias = 0x211,
    Up = 0x220,
    UpBias = 0x221,
    Down = 0x230,
    DownBias = 0x231,
    FfnAfterNorm = 0x240,
    Router = 0x300,
    RouterBias = 0x301,
    ExpertGate = 0x310,
    ExpertGateBias = 0x311,
    ExpertUp = 0x320,
    ExpertUpBias = 0x321,
    ExpertDown = 0x330,
    ExpertDownBias = 0x331,
    SharedRouter = 0x340,
    SharedGate = 0x350,
    SharedUp = 0x360,
    SharedDown = 0x370,
    OutputNorm = 0x1000,
    OutputNormBias = 0x1001,
    Output = 0x1010,
    OutputBias = 0x1011,
}

impl Role {
    /// All of them, in ascending order.
    pub const ALL: [Self; 46] = [
        Self::Embedding,
        Self::Positions,
        Self::EmbeddingNorm,
        Self::EmbeddingNormBias,
        Self::Slopes,
        Self::AttnNorm,
        Self::AttnNormBias,
        Self::Q,
        Self::QBias,
        Self::QNorm,
        Self::K,
        Self::KBias,
        Self::KNorm,
        Self::V,
        Self::VBias,
        Self::SinkLogits,
        Self::Lambda,
        Self::DifferenceNorm,
        Self::O,
        Self::OBias,
        Self::AttnAfterNorm,
        Self::FfnNorm,
        Self::FfnNormBias,
        Self::Gate,
        Self::GateBias,
        Self::Up,
        Self::UpBias,
        Self::Down,
        Self::DownBias,
        Self::FfnAfterNorm,
        Self::Router,
        Self::RouterBias,
        Self::ExpertGate,
        Self::ExpertGateBias,
        Self::ExpertUp,
        Self::ExpertUpBias,
        Self::ExpertDown,
        Self::ExpertDownBias,
        Self::SharedRouter,
        Self::SharedGate,
        Self::SharedUp,
        Self::SharedDown,
        Self::OutputNorm,
        Self::OutputNormBias,
        Self::Output,
        Self::OutputBias,
    ];
    /// The roles before the layers, in the order of the file.
    pub const BEFORE: &[Self] = Self::ALL.as_slice().split_at(5).0;
    /// The roles inside a layer, in the order of the file.
    pub const LAYER: &[Self] = Self::ALL.as_slice().split_at(42).0.split_at(5).1;
    /// The roles after the layers, in the order of the file.
    pub const AFTER: &[Self] = Self::ALL.as_slice().split_at(42).1;

    /// The role with this code in the file.
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|&role| role as u32 == code)
    }

    /// What messages and listings call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Embedding => "embedding",
            Self::Positions => "positions",
            Self::EmbeddingNorm => "embedding norm",
            Self::EmbeddingNormBias => "embedding norm bias",
            Self::Slopes => "slopes",
            Self::AttnNorm => "attention norm",
            Self::AttnNormBias => "attention norm bias",
            Self::Q => "q",
            Self::QBias => "q bias",
            Self::QNorm => "q norm",
            Self::K => "k",
            Self::KBias => "k bias",
            Self::KNorm => "k norm",
            Self::V => "v",
            Self::VBias => "v bias",
            Self::SinkLogits => "sink logits",
            Self::Lambda => "lambda",
            Self::DifferenceNorm => "norm of differences",
            Self::O => "o",
            Self::OBias => "o bias",
            Self::AttnAfterNorm => "norm after attention",
            Self::FfnNorm => "ffn norm",
            Self::FfnNormBias => "ffn norm bias",
            Self::Gate => "gate",
            Self::GateBias => "gate bias",
            Self::Up => "up",
            Self::UpBias => "up bias",
            Self::Down => "down",
            Self::DownBias => "down bias",
            Self::FfnAfterNorm => "norm after ffn",
            Self::Router => "router",
            Self::RouterBias => "router bias",
            Self::ExpertGate => "expert gate",
            Self::ExpertGateBias => "expert gate bias",
            Self::ExpertUp => "expert up",
            Self::ExpertUpBias => "expert up bias",
            Self::ExpertDown => "expert down",
            Self::ExpertDownBias => "expert down bias",
            Self::SharedRouter => "shared router",
            Self::SharedGate => "shared gate",
            Self::SharedUp => "shared up",
            Self::SharedDown => "shared down",
            Self::OutputNorm => "output norm",
            Self::OutputNormBias => "output norm bias",
            Self::Output => "output",
            Self::OutputBias => "output bias",
        }
    }

    /// Whether a model can do without: it then has no such addition.
    pub const fn is_bias(self) -> bool {
        (self as u32) & 0xF == 1
    }

    /// Whether the tensor is a vector of f32 and not a packed matrix.
    pub const fn is_vector(self) -> bool {
        self.is_bias()
            || self.is_norm()
            || matches!(self, Self::Slopes | Self::SinkLogits | Self::Lambda)
    }

    /// Whether it is the gain of a norm.
    pub const fn is_norm(self) -> bool {
        use Role::{AttnAfterNorm, AttnNorm, DifferenceNorm, EmbeddingNorm, FfnAfterNorm, FfnNorm};
        use Role::{KNorm, OutputNorm, QNorm};
        matches!(self, AttnNorm | QNorm | KNorm | AttnAfterNorm | FfnNorm | FfnAfterNorm)
            || matches!(self, EmbeddingNorm | DifferenceNorm | OutputNorm)
    }

    /// Whether there is one for each expert: a stack of as many tensors of one shape and type.
    pub const fn is_expert(self) -> bool {
        use Role::{
            ExpertDown, ExpertDownBias, ExpertGate, ExpertGateBias, ExpertUp, ExpertUpBias,
        };
        matches!(self, ExpertGate | ExpertUp | ExpertDown)
            || matches!(self, ExpertGateBias | ExpertUpBias | ExpertDownBias)
    }

    /// Whether it decides which experts a token goes to, or how much of one: always f32, since
    /// what quantization would change there is not a little less precise but another expert.
    pub const fn is_router(self) -> bool {
        matches!(self, Self::Router | Self::SharedRouter)
    }

    /// Whether a model like this has such a tensor, in a layer with experts or without (outside
    /// of layers it is all the same); of a bias, whether it may.
    pub fn is_in(self, config: &Config, sparse: bool) -> bool {
        let (before, after) = (config.norms.before(), config.norms.after());
        let layer_norm = config.norm == Norm::Layer;
        let (gated, shared) = (config.mlp == Mlp::Gated, config.shared_ffn_dim > 0);
        match self {
            Self::Positions => config.positions == Positions::Learned,
            Self::Slopes => config.positions == Positions::Linear,
            Self::EmbeddingNorm => config.embedding_norm,
            Self::EmbeddingNormBias => config.embedding_norm && layer_norm,
            Self::AttnNorm => before,
            Self::FfnNorm => before && config.residual != Residual::Parallel,
            Self::Gate | Self::GateBias => gated && !sparse,
            Self::Up | Self::UpBias | Self::Down | Self::DownBias => !sparse,
            Self::ExpertGate | Self::ExpertGateBias => gated && sparse,
            Self::Router | Self::RouterBias | Self::ExpertUp | Self::ExpertUpBias => sparse,
            Self::ExpertDown | Self::ExpertDownBias => sparse,
            Self::SharedGate => gated && sparse && shared,
            Self::SharedRouter | Self::SharedUp | Self::SharedDown => sparse && shared,
            Self::AttnAfterNorm | Self::FfnAfterNorm => after,
            Self::QNorm | Self::KNorm => config.qk_norm != QkNorm::None,
            Self::SinkLogits => config.sink_logits,
            Self::Lambda | Self::DifferenceNorm => config.differential,
            Self::AttnNormBias => layer_norm && Self::AttnNorm.is_in(config, sparse),
            Self::FfnNormBias => layer_norm && Self::FfnNorm.is_in(config, sparse),
            Self::OutputNormBias => layer_norm,
            Self::Output => !config.tied,
            Self::OutputBias => config.output_bias,
            _ => true,
        }
    }

    /// `(rows, cols)` of the tensor in a model like this; a vector is `(1, n)`. Of a stack, the
    /// shape of each.
    ///
    /// A product that overflows saturates: no tensor can have that many rows.
    pub fn shape(self, config: &Config) -> (usize, usize) {
        let c = config;
        let q_dim = c.n_heads.saturating_mul(c.head_dim);
        let kv_dim = c.n_kv_heads.saturating_mul(c.head_dim);
        match self {
            Self::Embedding | Self::Output => (c.vocab_size, c.dim),
            Self::Positions => (c.context, c.dim),
            Self::EmbeddingNorm | Self::EmbeddingNormBias => (1, c.dim),
            Self::Slopes | Self::SinkLogits => (1, c.n_heads),
            Self::OutputBias => (1, c.vocab_size),
            Self::AttnNorm | Self::AttnNormBias | Self::AttnAfterNorm => (1, c.dim),
            Self::FfnNorm | Self::FfnNormBias | Self::FfnAfterNorm => (1, c.dim),
            Self::OutputNorm | Self::OutputNormBias => (1, c.dim),
            Self::QNorm => (1, if c.qk_norm == QkNorm::Whole { q_dim } else { c.head_dim }),
            Self::KNorm => (1, if c.qk_norm == QkNorm::Whole { kv_dim } else { c.head_dim }),
            Self::Lambda => (1, 1),
            Self::DifferenceNorm => (1, 2 * c.head_dim),
            Self::Q => (q_dim, c.dim),
            Self::QBias => (1, q_dim),
            Self::K | Self::V => (kv_dim, c.dim),
            Self::KBias | Self::VBias => (1, kv_dim),
            Self::O => (c.dim, q_dim),
            Self::OBias => (1, c.dim),
            Self::Gate | Self::Up => (c.ffn_dim, c.dim),
            Self::GateBias | Self::UpBias => (1, c.ffn_dim),
            Self::Down => (c.dim, c.ffn_dim),
            Self::DownBias | Self::ExpertDownBias => (1, c.dim),
            Self::Router => (c.n_experts, c.dim),
            Self::RouterBias => (1, c.n_experts),
            Self::ExpertGate | Self::ExpertUp => (c.expert_ffn_dim, c.dim),
            Self::ExpertGateBias | Self::ExpertUpBias => (1, c.expert_ffn_dim),
            Self::ExpertDown => (c.dim, c.expert_ffn_dim),
            Self::SharedRouter => (1, c.dim),
            Self::SharedGate | Self::SharedUp => (c.shared_ffn_dim, c.dim),
            Self::SharedDown => (c.dim, c.shared_ffn_dim),
        }
    }
}

/// How a tensor's bytes are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TensorType {
    /// Packed tiles: see [`layout`](crate::format::layout).
    Matrix(WeightType),
    /// f32, one after another.
    Vector,
}

impl TensorType {
    const VECTOR: u32 = 16;

    /// The type with this code in the file.
    pub const fn from_code(code: u32) -> Option<Self> {
        match WeightType::from_code(code) {
            Some(kind) => Some(Self::Matrix(kind)),
            None if code == Self::VECTOR => Some(Self::Vector),
            None => None,
        }
    }

    /// Its code in the file.
    pub const fn code(self) -> u32 {
        match self {
            Self::Matrix(kind) => kind as u32,
            Self::Vector => Self::VECTOR,
        }
    }

    /// What listings call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Matrix(kind) => kind.name(),
            Self::Vector => "f32",
        }
    }

    /// Bytes of a tensor of this type and shape, or `None` if that overflows.
    pub const fn bytes(self, rows: usize, cols: usize) -> Option<usize> {
        match self {
            Self::Matrix(kind) => matrix_bytes(kind, rows, cols),
            Self::Vector => match rows.checked_mul(cols) {
                Some(n) => n.checked_mul(4),
                None => None,
            },
        }
    }

    /// Bytes from one tensor of a stack to the next, or `None` if that overflows.
    pub const fn stride(self, rows: usize, cols: usize) -> Option<usize> {
        match self.bytes(rows, cols) {
            Some(bytes) => bytes.checked_next_multiple_of(ALIGN),
            None => None,
        }
    }

    /// Bytes of a stack of `n`, without padding after the last, or `None` if that overflows.
    pub fn stack_bytes(self, rows: usize, cols: usize, n: usize) -> Option<usize> {
        let before = self.stride(rows, cols)?.checked_mul(n.checked_sub(1)?)?;
        before.checked_add(self.bytes(rows, cols)?)
    }
}

/// An entry of the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where its name starts in the names section.
    pub name_offset: u32,
    /// Bytes of its name.
    pub name_len: u32,
    /// What it is for.
    pub role: Role,
    /// Its layer, or [`NONE`].
    pub layer: u32,
    /// How many tensors of this type and shape follow one another, one for each expert, each on
    /// a 64-byte boundary; [`NONE`] of what is no expert's.
    pub experts: u32,
    /// How its bytes are to be read.
    pub kind: TensorType,
    /// Rows: outputs of a matrix, 1 for a vector.
    pub rows: u32,
    /// Columns: inputs of a matrix, elements of a vector.
    pub cols: u32,
    /// Where its bytes lie.
    pub extent: Extent,
    /// Checksum of its bytes and of the padding after them.
    pub crc: u32,
}

impl Entry {
    /// Bytes of an entry.
    pub const LEN: usize = 64;

    /// Reads an entry; the error is the field with a code that does not exist.
    pub fn read(bytes: &[u8; Self::LEN]) -> Result<Self, super::Field> {
        use super::Field;
        if bytes.get(field::RESERVED).is_none_or(|b| b.iter().any(|&b| b != 0)) {
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
            put(out, range, |b| LittleEndian::write_u32(b, v));
        }
        put(out, field::OFFSET, |b| LittleEndian::write_u64(b, self.extent.offset));
        put(out, field::LENGTH, |b| LittleEndian::write_u64(b, self.extent.len));
    }
}
