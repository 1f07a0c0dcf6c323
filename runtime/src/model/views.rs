//! The weights of a model by what they are for.

use super::experts::Experts;
use super::tensor::Tensor;
use crate::format::Role;
use crate::format::matrix::Linear;

/// The weights of a norm.
#[derive(Clone, Copy, Debug)]
pub struct Gain<'m> {
    /// What normalised elements are multiplied by.
    pub gain: &'m [f32],
    /// What is then added, as long.
    pub bias: Option<&'m [f32]>,
}

/// Rotary frequencies.
#[derive(Clone, Copy, Debug)]
pub struct Frequencies<'m> {
    /// Turns per position of each, in units of 2⁻⁶⁴ turn: `(rot_dim / 2)`.
    pub phases: &'m [u64],
    /// What sine and cosine are multiplied by, usually 1.
    pub factor: f32,
}

/// The weights of one layer; what its model does without is empty.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'m> {
    /// `(dim)`
    pub attn_norm: Gain<'m>,
    /// `(n_heads · head_dim, dim)`
    pub q: Linear<'m>,
    /// See [`QkNorm`]
    pub q_norm: &'m [f32],
    /// `(n_kv_heads · head_dim, dim)`
    pub k: Linear<'m>,
    /// See [`QkNorm`]
    pub k_norm: &'m [f32],
    /// `(n_kv_heads · head_dim, dim)`
    pub v: Linear<'m>,
    /// `(n_heads)`: see [`Config::sink_logits`]
    pub sink_logits: &'m [f32],
    /// What the second half of the heads is taken off the first by: see [`Config::differential`]
    pub lambda: f32,
    /// `(2 · head_dim)`: the gain of what is left
    pub difference_norm: &'m [f32],
    /// `(dim, n_heads · head_dim)`
    pub o: Linear<'m>,
    /// `(dim)`
    pub attn_after_norm: &'m [f32],
    /// `(dim)`
    pub ffn_norm: Gain<'m>,
    /// `(ffn_dim, dim)`; in a layer with experts `(shared_ffn_dim, dim)`
    pub gate: Linear<'m>,
    /// As the gate.
    pub up: Linear<'m>,
    /// `(dim, ffn_dim)`; in a layer with experts `(dim, shared_ffn_dim)`
    pub down: Linear<'m>,
    /// In a layer that is sparse.
    pub experts: Experts<'m>,
    /// `(dim)`
    pub ffn_after_norm: &'m [f32],
    /// Whether queries and keys are not rotated.
    pub no_rope: bool,
    /// Whether queries see no more than [`Config::window`].
    pub local: bool,
    /// Whether the feed-forward part is one of experts.
    pub sparse: bool,
    /// Whether keys have outliers: an int8 cache keeps this layer in f16.
    pub key_outliers: bool,
}

impl Gain<'_> {
    const EMPTY: Self = Self { gain: &[], bias: None };
}

impl<'m> Layer<'m> {
    /// A layer that does without everything.
    pub(super) const EMPTY: Self = Self {
        attn_norm: Gain::EMPTY,
        q: Linear::EMPTY,
        q_norm: &[],
        k: Linear::EMPTY,
        k_norm: &[],
        v: Linear::EMPTY,
        sink_logits: &[],
        lambda: 0.0,
        difference_norm: &[],
        o: Linear::EMPTY,
        attn_after_norm: &[],
        ffn_norm: Gain::EMPTY,
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
            Role::DifferenceNorm => self.difference_norm = t.vector(),
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
