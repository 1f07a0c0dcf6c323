//! The machine that computes: its instruction set and its threads.

use super::isa::Isa;
use crate::base::exec::Executor;

/// The means that a board computes with. Every call that computes takes it, and none keeps it: a
/// session may go on with other threads or another instruction set, to the same bits.
#[derive(Clone, Copy)]
pub struct Machine<'e> {
    /// Proof of what the CPU can do.
    pub isa: Isa,
    /// The threads that the parts of a loop run on.
    pub exec: &'e dyn Executor,
}

#[cfg(any(feature = "every-isa", not(target_arch = "aarch64")))]
impl Machine<'static> {
    /// Plain Rust on the calling thread: defines the bits, runs anywhere. (On 64-bit ARM it is
    /// there with the feature `every-isa` only, which is on by default.)
    pub const SCALAR: Self = Self { isa: Isa::SCALAR, exec: &crate::base::exec::Serial };
}
