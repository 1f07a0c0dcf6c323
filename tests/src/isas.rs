//! The instruction sets of the CPU that runs the tests, found as every host finds them.

pub use oarlock_hosted::available_isas as isas;
