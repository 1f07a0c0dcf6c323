//! Errors of opening a file.

use core::fmt;

use super::constants::{NONE, VERSION};
use super::role::Role;
use super::section::Section;

/// The reason for which [`Model::open`](crate::Model::open) refuses a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum OpenError {
    /// The slice does not start on a 64-byte boundary.
    Misaligned,
    /// The file does not start with the bytes `OARLOCK\n`.
    Magic,
    /// The file has this version, which this build does not read.
    Version(u32),
    /// The slice has fewer bytes than the file says it needs.
    Truncated {
        /// Bytes that the file says it needs.
        needed: u64,
        /// Bytes of the slice.
        found: u64,
    },
    /// The metadata does not have the checksum that the header states.
    Checksum,
    /// A field has a value that it cannot have, or that contradicts another.
    Field(Field),
    /// A section is shorter or longer than its content.
    SectionLength(Section),
    /// A section that is text is not UTF-8.
    NotUtf8(Section),
    /// The directory's entry of this index is not the tensor that belongs there.
    Tensor {
        /// Index in the directory.
        index: u32,
        /// The field of the entry that is wrong.
        field: Field,
    },
    /// The model lacks this tensor, or has it in the wrong place.
    Missing {
        /// Index of the layer that lacks it; `u32::MAX` if it belongs to none.
        layer: u32,
        /// The role of the tensor.
        role: Role,
    },
}

/// A field of the file, for error messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[expect(missing_docs, reason = "the fields of `docs/reference/format.md`, by their names")]
pub enum Field {
    Version,
    SectionCount,
    SectionTable,
    Lengths,
    VocabSize,
    Dim,
    NLayers,
    NHeads,
    NKvHeads,
    HeadDim,
    FfnDim,
    Context,
    RotDim,
    NormEps,
    ScoreScale,
    Norm,
    Activation,
    Mlp,
    Flags,
    Norms,
    Residual,
    QkNorm,
    EmbeddingScale,
    ResidualScale,
    LogitScale,
    ScoreCap,
    LogitCap,
    Window,
    Positions,
    QkvLimit,
    LongContext,
    NExperts,
    NExpertsUsed,
    ExpertFfnDim,
    SharedFfnDim,
    Routing,
    GateSlope,
    GateLimit,
    LayerFlags,
    Arch,
    Reserved,
    AttentionFactor,
    LayerFirst,
    LayerCount,
    Name,
    Role,
    Layer,
    Experts,
    Type,
    Shape,
    Offset,
    Length,
    TotalLength,
    Sampling,
}

impl Field {
    /// The field's name in `docs/reference/format.md`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Version => "header version",
            Self::SectionCount => "header section count",
            Self::SectionTable => "header section table",
            Self::Lengths => "header lengths",
            Self::VocabSize => "vocab_size",
            Self::Dim => "dim",
            Self::NLayers => "n_layers",
            Self::NHeads => "n_heads",
            Self::NKvHeads => "n_kv_heads",
            Self::HeadDim => "head_dim",
            Self::FfnDim => "ffn_dim",
            Self::Context => "context",
            Self::RotDim => "rot_dim",
            Self::NormEps => "norm_eps",
            Self::ScoreScale => "score_scale",
            Self::Norm => "norm",
            Self::Activation => "activation",
            Self::Mlp => "mlp",
            Self::Flags => "flags",
            Self::Norms => "norms",
            Self::Residual => "residual",
            Self::QkNorm => "qk_norm",
            Self::EmbeddingScale => "embedding_scale",
            Self::ResidualScale => "residual_scale",
            Self::LogitScale => "logit_scale",
            Self::ScoreCap => "score_cap",
            Self::LogitCap => "logit_cap",
            Self::Window => "window",
            Self::Positions => "positions",
            Self::QkvLimit => "qkv_limit",
            Self::LongContext => "long_context",
            Self::NExperts => "n_experts",
            Self::NExpertsUsed => "n_experts_used",
            Self::ExpertFfnDim => "expert_ffn_dim",
            Self::SharedFfnDim => "shared_ffn_dim",
            Self::Routing => "routing",
            Self::GateSlope => "gate_slope",
            Self::GateLimit => "gate_limit",
            Self::LayerFlags => "flags of a layer",
            Self::Arch => "arch",
            Self::Reserved => "reserved bytes",
            Self::AttentionFactor => "attention_factor",
            Self::LayerFirst => "first tensor of a layer",
            Self::LayerCount => "tensor count of a layer",
            Self::Name => "name",
            Self::Role => "role",
            Self::Layer => "layer",
            Self::Experts => "experts",
            Self::Type => "type",
            Self::Shape => "shape",
            Self::Offset => "offset",
            Self::Length => "length",
            Self::TotalLength => "total length",
            Self::Sampling => "sampling",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl core::error::Error for Field {}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Misaligned => f.write_str("the bytes do not start on a 64-byte boundary"),
            Self::Magic => f.write_str("not an .oar file"),
            Self::Version(v) => {
                write!(f, "file version {v}, this program reads versions 1 to {}", VERSION)
            }
            Self::Truncated { needed, found } => {
                write!(f, "truncated: {found} bytes of at least {needed}")
            }
            Self::Checksum => f.write_str("damaged: the metadata checksum does not match"),
            Self::Field(field) => write!(f, "invalid {}", field.name()),
            Self::SectionLength(s) => write!(f, "section {}: wrong length", s.name()),
            Self::NotUtf8(s) => write!(f, "section {}: not UTF-8", s.name()),
            Self::Tensor { index, field } => {
                write!(f, "directory entry {index}: invalid {}", field.name())
            }
            Self::Missing { layer: NONE, role } => {
                write!(f, "directory: no {} where it belongs", role.name())
            }
            Self::Missing { layer, role } => {
                write!(f, "directory: no {} of layer {layer} where it belongs", role.name())
            }
        }
    }
}

impl core::error::Error for OpenError {}
