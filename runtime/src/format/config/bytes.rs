//! The config section's bytes.

use core::ops::Range;

use super::check::require;
use super::dimensions::Config;
use super::options::{Activation, Clamped, Mlp, Norm, Norms, Positions, QkNorm, Residual};
use super::options::{Routing, Scale};
use crate::base::checked::{part, part_mut};
use crate::format::error::{Field, OpenError};
use crate::format::fields::{f32_at, put, u32_at};
use crate::format::section::Section;

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
// From here on in version 4.
const FLAG_KEY_OUTLIERS: u32 = 64;
const FLAGS: u32 = 127;

impl Config {
    /// Bytes of the section from version 2 on.
    pub const LEN: usize = 192;
    /// Bytes of the section in version 1.
    pub const LEN_1: usize = 128;
    /// Bytes of the longest name of an architecture.
    pub const ARCH_LEN: usize = field::ARCH.end - field::ARCH.start;

    /// The first version of the format that has all options of this model, so that programs of
    /// that version still read it.
    pub fn version(&self) -> u32 {
        let mut bytes = [0; Self::LEN];
        self.write(&mut bytes, "");
        let later = part(&bytes, Self::LEN_1..);
        let codes = [self.activation as usize, self.mlp as usize, self.flags() as usize >> 1];
        let is_second = later.iter().any(|&b| b != 0)
            || codes.iter().any(|&code| code != 0)
            || self.norms == Norms::Both
            || self.residual == Residual::ParallelTwoNorms;
        let third = part(&bytes, field::N_EXPERTS.start..);
        let is_third = third.iter().any(|&b| b != 0);
        match is_second {
            _ if self.key_outliers => 4,
            _ if self.flags() >= FLAG_SINK_LOGITS || is_third => 3,
            true => 2,
            false => 1,
        }
    }

    /// Bytes of this model's section.
    pub fn section_len(&self) -> usize {
        if self.version() == 1 { Self::LEN_1 } else { Self::LEN }
    }

    /// Reads the section and checks every value against the others.
    ///
    /// # Errors
    /// [`OpenError::SectionLength`], or [`OpenError::Field`] with the first value that cannot be.
    pub fn read(section: &[u8]) -> Result<Self, OpenError> {
        let wrong_len = OpenError::SectionLength(Section::Config);
        let mut bytes = [0; Self::LEN];
        let known = bytes.get_mut(..section.len()).ok_or(wrong_len)?;
        known.copy_from_slice(section);
        let bytes = &bytes;
        let this = Self::parse(bytes)?;
        require(u32_at(bytes, field::FLAGS) & !FLAGS == 0, Field::Flags)?;
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

    /// Reads every value as it stands there.
    fn parse(bytes: &[u8; Self::LEN]) -> Result<Self, OpenError> {
        let size = |range| u32_at(bytes, range) as usize;
        let flags = u32_at(bytes, field::FLAGS);
        let scale = |range| Scale::read(f32_at(bytes, range));
        let limit = |range| Some(f32_at(bytes, range)).filter(|&v| v != 0.0);
        Ok(Self {
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
            key_outliers: flags & FLAG_KEY_OUTLIERS != 0,
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
            routing: choice(bytes, field::ROUTING, ROUTINGS, Field::Routing)?,
            clamped: limit(field::GATE_LIMIT)
                .map(|limit| Clamped { slope: f32_at(bytes, field::GATE_SLOPE), limit }),
        })
    }

    /// Reads the name of the architecture from the section's bytes.
    ///
    /// # Errors
    /// [`OpenError::SectionLength`], or [`Field::Arch`] if the name is not UTF-8.
    pub fn arch(section: &[u8]) -> Result<&str, OpenError> {
        let field = section.get(field::ARCH).ok_or(OpenError::SectionLength(Section::Config))?;
        let len = field.iter().position(|&b| b == 0).unwrap_or(field.len());
        let name = field.get(..len).and_then(|b| core::str::from_utf8(b).ok());
        name.ok_or(OpenError::Field(Field::Arch))
    }

    /// Writes the section, with the first [`Config::ARCH_LEN`] bytes of `arch`.
    pub fn write(&self, out: &mut [u8; Self::LEN], arch: &str) {
        out.fill(0);
        for (range, v) in self.sizes() {
            put(out, range, (v as u32).to_le_bytes());
        }
        for (range, v) in self.floats() {
            put(out, range, v.to_le_bytes());
        }
        let name = part_mut(out, field::ARCH);
        name.iter_mut().zip(arch.bytes()).for_each(|(out, b)| *out = b);
    }

    /// The integers, choices and flags.
    fn sizes(&self) -> [(Range<usize>, usize); 24] {
        [
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
        ]
    }

    /// The floats; 0 where there is none.
    fn floats(&self) -> [(Range<usize>, f32); 10] {
        [
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
        ]
    }

    fn flags(&self) -> u32 {
        let flags = [
            (self.tied, FLAG_TIED),
            (self.embedding_norm, FLAG_EMBEDDING_NORM),
            (self.output_bias, FLAG_OUTPUT_BIAS),
            (self.local_rope, FLAG_LOCAL_ROPE),
            (self.sink_logits, FLAG_SINK_LOGITS),
            (self.differential, FLAG_DIFFERENTIAL),
            (self.key_outliers, FLAG_KEY_OUTLIERS),
        ];
        flags.into_iter().filter(|(set, _)| *set).fold(0, |all, (_, flag)| all | flag)
    }
}

const NORMS: [Norms; 3] = [Norms::Before, Norms::After, Norms::Both];
const RESIDUALS: [Residual; 3] =
    [Residual::Sequential, Residual::Parallel, Residual::ParallelTwoNorms];
const QK_NORMS: [QkNorm; 3] = [QkNorm::None, QkNorm::Head, QkNorm::Whole];
const ROUTINGS: [Routing; 2] = [Routing::All, Routing::Chosen];
const POSITIONS: [Positions; 3] = [Positions::Rotary, Positions::Learned, Positions::Alibi];

/// Reads the variant whose place among `all` is the code in `range`.
fn choice<T: Copy, const N: usize>(
    bytes: &[u8],
    range: Range<usize>,
    all: [T; N],
    field: Field,
) -> Result<T, OpenError> {
    all.get(u32_at(bytes, range) as usize).copied().ok_or(OpenError::Field(field))
}
