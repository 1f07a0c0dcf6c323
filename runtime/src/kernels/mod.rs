//! Everything that is worth a SIMD register, and the one place that picks which.

mod isa;
mod simd;

pub use isa::{Isa, set_control_word};
