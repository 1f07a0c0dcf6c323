//! Everything that is worth a SIMD register, and the one place that picks which.
//!
//! Each operation is written once over the small `Simd` trait (`simd.rs`) and compiled
//! for every instruction set; the ISA files hold registers and nothing else. `Isa::run`
//! picks. What a matrix product does with threads is in `matmul.rs`; everything else
//! here runs where it is called.

mod activation;
mod acts;
#[cfg(target_arch = "x86_64")]
mod amx;
mod attention;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx2_madd;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx_vnni;
mod dots;
mod embedding;
mod isa;
mod machine;
mod matmul;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "aarch64")]
mod neon_asm;
#[cfg(target_arch = "aarch64")]
mod neon_base;
#[cfg(target_arch = "aarch64")]
mod neon_dotprod;
#[cfg(target_arch = "aarch64")]
mod neon_i8mm;
mod product;
mod quants;
mod scalar;
mod several;
mod simd;
mod vector;
mod weights;

pub use activation::{activate, clamp, soft_cap};
pub use acts::{Acts, ActsMut};
pub(crate) use attention::MOST_HEAD_DIM;
pub use attention::{Bend, Kv, KvMut, Partial, Queries, QueriesMut, Slopes};
pub use attention::{attend, finish, merge};
pub use embedding::{add_embedding_row, embedding_row};
pub use isa::{Isa, set_control_word};
pub use machine::Machine;
pub use matmul::{Input, Job, Task, matmul};
pub use vector::{add, add_scaled, difference, layer_norm, layer_norm_in, norm_heads, rms_norm};
pub use vector::{rotate, scale};
