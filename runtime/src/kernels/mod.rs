//! Everything that is worth a SIMD register, and the one place that picks which.
//!
//! Each operation is written once over the small `Simd` trait (`simd.rs`) and compiled
//! for every instruction set; the ISA files hold registers and nothing else. `Isa::run`
//! picks. What a matrix product does with threads is in `matmul.rs`; everything else
//! here runs where it is called.

#[cfg(target_arch = "aarch64")]
mod arm;
mod attention;
mod block;
mod dots;
mod elementwise;
mod gemm;
mod isa;
mod machine;
mod scalar;
mod simd;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use attention::MOST_HEAD_DIM;
pub use attention::{Bend, Kv, KvMut, Partial, Queries, QueriesMut, Slopes};
pub use attention::{attend, finish, merge};
pub use elementwise::{Acts, ActsMut};
pub use elementwise::{activate, clamp, soft_cap};
pub use elementwise::{
    add, add_scaled, difference, layer_norm, layer_norm_in, norm_heads, rms_norm,
};
pub use elementwise::{add_embedding_row, embedding_row};
pub use elementwise::{rotate, scale};
pub use gemm::{Input, Job, Task, matmul};
pub use isa::{Isa, set_control_word};
pub use machine::Machine;
