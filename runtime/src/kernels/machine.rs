//! What computes: the instruction set and the threads.

use super::Isa;
use crate::base::exec::Executor;

/// What a board computes with. Every call that computes takes it, and none keeps it: a
/// session may go on with other threads or another instruction set, to the same bits.
#[derive(Clone, Copy)]
pub struct Machine<'e> {
    /// Proof of what the CPU can do.
    pub isa: Isa,
    /// Where the parts of a loop run.
    pub exec: &'e dyn Executor,
}

#[cfg(any(feature = "every-isa", not(target_arch = "aarch64")))]
impl Machine<'static> {
    /// Plain Rust on the calling thread: defines the bits, runs anywhere.
    pub const SCALAR: Self = Self { isa: Isa::SCALAR, exec: &crate::base::exec::Serial };
}
