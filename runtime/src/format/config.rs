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
    pub const ARCH: Range<usize> = 64..96;
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
            tied: flags & FLAG_TIED != 0,
            ..Self::default()
        };
        let codes = [
            (field::NORM, Field::Norm),
            (field::ACTIVATION, Field::Activation),
            (field::MLP, Field::Mlp),
        ];
        for (range, name) in codes {
            require(u32_at(bytes, range) == 0, name)?;
        }
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
        require(self.score_scale.is_finite(), Field::ScoreScale)
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
        ];
        for (range, v) in sizes {
            put(out, range, |b| LittleEndian::write_u32(b, v as u32));
        }
        put(out, field::NORM_EPS, |b| LittleEndian::write_f32(b, self.norm_eps));
        put(out, field::SCORE_SCALE, |b| LittleEndian::write_f32(b, self.score_scale));
        let name = out.get_mut(field::ARCH).unwrap_or_default();
        name.iter_mut().zip(arch.bytes()).for_each(|(out, b)| *out = b);
    }
}

fn require(ok: bool, field: Field) -> Result<(), OpenError> {
    if ok { Ok(()) } else { Err(OpenError::Field(field)) }
}
