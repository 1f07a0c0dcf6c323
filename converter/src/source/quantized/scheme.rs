//! Methods of quantization, and what a matrix itself does not tell of them.

use std::collections::BTreeMap;

/// A method, by which the matrices of a directory are quantized.
#[derive(Clone, Debug, PartialEq)]
pub enum Scheme {
    /// GPTQ, and what keeps its layout.
    Gptq(Gptq),
    /// AWQ in its layout for products of matrices (GEMM).
    Awq(Grouped),
    /// compressed-tensors: the formats of vLLM's tools.
    CompressedTensors(CompressedTensors),
    /// MLX.
    Mlx(Mlx),
    /// Floats of 8 or 4 bits and scales.
    Floats(Floats),
    /// bitsandbytes, of 4 and of 8 bits.
    BitsAndBytes,
}

/// Bits of a code, and columns that share a scale; none where all of a row do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grouped {
    /// Bits of a code.
    pub bits: usize,
    /// Columns that share a scale.
    pub group: Option<usize>,
}

/// Settings of GPTQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gptq {
    /// Bits and group of most modules.
    pub common: Grouped,
    /// Whether some modules have others.
    pub varies: bool,
    /// Whether zero points are stored less one, as the first version of the format has it.
    pub less_one: bool,
}

/// Settings of compressed-tensors: those of all groups of modules together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CompressedTensors {
    /// Bits of codes.
    pub bits: Vec<usize>,
    /// Columns that share a scale.
    pub groups: Vec<usize>,
    /// Rows and columns that share a scale.
    pub block: Option<[usize; 2]>,
}

/// Settings of MLX.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mlx {
    /// Those of most modules.
    pub common: MlxModule,
    /// Those of the modules that have their own, by name.
    pub own: BTreeMap<String, MlxModule>,
}

/// Settings of a module of MLX.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MlxModule {
    /// Bits of a code.
    pub bits: usize,
    /// Columns that share a scale.
    pub group: usize,
    /// The meaning of a code.
    pub mode: MlxMode,
}

/// Meanings of codes in MLX.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MlxMode {
    /// `scale · code + bias`.
    #[default]
    Affine,
    /// Floats of 4 bits and powers of two.
    Mxfp4,
    /// Floats of 4 bits and floats of 8.
    Nvfp4,
    /// Floats of 8 bits and powers of two.
    Mxfp8,
}

/// Settings of floats with scales.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Floats {
    /// Rows and columns that share a scale.
    pub block: Option<[usize; 2]>,
}
