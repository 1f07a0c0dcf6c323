//! The config section: a model's dimensions and options.
//!
//! A family is a choice of options on one decoder, never a forward pass of its own; an
//! option with a single variant today is a place where the next family joins.

use byteorder::{ByteOrder, LittleEndian};

use super::header::{f32_at, put, u32_at};
use super::{Field, OpenError, Section};
pub use crate::kernels::{Activation, Clamped};

/// Byte ranges in the section.
mod field {
    use core::ops::Range;
    pub const VOCAB_SIZE: Range<usize> = 0..4;
    pub const DIM: Range<usize> = 4..8;
    pub const N_LAYERS: Range<usize> = 8..12;
    pub const N_HEADS: Range<usize> = 12..16;
    pub const N_KV_HEADS: Range<usize> = 16..20;
    pub const HEAD_DIM: Range<usize> = 20..24;
    pub const FFN_DIM: Range<usize> = 24..28;
    pub const CONTEXT: Range<usize> = 28..32;
    pub const ROT_DIM: Range<usize> = 32..36;
    pub const NORM_EPS: Range<usize> = 36..40;
    pub const SCORE_SCALE: Range<usize> = 40..44;
    pub const NORM: Range<usize> = 44..48;
    pub const ACTIVATION: Range<usize> = 48..52;
    pub const MLP: Range<usize> = 52..56;
    pub const FLAGS: Range<usize> = 56..60;
    pub const NORMS: Range<usize> = 60..64;
    pub const ARCH: Range<usize> = 64..96;
    pub const RESIDUAL: Range<usize> = 96..100;
    pub const QK_NORM: Range<usize> = 100..104;
    pub const EMBEDDING_SCALE: Range<usize> = 104..108;
    pub const RESIDUAL_SCALE: Range<usize> = 108..112;
    pub const LOGIT_SCALE: Range<usize> = 112..116;
    // From here on in version 2.
    pub const SCORE_CAP: Range<usize> = 128..132;
    pub const LOGIT_CAP: Range<usize> = 132..136;
    pub const WINDOW: Range<usize> = 136..140;
    pub const POSITIONS: Range<usize> = 140..144;
    pub const QKV_LIMIT: Range<usize> = 144..148;
    pub const LONG_CONTEXT: Range<usize> = 148..152;
    // From here on in version 3.
    pub const N_EXPERTS: Range<usize> = 152..156;
    pub const N_EXPERTS_USED: Range<usize> = 156..160;
    pub const EXPERT_FFN_DIM: Range<usize> = 160..164;
    pub const SHARED_FFN_DIM: Range<usize> = 164..168;
    pub const ROUTING: Range<usize> = 168..172;
    pub const GATE_SLOPE: Range<usize> = 172..176;
    pub const GATE_LIMIT: Range<usize> = 176..180;
}

const FLAG_TIED: u32 = 1;
const FLAG_EMBEDDING_NORM: u32 = 2;
const FLAG_OUTPUT_BIAS: u32 = 4;
const FLAG_LOCAL_ROPE: u32 = 8;
// From here on in version 3.
const FLAG_SINK_LOGITS: u32 = 16;
const FLAG_DIFFERENTIAL: u32 = 32;
const FLAGS: u32 = 63;

/// How vectors are normalised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u32)]
pub enum Norm {
    /// x / sqrt(mean(x²) + eps) · g
    #[default]
    Rms = 0,
    /// (x − mean(x)) / sqrt(mean((x − mean(x))²) + eps) · g + b, where there is a b
    Layer = 1,
}

/// Where the norms of a layer's two parts are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u32)]
pub enum Norms {
    /// x + part(norm(x))
    #[default]
    Before = 0,
    /// x + norm(part(x))
    After = 1,
    /// x + norm(part(norm(x)))
    Both = 2,
}

impl Norms {
    /// Whether a part reads what has been normalised.
    pub const fn before(self) -> bool {
        matches!(self, Self::Before | Self::Both)
    }

    /// Whether what a part gives is normalised.
    pub const fn after(self) -> bool {
        matches!(self, Self::After | Self::Both)
    }
}

/// How attention and the feed-forward part follow each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u32)]
pub enum Residual {
    /// y = x + attention(x), y + mlp(y)
    #[default]
    Sequential = 0,
    /// x + attention(x) + mlp(x), of one norm of x
    Parallel = 1,
    /// The same, but each part has a norm of its own of x.
    ParallelTwoNorms = 2,
}

/// What queries and keys are normalised over, by RMSNorm, before they are rotated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u32)]
pub enum QkNorm {
    /// They are not.
    #[default]
    None = 0,
    /// Each head, all of them with one gain (head_dim)
    Head = 1,
    /// All heads together, with a gain (n_heads · head_dim) or (n_kv_heads · head_dim)
    Whole = 2,
}

/// The shape of the feed-forward part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u32)]
pub enum Mlp {
    /// down(activation(gate(x)) · up(x))
    #[default]
    Gated = 0,
    /// down(activation(up(x)))
    Plain = 1,
}

/// What the chosen experts are weighed by: a softmax of what the router says of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u32)]
pub enum Routing {
    /// Over all experts, so that the weights of the chosen are less than 1 together.
    #[default]
    All = 0,
    /// Over the chosen ones, which is as dividing those of [`Routing::All`] by their sum.
    Chosen = 1,
}

/// How the model knows in what order tokens come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u32)]
pub enum Positions {
    /// Queries and keys are rotated (arXiv 2104.09864).
    #[default]
    Rotary = 0,
    /// Each position has a vector that is added to the embedding; there are `context` of them.
    Learned = 1,
    /// A score is less by a slope of its head times the distance (arXiv 2108.12409).
    Linear = 2,
}

/// A model's dimensions and options.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Config {
    /// Tokens in the vocabulary: rows of the embedding and of the output matrix.
    pub vocab_size: usize,
    /// Elements of the residual stream.
    pub dim: usize,
    /// Layers (blocks) of the decoder.
    pub n_layers: usize,
    /// Query heads.
    pub n_heads: usize,
    /// Key and value heads, each shared by `n_heads / n_kv_heads` query heads.
    pub n_kv_heads: usize,
    /// Elements of a head.
    pub head_dim: usize,
    /// Elements between the matrices of the feed-forward part.
    pub ffn_dim: usize,
    /// Tokens of context that the model was trained for.
    pub context: usize,
    /// Elements of a head that are rotated, its first; half-split: `i` pairs with
    /// `i + rot_dim / 2`.
    pub rot_dim: usize,
    /// What a norm adds to the mean square.
    pub norm_eps: f32,
    /// What queries are multiplied by, usually 1 / sqrt(head_dim).
    pub score_scale: f32,
    /// How vectors are normalised.
    pub norm: Norm,
    /// The non-linearity of the feed-forward part.
    pub activation: Activation,
    /// The shape of the feed-forward part.
    pub mlp: Mlp,
    /// Whether the output matrix is the embedding.
    pub tied: bool,
    /// Whether embeddings are normalised.
    pub embedding_norm: bool,
    /// Whether the output matrix has a bias.
    pub output_bias: bool,
    /// Whether layers with a window have rotary frequencies of their own.
    pub local_rope: bool,
    /// Whether each head has a logit that joins its softmax without a value.
    pub sink_logits: bool,
    /// Whether what the second half of the heads attends to is taken off what the first does, by
    /// a factor of the layer, the values of two heads side by side (arXiv 2410.05258).
    pub differential: bool,
    /// Where the norms of a layer's two parts are.
    pub norms: Norms,
    /// How attention and the feed-forward part follow each other.
    pub residual: Residual,
    /// What queries and keys are normalised over.
    pub qk_norm: QkNorm,
    /// What an embedding is multiplied by.
    pub embedding_scale: Scale,
    /// What each part of a layer is multiplied by before it is added to the residual stream.
    pub residual_scale: Scale,
    /// What logits are multiplied by.
    pub logit_scale: Scale,
    /// What scores stay within, by c · tanh(score / c).
    pub score_cap: Option<f32>,
    /// What logits stay within, in the same way.
    pub logit_cap: Option<f32>,
    /// Tokens that a layer with a window sees, the newest included; 0 if there is none.
    pub window: usize,
    /// How the order of tokens is known.
    pub positions: Positions,
    /// What queries, keys and values are cut off at, behind their norm and before they are rotated.
    pub qkv_limit: Option<f32>,
    /// Sessions with a longer context have other rotary frequencies; 0 if there are none.
    pub long_context: usize,
    /// Experts in a layer that has some; 0 if none has.
    pub n_experts: usize,
    /// Experts that a token goes through.
    pub n_experts_used: usize,
    /// Elements between the matrices of an expert.
    pub expert_ffn_dim: usize,
    /// The same of the expert that every token goes through; 0 if there is none.
    pub shared_ffn_dim: usize,
    /// What the chosen experts are weighed by.
    pub routing: Routing,
    /// How gate and up are cut off, if they are.
    pub clamped: Option<Clamped>,
}

/// A factor that most models do not have; 1 by default.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Scale(pub f32);

impl Default for Scale {
    fn default() -> Self {
        Self(1.0)
    }
}

impl Scale {
    /// In the file 0 stands for 1, so that a model without has nothing there.
    fn stored(self) -> f32 {
        if self == Self::default() { 0.0 } else { self.0 }
    }

    fn read(stored: f32) -> Self {
        if stored == 0.0 { Self::default() } else { Self(stored) }
    }

    fn is_valid(self) -> bool {
        self.0.is_finite() && self.0 != 0.0
    }
}

impl Config {
    /// Bytes of the section from version 2 on.
    pub const LEN: usize = 192;
    /// Bytes of the section in version 1.
    pub const LEN_1: usize = 128;
    /// The longest name of an architecture.
    pub const ARCH_LEN: usize = field::ARCH.end - field::ARCH.start;
    /// No dimension is larger, so that sizes of activations cannot overflow.
    pub const MAX_DIM: usize = 1 << 24;
    /// A layer has no more experts, so that a token is soon told which are its own: several times
    /// what any model has that was published.
    pub const MAX_EXPERTS: usize = 1 << 11;

    /// Query heads that share a key and value head.
    pub const fn group(&self) -> usize {
        self.n_heads / self.n_kv_heads
    }

    /// The first version of the format that has all options of a model like this, so that
    /// programs of that version still read it.
    pub fn version(&self) -> u32 {
        let mut bytes = [0; Self::LEN];
        self.write(&mut bytes, "");
        let later = bytes.get(Self::LEN_1..).unwrap_or_default();
        let codes = [self.activation as usize, self.mlp as usize, self.flags() as usize >> 1];
        let is_second = later.iter().any(|&b| b != 0)
            || codes.iter().any(|&code| code != 0)
            || self.norms == Norms::Both
            || self.residual == Residual::ParallelTwoNorms;
        let third = bytes.get(field::N_EXPERTS.start..).unwrap_or_default();
        let is_third = third.iter().any(|&b| b != 0);
        match is_second {
            _ if self.flags() >= FLAG_SINK_LOGITS || is_third => 3,
            true => 2,
            false => 1,
        }
    }

    /// Bytes of the section of a model like this.
    pub fn section_len(&self) -> usize {
        if self.version() == 1 { Self::LEN_1 } else { Self::LEN }
    }

    /// How many tables of rotary frequencies there are.
    pub const fn rope_tables(&self) -> usize {
        1 + self.local_rope as usize + (self.long_context > 0) as usize
    }

    const fn flags(&self) -> u32 {
        let mut flags = 0;
        if self.tied {
            flags |= FLAG_TIED;
        }
        if self.embedding_norm {
            flags |= FLAG_EMBEDDING_NORM;
        }
        if self.output_bias {
            flags |= FLAG_OUTPUT_BIAS;
        }
        if self.local_rope {
            flags |= FLAG_LOCAL_ROPE;
        }
        if self.sink_logits {
            flags |= FLAG_SINK_LOGITS;
        }
        if self.differential {
            flags |= FLAG_DIFFERENTIAL;
        }
        flags
    }

    /// Reads the section and checks every value against the others.
    pub fn read(section: &[u8]) -> Result<Self, OpenError> {
        let wrong_len = OpenError::SectionLength(Section::Config);
        let mut bytes = [0; Self::LEN];
        let known = bytes.get_mut(..section.len()).ok_or(wrong_len)?;
        known.copy_from_slice(section);
        let bytes = &bytes;
        let size = |range| u32_at(bytes, range) as usize;
        let flags = u32_at(bytes, field::FLAGS);
        let scale = |range| Scale::read(f32_at(bytes, range));
        let limit = |range| Some(f32_at(bytes, range)).filter(|&v| v != 0.0);
        let this = Self {
            vocab_size: size(field::VOCAB_SIZE),
            dim: size(field::DIM),
            n_layers: size(field::N_LAYERS),
            n_heads: size(field::N_HEADS),
            n_kv_heads: size(field::N_KV_HEADS),
            head_dim: size(field::HEAD_DIM),
            ffn_dim: size(field::FFN_DIM),
            context: size(field::CONTEXT),
            rot_dim: size(field::ROT_DIM),
            norm_eps: f32_at(bytes, field::NORM_EPS),
            score_scale: f32_at(bytes, field::SCORE_SCALE),
            norm: choice(bytes, field::NORM, [Norm::Rms, Norm::Layer], Field::Norm)?,
            activation: choice(bytes, field::ACTIVATION, Activation::ALL, Field::Activation)?,
            mlp: choice(bytes, field::MLP, [Mlp::Gated, Mlp::Plain], Field::Mlp)?,
            tied: flags & FLAG_TIED != 0,
            embedding_norm: flags & FLAG_EMBEDDING_NORM != 0,
            output_bias: flags & FLAG_OUTPUT_BIAS != 0,
            local_rope: flags & FLAG_LOCAL_ROPE != 0,
            sink_logits: flags & FLAG_SINK_LOGITS != 0,
            differential: flags & FLAG_DIFFERENTIAL != 0,
            norms: choice(bytes, field::NORMS, NORMS, Field::Norms)?,
            residual: choice(bytes, field::RESIDUAL, RESIDUALS, Field::Residual)?,
            qk_norm: choice(bytes, field::QK_NORM, QK_NORMS, Field::QkNorm)?,
            embedding_scale: scale(field::EMBEDDING_SCALE),
            residual_scale: scale(field::RESIDUAL_SCALE),
            logit_scale: scale(field::LOGIT_SCALE),
            score_cap: limit(field::SCORE_CAP),
            logit_cap: limit(field::LOGIT_CAP),
            window: size(field::WINDOW),
            positions: choice(bytes, field::POSITIONS, POSITIONS, Field::Positions)?,
            qkv_limit: limit(field::QKV_LIMIT),
            long_context: size(field::LONG_CONTEXT),
            n_experts: size(field::N_EXPERTS),
            n_experts_used: size(field::N_EXPERTS_USED),
            expert_ffn_dim: size(field::EXPERT_FFN_DIM),
            shared_ffn_dim: size(field::SHARED_FFN_DIM),
            routing: choice(
                bytes,
                field::ROUTING,
                [Routing::All, Routing::Chosen],
                Field::Routing,
            )?,
            clamped: limit(field::GATE_LIMIT)
                .map(|limit| Clamped { slope: f32_at(bytes, field::GATE_SLOPE), limit }),
        };
        require(flags & !FLAGS == 0, Field::Flags)?;
        this.check()?;
        // Whatever is left is decided by now: padding of the name, reserved bytes.
        let mut canonical = [0; Self::LEN];
        this.write(&mut canonical, Self::arch(bytes)?);
        require(&canonical == bytes, Field::Reserved)?;
        if section.len() != this.section_len() {
            return Err(wrong_len);
        }
        Ok(this)
    }

    /// Whether the dimensions make a model; the error names the one that does not.
    pub fn check(&self) -> Result<(), OpenError> {
        let sizes = [
            (self.vocab_size, Field::VocabSize),
            (self.dim, Field::Dim),
            (self.n_layers, Field::NLayers),
            (self.n_heads, Field::NHeads),
            (self.n_kv_heads, Field::NKvHeads),
            (self.head_dim, Field::HeadDim),
            (self.ffn_dim, Field::FfnDim),
            (self.context, Field::Context),
        ];
        for (size, name) in sizes {
            require((1..=Self::MAX_DIM).contains(&size), name)?;
        }
        require(self.n_heads.is_multiple_of(self.n_kv_heads), Field::NKvHeads)?;
        // Then each half of the heads has keys and values of its own.
        require(!self.differential || self.n_kv_heads.is_multiple_of(2), Field::NKvHeads)?;
        let q_dim = self.n_heads.checked_mul(self.head_dim);
        require(q_dim.is_some_and(|n| n <= Self::MAX_DIM), Field::HeadDim)?;
        require(self.rot_dim.is_multiple_of(2) && self.rot_dim <= self.head_dim, Field::RotDim)?;
        require(self.norm_eps.is_finite() && self.norm_eps >= 0.0, Field::NormEps)?;
        require(self.score_scale.is_finite(), Field::ScoreScale)?;
        // Parts that share a norm have it before them; norms behind them are RMSNorms, and
        // what comes of those is added as it is.
        if self.norms.after() {
            require(self.residual == Residual::Sequential, Field::Residual)?;
            require(self.norm == Norm::Rms, Field::Norm)?;
            require(self.residual_scale == Scale::default(), Field::ResidualScale)?;
        }
        require(self.embedding_scale.is_valid(), Field::EmbeddingScale)?;
        require(self.residual_scale.is_valid(), Field::ResidualScale)?;
        require(self.logit_scale.is_valid(), Field::LogitScale)?;
        let limits = [
            (self.score_cap, Field::ScoreCap),
            (self.logit_cap, Field::LogitCap),
            (self.qkv_limit, Field::QkvLimit),
        ];
        for (limit, name) in limits {
            require(limit.is_none_or(|v| v.is_finite() && v > 0.0), name)?;
        }
        require(self.window <= Self::MAX_DIM, Field::Window)?;
        require(self.window > 0 || !self.local_rope, Field::Flags)?;
        require(self.long_context <= Self::MAX_DIM, Field::LongContext)?;
        self.check_experts()?;
        // Nothing is rotated where positions are known in another way.
        require(self.rot_dim == 0 || self.positions == Positions::Rotary, Field::Positions)
    }

    fn check_experts(&self) -> Result<(), OpenError> {
        let usable = |v: f32| v.is_finite() && v > 0.0;
        if let Some(Clamped { slope, limit }) = self.clamped {
            require(usable(slope), Field::GateSlope)?;
            require(usable(limit), Field::GateLimit)?;
            require(self.mlp == Mlp::Gated, Field::Mlp)?;
            require(self.activation == Activation::Silu, Field::Activation)?;
        }
        if self.n_experts == 0 {
            require(self.n_experts_used == 0, Field::NExpertsUsed)?;
            require(self.expert_ffn_dim == 0, Field::ExpertFfnDim)?;
            require(self.shared_ffn_dim == 0, Field::SharedFfnDim)?;
            return require(self.routing == Routing::All, Field::Routing);
        }
        require(self.n_experts <= Self::MAX_EXPERTS, Field::NExperts)?;
        require((1..=self.n_experts).contains(&self.n_experts_used), Field::NExpertsUsed)?;
        require((1..=Self::MAX_DIM).contains(&self.expert_ffn_dim), Field::ExpertFfnDim)?;
        require(self.shared_ffn_dim <= Self::MAX_DIM, Field::SharedFfnDim)?;
        // Which expert a token goes to is known only once attention has been added.
        require(self.residual == Residual::Sequential, Field::Residual)
    }

    /// The name of the architecture in the section's bytes.
    pub fn arch(section: &[u8]) -> Result<&str, OpenError> {
        let field = section.get(field::ARCH).ok_or(OpenError::SectionLength(Section::Config))?;
        let len = field.iter().position(|&b| b == 0).unwrap_or(field.len());
        let name = field.get(..len).and_then(|b| core::str::from_utf8(b).ok());
        name.ok_or(OpenError::Field(Field::Arch))
    }

    /// Writes the section; of `arch`, the first [`Config::ARCH_LEN`] bytes.
    pub fn write(&self, out: &mut [u8; Self::LEN], arch: &str) {
        out.fill(0);
        let sizes = [
            (field::VOCAB_SIZE, self.vocab_size),
            (field::DIM, self.dim),
            (field::N_LAYERS, self.n_layers),
            (field::N_HEADS, self.n_heads),
            (field::N_KV_HEADS, self.n_kv_heads),
            (field::HEAD_DIM, self.head_dim),
            (field::FFN_DIM, self.ffn_dim),
            (field::CONTEXT, self.context),
            (field::ROT_DIM, self.rot_dim),
            (field::NORM, self.norm as usize),
            (field::ACTIVATION, self.activation as usize),
            (field::MLP, self.mlp as usize),
            (field::FLAGS, self.flags() as usize),
            (field::NORMS, self.norms as usize),
            (field::RESIDUAL, self.residual as usize),
            (field::QK_NORM, self.qk_norm as usize),
            (field::WINDOW, self.window),
            (field::POSITIONS, self.positions as usize),
            (field::LONG_CONTEXT, self.long_context),
            (field::N_EXPERTS, self.n_experts),
            (field::N_EXPERTS_USED, self.n_experts_used),
            (field::EXPERT_FFN_DIM, self.expert_ffn_dim),
            (field::SHARED_FFN_DIM, self.shared_ffn_dim),
            (field::ROUTING, self.routing as usize),
        ];
        for (range, v) in sizes {
            put_u32(out, range, v as u32);
        }
        let floats = [
            (field::NORM_EPS, self.norm_eps),
            (field::SCORE_SCALE, self.score_scale),
            (field::EMBEDDING_SCALE, self.embedding_scale.stored()),
            (field::RESIDUAL_SCALE, self.residual_scale.stored()),
            (field::LOGIT_SCALE, self.logit_scale.stored()),
            (field::SCORE_CAP, self.score_cap.unwrap_or(0.0)),
            (field::LOGIT_CAP, self.logit_cap.unwrap_or(0.0)),
            (field::QKV_LIMIT, self.qkv_limit.unwrap_or(0.0)),
            (field::GATE_SLOPE, self.clamped.map_or(0.0, |c| c.slope)),
            (field::GATE_LIMIT, self.clamped.map_or(0.0, |c| c.limit)),
        ];
        for (range, v) in floats {
            put_u32(out, range, v.to_bits());
        }
        let name = out.get_mut(field::ARCH).unwrap_or_default();
        name.iter_mut().zip(arch.bytes()).for_each(|(out, b)| *out = b);
    }
}

/// Of a range of four bytes.
fn put_u32(out: &mut [u8; Config::LEN], range: core::ops::Range<usize>, v: u32) {
    put(out, range, |bytes| {
        if let Some(bytes) = bytes.first_chunk_mut::<4>() {
            LittleEndian::write_u32(bytes, v);
        }
    });
}

const NORMS: [Norms; 3] = [Norms::Before, Norms::After, Norms::Both];
const RESIDUALS: [Residual; 3] =
    [Residual::Sequential, Residual::Parallel, Residual::ParallelTwoNorms];
const QK_NORMS: [QkNorm; 3] = [QkNorm::None, QkNorm::Head, QkNorm::Whole];
const POSITIONS: [Positions; 3] = [Positions::Rotary, Positions::Learned, Positions::Linear];

/// The variant with the code in `range`, which is its place among `all`.
fn choice<T: Copy, const N: usize>(
    bytes: &[u8],
    range: core::ops::Range<usize>,
    all: [T; N],
    field: Field,
) -> Result<T, OpenError> {
    all.get(u32_at(bytes, range) as usize).copied().ok_or(OpenError::Field(field))
}

fn require(ok: bool, field: Field) -> Result<(), OpenError> {
    if ok { Ok(()) } else { Err(OpenError::Field(field)) }
}
