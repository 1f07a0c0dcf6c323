//! The config section: a model's dimensions and options.
//!
//! A family is a choice of options on one decoder, never a forward pass of its own; an
//! option with a single variant today is a place where the next family joins.

use byteorder::{ByteOrder, LittleEndian};

use super::header::{f32_at, put, u32_at};
use super::{Field, OpenError, Section};

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
}

const FLAG_TIED: u32 = 1;

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

/// The non-linearity of the feed-forward part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u32)]
pub enum Activation {
    /// x · sigmoid(x)
    #[default]
    Silu = 0,
}

/// The shape of the feed-forward part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u32)]
pub enum Mlp {
    /// down(activation(gate(x)) · up(x))
    #[default]
    Gated = 0,
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
    /// Bytes of the section.
    pub const LEN: usize = 128;
    /// The longest name of an architecture.
    pub const ARCH_LEN: usize = field::ARCH.end - field::ARCH.start;
    /// No dimension is larger, so that sizes of activations cannot overflow.
    pub const MAX_DIM: usize = 1 << 24;

    /// Query heads that share a key and value head.
    pub const fn group(&self) -> usize {
        self.n_heads / self.n_kv_heads
    }

    /// Reads the section and checks every value against the others.
    pub fn read(bytes: &[u8]) -> Result<Self, OpenError> {
        let bytes: &[u8; Self::LEN] =
            bytes.try_into().or(Err(OpenError::SectionLength(Section::Config)))?;
        let size = |range| u32_at(bytes, range) as usize;
        let flags = u32_at(bytes, field::FLAGS);
        let scale = |range| Scale::read(f32_at(bytes, range));
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
            activation: choice(bytes, field::ACTIVATION, [Activation::Silu], Field::Activation)?,
            mlp: choice(bytes, field::MLP, [Mlp::Gated], Field::Mlp)?,
            tied: flags & FLAG_TIED != 0,
            norms: choice(bytes, field::NORMS, [Norms::Before, Norms::After], Field::Norms)?,
            residual: choice(
                bytes,
                field::RESIDUAL,
                [Residual::Sequential, Residual::Parallel],
                Field::Residual,
            )?,
            qk_norm: choice(
                bytes,
                field::QK_NORM,
                [QkNorm::None, QkNorm::Head, QkNorm::Whole],
                Field::QkNorm,
            )?,
            embedding_scale: scale(field::EMBEDDING_SCALE),
            residual_scale: scale(field::RESIDUAL_SCALE),
            logit_scale: scale(field::LOGIT_SCALE),
        };
        require(flags & !FLAG_TIED == 0, Field::Flags)?;
        this.check()?;
        // Whatever is left is decided by now: padding of the name, reserved bytes.
        let mut canonical = [0; Self::LEN];
        this.write(&mut canonical, Self::arch(bytes)?);
        require(&canonical == bytes, Field::Reserved)?;
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
        let q_dim = self.n_heads.checked_mul(self.head_dim);
        require(q_dim.is_some_and(|n| n <= Self::MAX_DIM), Field::HeadDim)?;
        require(self.rot_dim.is_multiple_of(2) && self.rot_dim <= self.head_dim, Field::RotDim)?;
        require(self.norm_eps.is_finite() && self.norm_eps >= 0.0, Field::NormEps)?;
        require(self.score_scale.is_finite(), Field::ScoreScale)?;
        // Parts that share a norm have it before them; norms behind them are RMSNorms, and
        // what comes of those is added as it is.
        if self.norms == Norms::After {
            require(self.residual == Residual::Sequential, Field::Residual)?;
            require(self.norm == Norm::Rms, Field::Norm)?;
            require(self.residual_scale == Scale::default(), Field::ResidualScale)?;
        }
        require(self.embedding_scale.is_valid(), Field::EmbeddingScale)?;
        require(self.residual_scale.is_valid(), Field::ResidualScale)?;
        require(self.logit_scale.is_valid(), Field::LogitScale)
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
            (field::FLAGS, usize::from(self.tied)),
            (field::NORMS, self.norms as usize),
            (field::RESIDUAL, self.residual as usize),
            (field::QK_NORM, self.qk_norm as usize),
        ];
        for (range, v) in sizes {
            put(out, range, |b| LittleEndian::write_u32(b, v as u32));
        }
        let floats = [
            (field::NORM_EPS, self.norm_eps),
            (field::SCORE_SCALE, self.score_scale),
            (field::EMBEDDING_SCALE, self.embedding_scale.stored()),
            (field::RESIDUAL_SCALE, self.residual_scale.stored()),
            (field::LOGIT_SCALE, self.logit_scale.stored()),
        ];
        for (range, v) in floats {
            put(out, range, |b| LittleEndian::write_f32(b, v));
        }
        let name = out.get_mut(field::ARCH).unwrap_or_default();
        name.iter_mut().zip(arch.bytes()).for_each(|(out, b)| *out = b);
    }
}

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
