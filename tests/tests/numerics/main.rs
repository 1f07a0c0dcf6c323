//! The numbers themselves: kernels against oracles, sessions against the definition and against
//! `transformers`, the same bits however they are computed.

mod bits;
mod families;
mod kernels;
mod parity;
mod sampler;
mod session;
mod speculative;
mod stream;
mod streaming;
