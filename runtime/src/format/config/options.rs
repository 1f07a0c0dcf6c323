//! What one decoder differs in from another, and a family from the next.

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
    /// Every one, by its number in the file.
    pub const ALL: [Self; 5] =
        [Self::Silu, Self::GeluTanh, Self::GeluErf, Self::Relu, Self::ReluSquared];
}

/// A gate and what it is multiplied with, cut off before they meet: with g = min(gate, limit)
/// and u = max(−limit, min(up, limit)), g · sigmoid(slope · g) · (u + 1).
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Clamped {
    /// What the gate is multiplied by inside of the sigmoid.
    pub slope: f32,
    /// What both are cut off at.
    pub limit: f32,
}

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
    pub(super) fn stored(self) -> f32 {
        if self == Self::default() { 0.0 } else { self.0 }
    }

    pub(super) fn read(stored: f32) -> Self {
        if stored == 0.0 { Self::default() } else { Self(stored) }
    }

    pub(super) fn is_valid(self) -> bool {
        self.0.is_finite() && self.0 != 0.0
    }
}
