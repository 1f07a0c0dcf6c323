//! The small sections: rope, layers, sampling.

use super::error::{Field, OpenError};
use super::fields::{f32_at, f64_at, put, u32_at};
use super::sampling::Sampling;
use super::section::Section;
use crate::base::checked::part;

/// The start of a table of the rope section; `count` phases (u64) follow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RopeHeader {
    /// Number of rotary frequencies: half of `rot_dim`.
    pub count: u32,
    /// Factor of sine and cosine: 1, or another by YaRN-like scaling (arXiv 2309.00071, section
    /// 3.4).
    pub attention_factor: f32,
}

impl RopeHeader {
    /// Bytes before the phases.
    pub const LEN: usize = 8;

    /// Bytes of a table of `count` phases. Of more than fit in memory, as many as none has.
    pub const fn table_len(count: usize) -> usize {
        count.saturating_mul(8).saturating_add(Self::LEN)
    }

    /// Reads the header of a whole table.
    ///
    /// # Errors
    /// [`OpenError::SectionLength`] if the table has not as many phases as it says,
    /// [`OpenError::Field`] if the factor is not finite.
    pub fn read(table: &[u8]) -> Result<Self, OpenError> {
        let wrong_len = OpenError::SectionLength(Section::Rope);
        let header: &[u8; Self::LEN] = table.first_chunk().ok_or(wrong_len)?;
        let this = Self { count: u32_at(header, 0..4), attention_factor: f32_at(header, 4..8) };
        if table.len() as u64 != Self::LEN as u64 + 8 * u64::from(this.count) {
            return Err(wrong_len);
        }
        if !this.attention_factor.is_finite() {
            return Err(OpenError::Field(Field::AttentionFactor));
        }
        Ok(this)
    }

    /// Writes the header.
    pub fn write(&self, out: &mut [u8; Self::LEN]) {
        put(out, 0..4, self.count.to_le_bytes());
        put(out, 4..8, self.attention_factor.to_le_bytes());
    }
}

/// An entry of the layers section: the layer's directory entries, and its options.
///
/// Layers need not be alike (a family may have some with experts, some without), so each says
/// where its tensors are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LayerEntry {
    /// Index of the layer's first directory entry.
    pub first: u32,
    /// Number of the layer's directory entries.
    pub count: u32,
    /// Whether queries and keys are not rotated: positions are then known from the mask alone.
    pub no_rope: bool,
    /// Whether queries see no more than [`Config::window`](super::Config::window).
    pub local: bool,
    /// Whether the feed-forward part is one of experts.
    pub sparse: bool,
    /// Whether keys have outliers that 8 bits cannot hold beside the rest.
    pub key_outliers: bool,
}

const LAYER_NO_ROPE: u32 = 1;
const LAYER_LOCAL: u32 = 2;
// From version 3 on.
const LAYER_SPARSE: u32 = 4;
// From version 4 on.
const LAYER_KEY_OUTLIERS: u32 = 8;
const LAYER_FLAGS: u32 = 15;

impl LayerEntry {
    /// Bytes of an entry.
    pub const LEN: usize = 32;

    /// Reads an entry.
    ///
    /// # Errors
    /// [`OpenError::Field`] if flags or bytes are used that are not yet.
    pub fn read(bytes: &[u8; Self::LEN]) -> Result<Self, OpenError> {
        if part(bytes, 12..).iter().any(|&b| b != 0) {
            return Err(OpenError::Field(Field::Reserved));
        }
        let flags = u32_at(bytes, 8..12);
        if flags & !LAYER_FLAGS != 0 {
            return Err(OpenError::Field(Field::LayerFlags));
        }
        Ok(Self {
            first: u32_at(bytes, 0..4),
            count: u32_at(bytes, 4..8),
            no_rope: flags & LAYER_NO_ROPE != 0,
            local: flags & LAYER_LOCAL != 0,
            sparse: flags & LAYER_SPARSE != 0,
            key_outliers: flags & LAYER_KEY_OUTLIERS != 0,
        })
    }

    /// Writes the entry.
    pub fn write(&self, out: &mut [u8; Self::LEN]) {
        out.fill(0);
        put(out, 0..4, self.first.to_le_bytes());
        put(out, 4..8, self.count.to_le_bytes());
        let flag = |set, bit| if set { bit } else { 0 };
        let flags = flag(self.no_rope, LAYER_NO_ROPE)
            | flag(self.local, LAYER_LOCAL)
            | flag(self.sparse, LAYER_SPARSE)
            | flag(self.key_outliers, LAYER_KEY_OUTLIERS);
        put(out, 8..12, flags.to_le_bytes());
    }
}

/// Bytes of the sampling section.
pub const SAMPLING_LEN: usize = 40;

/// Reads the sampling section: the parameters that the model's authors recommend.
///
/// They are f64, since 0.95 as an f32 would keep other candidates than 0.95 does.
///
/// # Errors
/// [`OpenError::SectionLength`], or [`OpenError::Field`] if a parameter is out of its range.
pub fn read_sampling(section: &[u8]) -> Result<Sampling, OpenError> {
    let section: &[u8; SAMPLING_LEN] =
        section.try_into().or(Err(OpenError::SectionLength(Section::Sampling)))?;
    let sampling = Sampling {
        temp: f64_at(section, 0..8),
        top_p: f64_at(section, 8..16),
        min_p: f64_at(section, 16..24),
        repeat_penalty: f64_at(section, 24..32),
        top_k: u32_at(section, 32..36),
    };
    if sampling.check().is_err() || u32_at(section, 36..40) != 0 {
        return Err(OpenError::Field(Field::Sampling));
    }
    Ok(sampling)
}

/// Writes the sampling section.
pub fn write_sampling(sampling: &Sampling) -> [u8; SAMPLING_LEN] {
    let mut out = [0; SAMPLING_LEN];
    put(&mut out, 0..8, sampling.temp.to_le_bytes());
    put(&mut out, 8..16, sampling.top_p.to_le_bytes());
    put(&mut out, 16..24, sampling.min_p.to_le_bytes());
    put(&mut out, 24..32, sampling.repeat_penalty.to_le_bytes());
    put(&mut out, 32..36, sampling.top_k.to_le_bytes());
    out
}
