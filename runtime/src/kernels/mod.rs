//! SIMD kernels: operations written once, and compiled for every instruction set.
//!
//! ```text
//! elementwise/   gemm/   attention/    operations, over any registers
//!        isa.rs                        picks the instruction set, and nothing else
//! x86/   arm/   scalar.rs              registers, and nothing else
//!        block.rs                      a block of weights and the tokens that it meets
//!        simd.rs                       the traits between them: begin here
//! ```
//!
//! Each file imports those below it alone. `Isa::run` is the one place that picks. What a matrix
//! product does with threads is in `gemm/mod.rs`; everything else here runs where it is called.

#[cfg(target_arch = "aarch64")]
mod arm;
mod attention;
mod block;
mod control_word;
mod elementwise;
mod gemm;
mod isa;
mod machine;
mod scalar;
mod simd;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use attention::MAX_HEAD_DIM;
pub use attention::{AlibiSlopes, Kv, KvMut, Queries, QueriesMut, ScoreModifier, SoftmaxState};
pub use attention::{attend, finish, merge};
pub use control_word::set_control_word;
pub use elementwise::{QuantizedActivations, QuantizedActivationsMut};
pub use elementwise::{activate, clamp, soft_cap};
pub use elementwise::{
    add, add_scaled, layer_norm, layer_norm_in, norm_heads, rms_norm, sub_scaled,
};
pub use elementwise::{add_embedding_row, embedding_row};
pub use elementwise::{rotate, scale};
pub use gemm::{Input, Job, Task, matmul};
pub use isa::Isa;
pub use machine::Machine;
