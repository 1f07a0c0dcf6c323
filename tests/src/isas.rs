//! The instruction sets of the CPU that runs the tests, found as the hosted board finds them.

#[path = "../../boards/hosted/src/available.rs"]
mod available;

pub use available::available as isas;
