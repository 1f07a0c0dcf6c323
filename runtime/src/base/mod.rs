//! Memory, threads, mathematics and checksums: the ground floor, which knows nothing of models.

pub mod aligned;
pub(crate) mod arena;
pub(crate) mod carry;
pub(crate) mod checked;
pub mod crc;
pub(crate) mod disjoint;
pub mod exec;
pub mod math;
