//! Jobs: which matrices are multiplied with what, and what becomes of the products.

use core::ops::Range;

use crate::format::matrix::Linear;
use crate::format::{Activation, Clamped};
use crate::kernels::elementwise::quantize::Acts;

/// The inputs of `n` tokens, in the forms that matrices want.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// Tokens.
    pub n: usize,
    /// Columns of each.
    pub cols: usize,
    /// `(n, cols)`, rows `stride` apart: read by f32 matrices alone, else may be empty
    pub x: &'a [f32],
    /// From one token's `x` to the next; at least `cols`.
    pub stride: usize,
    /// Read by quantized matrices; at least `n` tokens.
    pub acts: Option<Acts<'a>>,
}

impl Input<'_> {
    /// Of these tokens alone.
    pub(crate) fn of(&self, tokens: Range<usize>) -> Self {
        let x = self.x.get(tokens.start * self.stride..).unwrap_or_default();
        let acts = self.acts.map(|acts| acts.of(tokens.clone()));
        Self { n: tokens.len(), x, acts, ..*self }
    }
}

/// What is done with a product y = W·x, to which the bias, if any, has been added.
#[derive(Clone, Copy)]
pub enum Task<'m> {
    /// `out = y`
    Store(Linear<'m>),
    /// `out = out + y · factor`: the residual stream
    Add(Linear<'m>, f32),
    /// `out = activation(y)`
    Activated(Linear<'m>, Activation),
    /// `out = activation(y of gate) · y of up`
    Gated {
        /// `(rows, cols)`
        gate: Linear<'m>,
        /// `(rows, cols)`
        up: Linear<'m>,
        /// Of the gate.
        activation: Activation,
        /// In place of the activation, what both are cut off at.
        clamped: Option<Clamped>,
    },
}

/// One output of a parallel region.
pub struct Job<'a> {
    /// What the matrix is multiplied with.
    pub input: Input<'a>,
    /// Which matrix, and what becomes of its product.
    pub task: Task<'a>,
    /// `(n of the input, rows padded to 16)`, rows `stride` apart. The padding becomes 0 (in
    /// [`Task::Add`] it stays as it is).
    pub out: &'a mut [f32],
    /// From one token's output to the next; at least the rows padded to 16.
    pub stride: usize,
}

/// How a register of products goes to the output.
#[derive(Clone, Copy)]
pub(super) enum Then {
    Store,
    Add(f32),
    /// `out = out · y`
    Times,
    /// `out = out · (y + 1)`, y cut off at this.
    TimesClamped(f32),
}

/// What then becomes of the output, while it is near.
#[derive(Clone, Copy)]
pub(super) enum After {
    Nothing,
    Activation(Activation),
    Gate(Clamped),
}

#[derive(Clone, Copy)]
pub(super) struct Step<'m> {
    pub(super) linear: Linear<'m>,
    pub(super) then: Then,
    pub(super) after: After,
}

impl<'m> Task<'m> {
    /// The products, one after the other on the same rows.
    pub(super) fn steps(self) -> [Option<Step<'m>>; 2] {
        let step = |linear, then| Some(Step { linear, then, after: After::Nothing });
        let stored = |linear, after| Some(Step { linear, then: Then::Store, after });
        let activated = |linear, f| stored(linear, After::Activation(f));
        match self {
            Self::Store(linear) => [step(linear, Then::Store), None],
            Self::Add(linear, factor) => [step(linear, Then::Add(factor)), None],
            Self::Activated(linear, f) => [activated(linear, f), None],
            Self::Gated { gate, up, activation, clamped: None } => {
                [activated(gate, activation), step(up, Then::Times)]
            }
            Self::Gated { gate, up, clamped: Some(clamped), .. } => {
                [stored(gate, After::Gate(clamped)), step(up, Then::TimesClamped(clamped.limit))]
            }
        }
    }

    pub(super) fn rows(self) -> usize {
        match self {
            Self::Store(linear) | Self::Add(linear, _) | Self::Activated(linear, _) => {
                linear.weight.rows()
            }
            Self::Gated { gate, .. } => gate.weight.rows(),
        }
    }
}
