//! The weights of a layer's experts.

use super::tensor::{Stack, Tensor};
use crate::format::Role;
use crate::format::matrix::Linear;

/// The weights of a layer's experts and of its routers; those that the model does without are
/// empty.
///
/// The weights of the shared expert, which every token goes through, are
/// [`Layer::gate`](super::Layer::gate), `up` and `down`.
#[derive(Clone, Copy, Debug)]
pub struct Experts<'m> {
    /// The router: logits of the experts; `(n_experts, dim)`, f32
    pub router: Linear<'m>,
    /// Gates, `(expert_ffn_dim, dim)` each
    pub gate: StackedLinear<'m>,
    /// Ups, `(expert_ffn_dim, dim)` each
    pub up: StackedLinear<'m>,
    /// Downs, `(dim, expert_ffn_dim)` each
    pub down: StackedLinear<'m>,
    /// The router of the shared expert: how much of it a token gets; `(1, dim)`, f32
    pub shared_router: Linear<'m>,
}

/// A linear layer for each expert.
#[derive(Clone, Copy, Debug)]
pub struct StackedLinear<'m> {
    /// The matrices.
    pub weights: Stack<'m>,
    /// The biases, if there are any.
    pub biases: Option<Stack<'m>>,
}

impl<'m> Experts<'m> {
    pub(super) const EMPTY: Self = Self {
        router: Linear::EMPTY,
        gate: StackedLinear::EMPTY,
        up: StackedLinear::EMPTY,
        down: StackedLinear::EMPTY,
        shared_router: Linear::EMPTY,
    };

    /// Takes the tensor, if it has one of these roles.
    pub(super) fn put(&mut self, role: Role, t: &Tensor<'m>) {
        match role {
            Role::Router => self.router.weight = t.matrix(),
            Role::RouterBias => self.router.bias = Some(t.vector()),
            Role::ExpertGate => self.gate.weights = t.stack(),
            Role::ExpertGateBias => self.gate.biases = Some(t.stack()),
            Role::ExpertUp => self.up.weights = t.stack(),
            Role::ExpertUpBias => self.up.biases = Some(t.stack()),
            Role::ExpertDown => self.down.weights = t.stack(),
            Role::ExpertDownBias => self.down.biases = Some(t.stack()),
            Role::SharedRouter => self.shared_router.weight = t.matrix(),
            _ => {}
        }
    }
}

impl<'m> StackedLinear<'m> {
    const EMPTY: Self = Self { weights: Stack::EMPTY, biases: None };

    /// The linear layer of an expert; empty if there is no such expert.
    pub fn expert(&self, expert: usize) -> Linear<'m> {
        Linear {
            weight: self.weights.matrix(expert),
            bias: self.biases.map(|biases| biases.vector(expert)),
        }
    }
}
