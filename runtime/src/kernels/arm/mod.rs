//! Instruction sets of 64-bit ARM.

pub(super) mod base;
pub(super) mod dotprod;
pub(super) mod i8mm;
mod neon;
