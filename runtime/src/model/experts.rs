//! The weights of a layer's experts.

use super::tensor::{Stack, Tensor};
use crate::format::Role;
use crate::format::matrix::Linear;

/// The weights of a layer with experts, but for those of the expert that every token goes
/// through; what its model does without is empty.
#[derive(Clone, Copy, Debug)]
pub struct Experts<'m> {
    /// `(n_experts, dim)`, f32
    pub router: Linear<'m>,
    /// `(expert_ffn_dim, dim)` each
    pub gate: Stacked<'m>,
    /// `(expert_ffn_dim, dim)` each
    pub up: Stacked<'m>,
    /// `(dim, expert_ffn_dim)` each
    pub down: Stacked<'m>,
    /// `(1, dim)`, f32: how much of the shared expert a token gets
    pub shared_router: Linear<'m>,
}

/// A matrix for each expert, and what is added to its product.
#[derive(Clone, Copy, Debug)]
pub struct Stacked<'m> {
    /// Matrices.
    pub weights: Stack<'m>,
    /// Vectors, if there are any.
    pub biases: Option<Stack<'m>>,
}

impl<'m> Experts<'m> {
    pub(super) const EMPTY: Self = Self {
        router: Linear::EMPTY,
        gate: Stacked::EMPTY,
        up: Stacked::EMPTY,
        down: Stacked::EMPTY,
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

impl<'m> Stacked<'m> {
    const EMPTY: Self = Self { weights: Stack::EMPTY, biases: None };

    /// The matrix of this expert with its bias; empty if there is no such expert.
    pub fn of(&self, expert: usize) -> Linear<'m> {
        Linear {
            weight: self.weights.matrix(expert),
            bias: self.biases.map(|biases| biases.vector(expert)),
        }
    }
}
