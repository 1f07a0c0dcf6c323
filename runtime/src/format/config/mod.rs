//! The config section: a model's dimensions and options.
//!
//! A family is a choice of options on one decoder, never a forward pass of its own; an
//! option with a single variant today is a place where the next family joins.

mod bytes;
mod check;
pub(super) mod dimensions;
pub(super) mod options;

pub use dimensions::Config;
pub use options::{Activation, Clamped, Mlp, Norm, Norms, Positions, QkNorm, Residual};
pub use options::{Routing, Scale};
