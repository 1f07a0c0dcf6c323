//! Roles of tensors: names, codes and kinds.

/// The role of a tensor in the model.
///
/// Inside a layer the order of the codes is the order in the file, which is the order of use;
/// there is room between them for the families to come.
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
    DiffNorm = 0x134,
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
        Self::DiffNorm,
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

    /// The name in messages and listings.
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
            Self::DiffNorm => "norm of differences",
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

    /// Whether the tensor is a bias, which a model may do without.
    pub const fn is_bias(self) -> bool {
        (self as u32) & 0xF == 1
    }

    /// Whether the tensor is a vector of f32 and not a packed matrix.
    pub const fn is_vector(self) -> bool {
        self.is_bias()
            || self.is_norm()
            || matches!(self, Self::Slopes | Self::SinkLogits | Self::Lambda)
    }

    /// Whether the tensor is the gain of a norm.
    pub const fn is_norm(self) -> bool {
        use Role::{AttnAfterNorm, AttnNorm, DiffNorm, EmbeddingNorm, FfnAfterNorm, FfnNorm};
        use Role::{KNorm, OutputNorm, QNorm};
        matches!(self, AttnNorm | QNorm | KNorm | AttnAfterNorm | FfnNorm | FfnAfterNorm)
            || matches!(self, EmbeddingNorm | DiffNorm | OutputNorm)
    }

    /// Whether each expert has one: the tensor is then a stack of as many of one shape and type.
    pub const fn is_expert(self) -> bool {
        use Role::{
            ExpertDown, ExpertDownBias, ExpertGate, ExpertGateBias, ExpertUp, ExpertUpBias,
        };
        matches!(self, ExpertGate | ExpertUp | ExpertDown)
            || matches!(self, ExpertGateBias | ExpertUpBias | ExpertDownBias)
    }

    /// Whether the tensor decides which experts a token goes to, or how much of one.
    ///
    /// Such a tensor is always f32: quantized, it would not be a little less precise but choose
    /// another expert.
    pub const fn is_router(self) -> bool {
        matches!(self, Self::Router | Self::SharedRouter)
    }
}
