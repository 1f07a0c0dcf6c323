//! The check of a model's dimensions and options against each other.

use super::dimensions::Config;
use super::options::{Activation, Clamped, Mlp, Norm, Positions, Residual, Routing, Scale};
use crate::format::error::{Field, OpenError};

impl Config {
    /// Checks that dimensions and options make a model.
    ///
    /// # Errors
    /// [`OpenError::Field`] with the first that does not fit the others.
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

/// Refuses a field unless `ok`.
pub(super) fn require(ok: bool, field: Field) -> Result<(), OpenError> {
    if ok { Ok(()) } else { Err(OpenError::Field(field)) }
}
