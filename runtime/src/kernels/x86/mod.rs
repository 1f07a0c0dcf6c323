//! Instruction sets of 64-bit x86.

pub(super) mod amx;
mod avx2;
pub(super) mod avx2_madd;
pub(super) mod avx512;
pub(super) mod avx_vnni;
