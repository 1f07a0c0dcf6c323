//! Choices of the user, and what follows where none was made.

use oarlock::layout::WeightType;

use crate::error::{Error, Result};
use crate::source::dtype::Dtype;

/// What the user chose; what is not chosen follows from the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConvertOptions {
    /// How matrices are stored: `int4` from safetensors, kept from a GGUF by default.
    pub weights: Option<Weights>,
    /// How the output matrix is stored, and the embedding when it is the same.
    pub head: Option<Head>,
    /// Into how many heads keys and values are pooled; left as they are by default.
    pub kv_heads: Option<usize>,
}

/// How the output matrix is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// In a way of its own.
    Of(Weights),
    /// As the other matrices.
    Same,
}

/// How a matrix is to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// As this type.
    As(WeightType),
    /// As the type that holds exactly what the source has.
    Keep,
}

impl Weights {
    pub(super) fn kind_for(self, dtype: Dtype) -> Option<WeightType> {
        match self {
            Self::As(kind) => Some(kind),
            Self::Keep => dtype.keep(),
        }
    }
}

/// The choices, with what follows from the source where none was made.
pub(super) fn resolve(options: &ConvertOptions, is_gguf: bool) -> Result<(Weights, Weights)> {
    let default = if is_gguf { Weights::Keep } else { Weights::As(WeightType::Int4) };
    let weights = options.weights.unwrap_or(default);
    let head = match (options.head, weights) {
        (Some(Head::Of(head)), _) => head,
        (Some(Head::Same), weights) => weights,
        (None, Weights::As(kind)) if kind.is_quantized() => Weights::As(WeightType::Int8),
        (None, weights) => weights,
    };
    for (option, choice) in [("--weights", weights), ("--head", head)] {
        if choice == Weights::Keep && !is_gguf {
            let todo = "safetensors are not quantized: give int4, int4a, int8 or f32";
            return Err(Error::new(format_args!("{option} keep"), "the source is no GGUF", todo));
        }
    }
    Ok((weights, head))
}
