//! A model's dimensions and options, as one struct.

use super::options::{Activation, Clamped, Mlp, Norm, Norms, Positions, QkNorm, Residual};
use super::options::{Routing, Scale};

/// The dimensions and options of a model.
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
    /// Elements between the matrices of the feed-forward part: rows of gate and up.
    pub ffn_dim: usize,
    /// Tokens of context that the model was trained for.
    pub context: usize,
    /// Elements of a head that are rotated, its first; half-split: `i` pairs with
    /// `i + rot_dim / 2`.
    pub rot_dim: usize,
    /// Epsilon: a norm adds it to the mean square.
    pub norm_eps: f32,
    /// Factor of queries, usually 1 / sqrt(head_dim).
    pub score_scale: f32,
    /// The norm: how vectors are normalised.
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
    /// Whether attention is differential (arXiv 2410.05258): the second half of the heads is
    /// subtracted from the first, times a factor of the layer, the values of two heads side by
    /// side.
    pub differential: bool,
    /// Whether the keys of some layers have outliers, as their entries say: an int8 cache then
    /// keeps those layers in f16.
    pub key_outliers: bool,
    /// The places of the norms of a layer's two parts.
    pub norms: Norms,
    /// The order of attention and the feed-forward part.
    pub residual: Residual,
    /// The norm of queries and keys, if there is one.
    pub qk_norm: QkNorm,
    /// Factor of an embedding.
    pub embedding_scale: Scale,
    /// Factor of each part of a layer before it is added to the residual stream.
    pub residual_scale: Scale,
    /// Factor of logits.
    pub logit_scale: Scale,
    /// Soft-cap c of attention scores: c · tanh(score / c) (arXiv 2408.00118, section 2).
    pub score_cap: Option<f32>,
    /// Soft-cap of logits, in the same way.
    pub logit_cap: Option<f32>,
    /// Tokens that a layer with a window sees, the newest included; 0 if there is none.
    pub window: usize,
    /// The encoding of the order of tokens.
    pub positions: Positions,
    /// Limit of queries, keys and values: they are clamped to ± this, behind their norm and before
    /// they are rotated.
    pub qkv_limit: Option<f32>,
    /// Tokens of context beyond which a session has other rotary frequencies; 0 if there are none.
    pub long_context: usize,
    /// Experts in a layer that has some; 0 if none has.
    pub n_experts: usize,
    /// Experts that a token goes through.
    pub n_experts_used: usize,
    /// Elements between the matrices of an expert: rows of its gate and up.
    pub expert_ffn_dim: usize,
    /// The same of the expert that every token goes through; 0 if there is none.
    pub shared_ffn_dim: usize,
    /// The weights of the chosen experts.
    pub routing: Routing,
    /// The clamp of gate and up, if there is one.
    pub clamped: Option<Clamped>,
}

impl Config {
    /// The largest dimension, so that sizes of activations cannot overflow.
    pub const MAX_DIM: usize = 1 << 24;
    /// The most experts of a layer, so that a token is soon told which are its own: several times
    /// as many as any published model has.
    pub const MAX_EXPERTS: usize = 1 << 11;

    /// Query heads that share a key and value head: grouped-query attention, arXiv 2305.13245. None
    /// share one that there is not.
    pub const fn group(&self) -> usize {
        match self.n_heads.checked_div(self.n_kv_heads) {
            Some(group) => group,
            None => 0,
        }
    }

    /// Number of tables of rotary frequencies: one, and one each for layers with a window and for
    /// long contexts, where the model has them.
    pub const fn rope_tables(&self) -> usize {
        1 + self.local_rope as usize + (self.long_context > 0) as usize
    }
}
