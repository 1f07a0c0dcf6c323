//! The config section: a model's dimensions and options.
//!
//! A family is a choice of options on one decoder, never a forward pass of its own; an
//! option with a single variant today is a place where the next family joins.

mod bytes;
mod options;

use super::{Field, OpenError};
pub use options::{Activation, Clamped};
pub use options::{Mlp, Norm, Norms, Positions, QkNorm, Residual, Routing, Scale};

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
    /// Whether embeddings are normalised.
    pub embedding_norm: bool,
    /// Whether the output matrix has a bias.
    pub output_bias: bool,
    /// Whether layers with a window have rotary frequencies of their own.
    pub local_rope: bool,
    /// Whether each head has a logit that joins its softmax without a value.
    pub sink_logits: bool,
    /// Whether what the second half of the heads attends to is taken off what the first does, by
    /// a factor of the layer, the values of two heads side by side (arXiv 2410.05258).
    pub differential: bool,
    /// Whether the keys of some layers have outliers, as their entries say: an int8 cache then
    /// keeps those layers in f16.
    pub key_outliers: bool,
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
    /// What scores stay within, by c · tanh(score / c).
    pub score_cap: Option<f32>,
    /// What logits stay within, in the same way.
    pub logit_cap: Option<f32>,
    /// Tokens that a layer with a window sees, the newest included; 0 if there is none.
    pub window: usize,
    /// How the order of tokens is known.
    pub positions: Positions,
    /// What queries, keys and values are cut off at, behind their norm and before they are rotated.
    pub qkv_limit: Option<f32>,
    /// Sessions with a longer context have other rotary frequencies; 0 if there are none.
    pub long_context: usize,
    /// Experts in a layer that has some; 0 if none has.
    pub n_experts: usize,
    /// Experts that a token goes through.
    pub n_experts_used: usize,
    /// Elements between the matrices of an expert.
    pub expert_ffn_dim: usize,
    /// The same of the expert that every token goes through; 0 if there is none.
    pub shared_ffn_dim: usize,
    /// What the chosen experts are weighed by.
    pub routing: Routing,
    /// How gate and up are cut off, if they are.
    pub clamped: Option<Clamped>,
}

impl Config {
    /// No dimension is larger, so that sizes of activations cannot overflow.
    pub const MAX_DIM: usize = 1 << 24;
    /// A layer has no more experts, so that a token is soon told which are its own: several times
    /// what any model has that was published.
    pub const MAX_EXPERTS: usize = 1 << 11;

    /// Query heads that share a key and value head.
    pub const fn group(&self) -> usize {
        self.n_heads / self.n_kv_heads
    }

    /// How many tables of rotary frequencies there are.
    pub const fn rope_tables(&self) -> usize {
        1 + self.local_rope as usize + (self.long_context > 0) as usize
    }

    /// Whether the dimensions make a model; the error names the one that does not.
    pub fn check(&self) -> Result<(), OpenError> {
        self.check_sizes()?;
        require(self.rot_dim.is_multiple_of(2) && self.rot_dim <= self.head_dim, Field::RotDim)?;
        require(self.norm_eps.is_finite() && self.norm_eps >= 0.0, Field::NormEps)?;
        require(self.score_scale.is_finite(), Field::ScoreScale)?;
        // Parts that share a norm have it before them; norms behind them are RMSNorms, and
        // what comes of those is added as it is.
        if self.norms.after() {
            require(self.residual == Residual::Sequential, Field::Residual)?;
            require(self.norm == Norm::Rms, Field::Norm)?;
            require(self.residual_scale == Scale::default(), Field::ResidualScale)?;
        }
        require(self.embedding_scale.is_valid(), Field::EmbeddingScale)?;
        require(self.residual_scale.is_valid(), Field::ResidualScale)?;
        require(self.logit_scale.is_valid(), Field::LogitScale)?;
        let limits = [
            (self.score_cap, Field::ScoreCap),
            (self.logit_cap, Field::LogitCap),
            (self.qkv_limit, Field::QkvLimit),
        ];
        for (limit, name) in limits {
            require(limit.is_none_or(|v| v.is_finite() && v > 0.0), name)?;
        }
        require(self.window <= Self::MAX_DIM, Field::Window)?;
        require(self.window > 0 || !self.local_rope, Field::Flags)?;
        require(self.long_context <= Self::MAX_DIM, Field::LongContext)?;
        self.check_experts()?;
        // Nothing is rotated where positions are known in another way.
        require(self.rot_dim == 0 || self.positions == Positions::Rotary, Field::Positions)
    }

    fn check_sizes(&self) -> Result<(), OpenError> {
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
        // Then each half of the heads has keys and values of its own.
        require(!self.differential || self.n_kv_heads.is_multiple_of(2), Field::NKvHeads)?;
        let q_dim = self.n_heads.checked_mul(self.head_dim);
        require(q_dim.is_some_and(|n| n <= Self::MAX_DIM), Field::HeadDim)
    }

    fn check_experts(&self) -> Result<(), OpenError> {
        let usable = |v: f32| v.is_finite() && v > 0.0;
        if let Some(Clamped { slope, limit }) = self.clamped {
            require(usable(slope), Field::GateSlope)?;
            require(usable(limit), Field::GateLimit)?;
            require(self.mlp == Mlp::Gated, Field::Mlp)?;
            require(self.activation == Activation::Silu, Field::Activation)?;
        }
        if self.n_experts == 0 {
            require(self.n_experts_used == 0, Field::NExpertsUsed)?;
            require(self.expert_ffn_dim == 0, Field::ExpertFfnDim)?;
            require(self.shared_ffn_dim == 0, Field::SharedFfnDim)?;
            return require(self.routing == Routing::All, Field::Routing);
        }
        require(self.n_experts <= Self::MAX_EXPERTS, Field::NExperts)?;
        require((1..=self.n_experts).contains(&self.n_experts_used), Field::NExpertsUsed)?;
        require((1..=Self::MAX_DIM).contains(&self.expert_ffn_dim), Field::ExpertFfnDim)?;
        require(self.shared_ffn_dim <= Self::MAX_DIM, Field::SharedFfnDim)?;
        // Which expert a token goes to is known only once attention has been added.
        require(self.residual == Residual::Sequential, Field::Residual)
    }
}

fn require(ok: bool, field: Field) -> Result<(), OpenError> {
    if ok { Ok(()) } else { Err(OpenError::Field(field)) }
}
