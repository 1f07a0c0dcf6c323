//! Options: the ways in which families of decoders differ.

/// The non-linearity of a feed-forward part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u32)]
pub enum Activation {
    /// x · sigmoid(x)
    #[default]
    Silu = 0,
    /// x · sigmoid(2u) with u = sqrt(2 / π) · (x + 0.044715 · x³), which is
    /// x / 2 · (1 + tanh(u)) (arXiv 1606.08415, section 2)
    GeluTanh = 1,
    /// x · Φ(x), Φ the distribution function of the normal distribution
    GeluErf = 2,
    /// max(x, 0)
    Relu = 3,
    /// max(x, 0)² (arXiv 2109.08668)
    ReluSquared = 4,
}

impl Activation {
    /// All of them, in the order of their codes in the file.
    pub const ALL: [Self; 5] =
        [Self::Silu, Self::GeluTanh, Self::GeluErf, Self::Relu, Self::ReluSquared];
}

/// The clamped SwiGLU of gpt-oss (arXiv 2508.10925, section 2): gate and up are clamped before they
/// are multiplied.
///
/// With g = min(gate, limit) and u = max(−limit, min(up, limit)), g · sigmoid(slope · g) · (u + 1).
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Clamped {
    /// Factor of the gate inside of the sigmoid.
    pub slope: f32,
    /// Limit of both.
    pub limit: f32,
}

/// The norm of vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u32)]
pub enum Norm {
    /// RMSNorm, x / sqrt(mean(x²) + eps) · g (arXiv 1910.07467)
    #[default]
    Rms = 0,
    /// LayerNorm, (x − mean(x)) / sqrt(mean((x − mean(x))²) + eps) · g + b, where there is a b
    /// (arXiv 1607.06450)
    Layer = 1,
}

/// The places of the norms of a layer's two parts.
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
    /// Whether the input of a part is normalised.
    pub const fn before(self) -> bool {
        matches!(self, Self::Before | Self::Both)
    }

    /// Whether the output of a part is normalised.
    pub const fn after(self) -> bool {
        matches!(self, Self::After | Self::Both)
    }
}

/// The order of attention and the feed-forward part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u32)]
pub enum Residual {
    /// y = x + attention(x), y + mlp(y)
    #[default]
    Sequential = 0,
    /// x + attention(x) + mlp(x), of one norm of x
    Parallel = 1,
    /// As [`Parallel`](Self::Parallel), but each part has a norm of its own of x.
    ParallelTwoNorms = 2,
}

/// The RMSNorm of queries and keys before they are rotated (arXiv 2302.05442).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u32)]
pub enum QkNorm {
    /// None: they are not normalised.
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

/// The weights of the chosen experts: a softmax of the router's logits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u32)]
pub enum Routing {
    /// Over all experts, so that the weights of the chosen sum to less than 1.
    #[default]
    All = 0,
    /// Over the chosen ones, which is the same as dividing the weights of [`Routing::All`] by their
    /// sum.
    Chosen = 1,
}

/// The encoding of the order of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u32)]
pub enum Positions {
    /// Rotary: queries and keys are rotated (arXiv 2104.09864).
    #[default]
    Rotary = 0,
    /// Learned: each position has a vector that is added to the embedding, `context` of them.
    Learned = 1,
    /// ALiBi: a score is less by its head's slope times the distance (arXiv 2108.12409).
    Alibi = 2,
}

/// A factor that few models have; 1 by default.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Scale(pub f32);

impl Default for Scale {
    fn default() -> Self {
        Self(1.0)
    }
}

impl Scale {
    /// The factor as the file has it: 0 stands for 1, so that a model without has nothing there.
    pub(super) fn stored(self) -> f32 {
        if self == Self::default() { 0.0 } else { self.0 }
    }

    /// Reads the factor as the file has it.
    pub(super) fn read(stored: f32) -> Self {
        if stored == 0.0 { Self::default() } else { Self(stored) }
    }

    /// Whether the factor is finite and not 0.
    pub(super) fn is_valid(self) -> bool {
        self.0.is_finite() && self.0 != 0.0
    }
}
