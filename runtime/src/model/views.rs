//! Views of a model's weights by their roles.

use super::experts::Experts;
use super::tensor::Tensor;
use crate::format::Role;
use crate::format::matrix::Linear;

/// The weights of a norm, `(dim)`.
#[derive(Clone, Copy, Debug)]
pub struct NormWeights<'m> {
    /// Factors of the normalised elements.
    pub gain: &'m [f32],
    /// Summands thereafter, of LayerNorm.
    pub bias: Option<&'m [f32]>,
}

/// Rotary frequencies (arXiv 2104.09864).
#[derive(Clone, Copy, Debug)]
pub struct Frequencies<'m> {
    /// Angles per position, in units of 2⁻⁶⁴ turn: `(rot_dim / 2)`.
    pub phases: &'m [u64],
    /// Factor of sine and cosine, usually 1.
    pub factor: f32,
}

/// The weights of one layer; those that its model does without are empty.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'m> {
    /// `(dim)`
    pub attn_norm: NormWeights<'m>,
    /// `(n_heads · head_dim, dim)`
    pub q: Linear<'m>,
    /// `(head_dim)` or `(n_heads · head_dim)`: see [`QkNorm`](crate::format::QkNorm)
    pub q_norm: &'m [f32],
    /// `(n_kv_heads · head_dim, dim)`
    pub k: Linear<'m>,
    /// `(head_dim)` or `(n_kv_heads · head_dim)`: see [`QkNorm`](crate::format::QkNorm)
    pub k_norm: &'m [f32],
    /// `(n_kv_heads · head_dim, dim)`
    pub v: Linear<'m>,
    /// `(n_heads)`: see [`Config::sink_logits`](crate::format::Config::sink_logits)
    pub sink_logits: &'m [f32],
    /// Factor λ of the second half of the heads, which is subtracted from the first: see
    /// [`Config::differential`](crate::format::Config::differential)
    pub lambda: f32,
    /// `(2 · head_dim)`: the gain of the difference
    pub diff_norm: &'m [f32],
    /// `(dim, n_heads · head_dim)`
    pub o: Linear<'m>,
    /// `(dim)`
    pub attn_after_norm: &'m [f32],
    /// `(dim)`
    pub ffn_norm: NormWeights<'m>,
    /// `(ffn_dim, dim)`; in a layer with experts `(shared_ffn_dim, dim)`
    pub gate: Linear<'m>,
    /// As [`gate`](Self::gate).
    pub up: Linear<'m>,
    /// `(dim, ffn_dim)`; in a layer with experts `(dim, shared_ffn_dim)`
    pub down: Linear<'m>,
    /// The experts of a sparse layer.
    pub experts: Experts<'m>,
    /// `(dim)`
    pub ffn_after_norm: &'m [f32],
    /// Whether queries and keys are not rotated.
    pub no_rope: bool,
    /// Whether queries see no more than [`Config::window`](crate::format::Config::window).
    pub local: bool,
    /// Whether the layer has experts: its feed-forward part is some of them, chosen for each token,.
    pub sparse: bool,
    /// Whether keys have outliers: an int8 cache keeps this layer in f16.
    pub key_outliers: bool,
}

impl NormWeights<'_> {
    const EMPTY: Self = Self { gain: &[], bias: None };
}

impl<'m> Layer<'m> {
    /// A layer that does without everything.
    pub(super) const EMPTY: Self = Self {
        attn_norm: NormWeights::EMPTY,
        q: Linear::EMPTY,
        q_norm: &[],
        k: Linear::EMPTY,
        k_norm: &[],
        v: Linear::EMPTY,
        sink_logits: &[],
        lambda: 0.0,
        diff_norm: &[],
        o: Linear::EMPTY,
        attn_after_norm: &[],
        ffn_norm: NormWeights::EMPTY,
        gate: Linear::EMPTY,
        up: Linear::EMPTY,
        down: Linear::EMPTY,
        experts: Experts::EMPTY,
        ffn_after_norm: &[],
        no_rope: false,
        local: false,
        sparse: false,
        key_outliers: false,
    };

    /// Puts a tensor where its role says.
    pub(super) fn put(&mut self, t: &Tensor<'m>) {
        match t.role {
            Role::AttnNorm => self.attn_norm.gain = t.vector(),
            Role::AttnNormBias => self.attn_norm.bias = Some(t.vector()),
            Role::Q => self.q.weight = t.matrix(),
            Role::QBias => self.q.bias = Some(t.vector()),
            Role::QNorm => self.q_norm = t.vector(),
            Role::K => self.k.weight = t.matrix(),
            Role::KBias => self.k.bias = Some(t.vector()),
            Role::KNorm => self.k_norm = t.vector(),
            Role::V => self.v.weight = t.matrix(),
            Role::VBias => self.v.bias = Some(t.vector()),
            Role::SinkLogits => self.sink_logits = t.vector(),
            Role::Lambda => self.lambda = t.vector().first().copied().unwrap_or(0.0),
            Role::DiffNorm => self.diff_norm = t.vector(),
            Role::O => self.o.weight = t.matrix(),
            Role::OBias => self.o.bias = Some(t.vector()),
            Role::AttnAfterNorm => self.attn_after_norm = t.vector(),
            Role::FfnNorm => self.ffn_norm.gain = t.vector(),
            Role::FfnNormBias => self.ffn_norm.bias = Some(t.vector()),
            Role::Gate | Role::SharedGate => self.gate.weight = t.matrix(),
            Role::GateBias => self.gate.bias = Some(t.vector()),
            Role::Up | Role::SharedUp => self.up.weight = t.matrix(),
            Role::UpBias => self.up.bias = Some(t.vector()),
            Role::Down | Role::SharedDown => self.down.weight = t.matrix(),
            Role::DownBias => self.down.bias = Some(t.vector()),
            Role::FfnAfterNorm => self.ffn_after_norm = t.vector(),
            role => self.experts.put(role, t),
        }
    }
}
