//! Shapes of tensors: which a model has, as its configuration says, and of how many rows and
//! columns.

use super::config::dimensions::Config;
use super::config::options::{Mlp, Norm, Positions, QkNorm, Residual};
use super::role::Role;

impl Role {
    /// Whether a model of this configuration has such a tensor; of a bias, whether it may.
    ///
    /// `sparse` says whether the layer has experts; outside of layers it does not count.
    pub fn is_in(self, config: &Config, sparse: bool) -> bool {
        let (before, after) = (config.norms.before(), config.norms.after());
        let layer_norm = config.norm == Norm::Layer;
        let (gated, shared) = (config.mlp == Mlp::Gated, config.shared_ffn_dim > 0);
        match self {
            Self::Positions => config.positions == Positions::Learned,
            Self::Slopes => config.positions == Positions::Alibi,
            Self::EmbeddingNorm => config.embedding_norm,
            Self::EmbeddingNormBias => config.embedding_norm && layer_norm,
            Self::AttnNorm => before,
            Self::FfnNorm => before && config.residual != Residual::Parallel,
            Self::Gate | Self::GateBias => gated && !sparse,
            Self::Up | Self::UpBias | Self::Down | Self::DownBias => !sparse,
            Self::ExpertGate | Self::ExpertGateBias => gated && sparse,
            Self::Router | Self::RouterBias | Self::ExpertUp | Self::ExpertUpBias => sparse,
            Self::ExpertDown | Self::ExpertDownBias => sparse,
            Self::SharedGate => gated && sparse && shared,
            Self::SharedRouter | Self::SharedUp | Self::SharedDown => sparse && shared,
            Self::AttnAfterNorm | Self::FfnAfterNorm => after,
            Self::QNorm | Self::KNorm => config.qk_norm != QkNorm::None,
            Self::SinkLogits => config.sink_logits,
            Self::Lambda | Self::DiffNorm => config.differential,
            Self::AttnNormBias => layer_norm && Self::AttnNorm.is_in(config, sparse),
            Self::FfnNormBias => layer_norm && Self::FfnNorm.is_in(config, sparse),
            Self::OutputNormBias => layer_norm,
            Self::Output => !config.tied,
            Self::OutputBias => config.output_bias,
            _ => true,
        }
    }

    /// Shape of the tensor in a model of this configuration: `(rows, cols)`, of a vector `(1, n)`;
    /// of a stack, the shape of each.
    ///
    /// A product that overflows saturates: no tensor can have that many rows.
    pub fn shape(self, config: &Config) -> (usize, usize) {
        let c = config;
        let q_dim = c.n_heads.saturating_mul(c.head_dim);
        let kv_dim = c.n_kv_heads.saturating_mul(c.head_dim);
        match self {
            Self::Embedding | Self::Output => (c.vocab_size, c.dim),
            Self::Positions => (c.context, c.dim),
            Self::EmbeddingNorm | Self::EmbeddingNormBias => (1, c.dim),
            Self::Slopes | Self::SinkLogits => (1, c.n_heads),
            Self::OutputBias => (1, c.vocab_size),
            Self::AttnNorm | Self::AttnNormBias | Self::AttnAfterNorm => (1, c.dim),
            Self::FfnNorm | Self::FfnNormBias | Self::FfnAfterNorm => (1, c.dim),
            Self::OutputNorm | Self::OutputNormBias => (1, c.dim),
            Self::QNorm => (1, if c.qk_norm == QkNorm::Whole { q_dim } else { c.head_dim }),
            Self::KNorm => (1, if c.qk_norm == QkNorm::Whole { kv_dim } else { c.head_dim }),
            Self::Lambda => (1, 1),
            Self::DiffNorm => (1, c.head_dim.saturating_mul(2)),
            Self::Q => (q_dim, c.dim),
            Self::QBias => (1, q_dim),
            Self::K | Self::V => (kv_dim, c.dim),
            Self::KBias | Self::VBias => (1, kv_dim),
            Self::O => (c.dim, q_dim),
            Self::OBias => (1, c.dim),
            Self::Gate | Self::Up => (c.ffn_dim, c.dim),
            Self::GateBias | Self::UpBias => (1, c.ffn_dim),
            Self::Down => (c.dim, c.ffn_dim),
            Self::DownBias | Self::ExpertDownBias => (1, c.dim),
            Self::Router => (c.n_experts, c.dim),
            Self::RouterBias => (1, c.n_experts),
            Self::ExpertGate | Self::ExpertUp => (c.expert_ffn_dim, c.dim),
            Self::ExpertGateBias | Self::ExpertUpBias => (1, c.expert_ffn_dim),
            Self::ExpertDown => (c.dim, c.expert_ffn_dim),
            Self::SharedRouter => (1, c.dim),
            Self::SharedGate | Self::SharedUp => (c.shared_ffn_dim, c.dim),
            Self::SharedDown => (c.dim, c.shared_ffn_dim),
        }
    }
}
