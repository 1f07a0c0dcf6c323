//! Jobs: which matrices are multiplied with what, and what becomes of the products.

use core::ops::Range;

use crate::format::matrix::Linear;
use crate::format::{Activation, Clamped};
use crate::kernels::elementwise::quantize::QuantizedActivations;

/// The inputs of `n` tokens, in the forms that matrices want.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// Tokens.
    pub n: usize,
    /// Columns of each.
    pub cols: usize,
    /// `(n, cols)`, rows `stride` apart: read by f32 matrices alone, else may be empty
    pub x: &'a [f32],
    /// The distance from one token's `x` to the next; at least `cols`.
    pub stride: usize,
    /// Read by quantized matrices; at least `n` tokens.
    pub acts: Option<QuantizedActivations<'a>>,
}

impl Input<'_> {
    /// The inputs of these tokens alone.
    pub(crate) fn select(&self, tokens: Range<usize>) -> Self {
        let x = self.x.get(tokens.start * self.stride..).unwrap_or_default();
        let acts = self.acts.map(|acts| acts.select(tokens.clone()));
        Self { n: tokens.len(), x, acts, ..*self }
    }
}

/// A use of a product y = W·x, to which the bias, if any, has been added.
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
        /// The gate's.
        activation: Activation,
        /// Limits of both, and a gate in place of the activation.
        clamped: Option<Clamped>,
    },
}

/// One output of a parallel region.
pub struct Job<'a> {
    /// The right-hand side of the product.
    pub input: Input<'a>,
    /// The matrix, and what becomes of its product.
    pub task: Task<'a>,
    /// `(n of the input, rows padded to 16)`, rows `stride` apart. The padding becomes 0 (in
    /// [`Task::Add`] it stays as it is).
    pub out: &'a mut [f32],
    /// The distance from one token's output to the next; at least the rows padded to 16.
    pub stride: usize,
}

/// The way of a register of products to the output.
#[derive(Clone, Copy)]
pub(super) enum Epilogue {
    /// `out = y`
    Store,
    /// `out = out + y · factor`
    Add(f32),
    /// `out = out · y`
    Multiply,
    /// `out = out · (y + 1)`, y cut off at this.
    MultiplyClamped(f32),
}

/// A function of a token's outputs, while they are near.
#[derive(Clone, Copy)]
pub(super) enum RowFunction {
    None,
    Activation(Activation),
    ClampedGate(Clamped),
}

/// One matrix of a task: its product, and the way of that to the output.
#[derive(Clone, Copy)]
pub(super) struct Pass<'m> {
    pub(super) linear: Linear<'m>,
    pub(super) epilogue: Epilogue,
    pub(super) function: RowFunction,
}

impl<'m> Task<'m> {
    /// The passes, one after the other over the same rows.
    pub(super) fn passes(self) -> [Option<Pass<'m>>; 2] {
        let pass = |linear, epilogue| Some(Pass { linear, epilogue, function: RowFunction::None });
        let stored = |linear, function| Some(Pass { linear, epilogue: Epilogue::Store, function });
        let activated = |linear, f| stored(linear, RowFunction::Activation(f));
        match self {
            Self::Store(linear) => [pass(linear, Epilogue::Store), None],
            Self::Add(linear, factor) => [pass(linear, Epilogue::Add(factor)), None],
            Self::Activated(linear, f) => [activated(linear, f), None],
            Self::Gated { gate, up, activation, clamped: None } => {
                [activated(gate, activation), pass(up, Epilogue::Multiply)]
            }
            Self::Gated { gate, up, clamped: Some(clamped), .. } => [
                stored(gate, RowFunction::ClampedGate(clamped)),
                pass(up, Epilogue::MultiplyClamped(clamped.limit)),
            ],
        }
    }

    /// Rows of the output, not padded.
    pub(super) fn rows(self) -> usize {
        match self {
            Self::Store(linear) | Self::Add(linear, _) | Self::Activated(linear, _) => {
                linear.weight.rows()
            }
            Self::Gated { gate, .. } => gate.weight.rows(),
        }
    }
}
