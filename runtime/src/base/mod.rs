//! The ground floor: memory, threads, mathematics and checksums, which know nothing of models.

pub mod aligned;
pub(crate) mod arena;
pub(crate) mod carry;
pub mod crc;
pub(crate) mod disjoint;
pub mod exec;
pub mod math;
