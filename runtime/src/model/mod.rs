//! A model file, checked once and then read where it lies: configuration, weights, options.

mod check;
mod experts;
mod open;
mod options;
mod tensor;
mod views;

pub use experts::{Experts, StackedLinear};
pub use open::Model;
pub use options::{Options, OptionsError};
pub use tensor::{Stack, Tensor, VerifyError};
pub use views::{Frequencies, Layer, NormWeights};
