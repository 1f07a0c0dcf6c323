//! Choices of the user, and what follows where none was made.

use oarlock::internal::format::layout::WeightType;

use crate::error::{Error, Result};
use crate::source::dtype::Dtype;

/// Choices of the user; what is not chosen follows from the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConvertOptions {
    /// Storage of matrices, [`Weights::Auto`] by default.
    pub weights: Option<Weights>,
    /// Storage of the output matrix (`lm_head`), and of the embedding when it is the same;
    /// by default `int8`, or as the other matrices where those go by their source or are `f32`.
    pub output_matrix: Option<OutputMatrix>,
    /// Key and value heads, a divisor of the source's number: each is the mean of several
    /// (arXiv 2305.13245, section 2.1). Left as they are by default.
    pub kv_heads: Option<usize>,
}

/// Storage of the output matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputMatrix {
    /// Its own, whatever the other matrices have.
    Own(Weights),
    /// The same as of the other matrices.
    Same,
}

/// Storage of a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// Stored as this type.
    As(WeightType),
    /// Stored as the type that holds exactly what the source has.
    Keep,
    /// Stored as the smallest type that holds what is quantized in the source, but for a rounding
    /// far below its steps; floats as `int4n`, or as `int8` where only a few matrices were left so.
    Auto,
}

impl Weights {
    /// The type to store numbers of the source's type `dtype` as, if there is one: `floats` where
    /// that is none of quantized numbers and nothing else is said.
    pub(super) fn kind_for(self, dtype: Dtype, floats: WeightType) -> Option<WeightType> {
        match self {
            Self::As(kind) => Some(kind),
            Self::Keep => dtype.keep(),
            Self::Auto => Some(dtype.nearest().unwrap_or(floats)),
        }
    }

    /// All names on the command line.
    pub const NAMES: [&'static str; 8] =
        ["int4", "int4n", "int4a", "int5", "int8", "f32", "auto", "keep"];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::As(kind) => kind.name(),
            Self::Keep => "keep",
            Self::Auto => "auto",
        }
    }

    /// The choice that has this name.
    pub fn from_name(name: &str) -> Option<Self> {
        let kinds = WeightType::ALL.into_iter().map(Self::As);
        kinds.chain([Self::Auto, Self::Keep]).find(|choice| choice.name() == name)
    }
}

/// Storage of all matrices of a model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Storage {
    /// Storage of all matrices but the output matrix.
    pub weights: Weights,
    /// Storage of the output matrix, and of what goes with it.
    pub output_matrix: Weights,
    /// Whether the source has quantized matrices: their authors left as floats what suffers most.
    pub is_quantized: bool,
}

impl Storage {
    /// The type of matrices that are floats in the source, where [`Weights::Auto`] decides.
    pub fn floats(&self, is_output: bool) -> WeightType {
        if self.is_quantized || is_output { WeightType::Int8 } else { WeightType::Int4n }
    }
}

impl ConvertOptions {
    /// Fills in what was not chosen, by what the source is.
    pub(super) fn storage(&self, is_gguf: bool, is_quantized: bool) -> Result<Storage> {
        let weights = self.weights.unwrap_or(Weights::Auto);
        let output_matrix = match (self.output_matrix, weights) {
            (Some(OutputMatrix::Own(own)), _) => own,
            (Some(OutputMatrix::Same), weights) => weights,
            (None, Weights::As(kind)) if kind.is_quantized() => Weights::As(WeightType::Int8),
            (None, weights) => weights,
        };
        for (option, choice) in [("--weights", weights), ("--head", output_matrix)] {
            if choice == Weights::Keep && !is_gguf && !is_quantized {
                let todo = "these safetensors are not quantized: give auto, int4, int4n, int4a, int5, int8 or f32";
                let thing = format_args!("{option} keep");
                return Err(Error::new(thing, "the source is no GGUF", todo));
            }
        }
        Ok(Storage { weights, output_matrix, is_quantized })
    }
}
