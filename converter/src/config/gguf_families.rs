//! What sets the architectures of GGUF apart from each other, as far as its keys leave it open.

use oarlock::format::{Config, Norm, Norms, QkNorm, Residual, Scale};

use super::factor;
use super::gguf::Keys;
use crate::error::Result;

/// A family, by its name in GGUF.
pub(super) struct Family {
    pub arch: &'static str,
    /// Keys that it does not share with others.
    pub reads: &'static [&'static str],
    /// Whether elements (2i, 2i + 1) are rotated together: rows of q and k were reordered for
    /// it when the file was made, or the model is so by itself.
    pub interleaved: bool,
    /// Every how many layers one is not rotated; 0 for none.
    pub no_rope_every: usize,
    /// Sets the family's options.
    pub traits: fn(&Keys<'_, '_>, &mut Config) -> Result<()>,
}

impl Family {
    /// Whether the `n`th layer, from 1 on, is not rotated.
    pub(super) fn no_rope(&self, n: usize) -> bool {
        self.no_rope_every > 0 && n.is_multiple_of(self.no_rope_every)
    }
}

const LLAMA: Family = Family {
    arch: "llama",
    reads: &[],
    interleaved: true,
    no_rope_every: 0,
    traits: |_, _| Ok(()),
};
const LAYER_NORM: &str = "attention.layer_norm_epsilon";

/// The architectures that are converted.
pub(super) const FAMILIES: &[Family] = &[
    LLAMA,
    Family { arch: "qwen2", interleaved: false, ..LLAMA },
    Family { arch: "qwen3", interleaved: false, traits: qwen3, ..LLAMA },
    // The file does not say which layers: all that were published are like this.
    Family { arch: "smollm3", no_rope_every: 4, ..LLAMA },
    Family {
        arch: "granite",
        reads: &["embedding_scale", "residual_scale", "logit_scale"],
        traits: granite,
        ..LLAMA
    },
    Family { arch: "olmo2", interleaved: false, traits: olmo2, ..LLAMA },
    Family {
        arch: "stablelm",
        reads: &[LAYER_NORM],
        interleaved: false,
        traits: layer_norm,
        ..LLAMA
    },
    Family { arch: "command-r", reads: &[LAYER_NORM, "logit_scale"], traits: command_r, ..LLAMA },
];

fn scale(keys: &Keys<'_, '_>, key: &str, f: impl Fn(f64) -> f64) -> Result<Scale> {
    factor(keys.name(key), keys.float(key)?.map(f))
}

fn layer_norm(keys: &Keys<'_, '_>, config: &mut Config) -> Result<()> {
    config.norm = Norm::Layer;
    config.norm_eps = keys.float(LAYER_NORM)?.unwrap_or(1e-5) as f32;
    Ok(())
}

fn qwen3(_: &Keys<'_, '_>, config: &mut Config) -> Result<()> {
    config.qk_norm = QkNorm::Head;
    Ok(())
}

fn granite(keys: &Keys<'_, '_>, config: &mut Config) -> Result<()> {
    config.embedding_scale = scale(keys, "embedding_scale", |v| v)?;
    config.residual_scale = scale(keys, "residual_scale", |v| v)?;
    config.logit_scale = scale(keys, "logit_scale", |v| 1.0 / v)?;
    Ok(())
}

fn olmo2(_: &Keys<'_, '_>, config: &mut Config) -> Result<()> {
    config.norms = Norms::After;
    config.qk_norm = QkNorm::Whole;
    Ok(())
}

fn command_r(keys: &Keys<'_, '_>, config: &mut Config) -> Result<()> {
    layer_norm(keys, config)?;
    config.residual = Residual::Parallel;
    config.logit_scale = scale(keys, "logit_scale", |v| v)?;
    Ok(())
}
