//! Numbers that a file holds besides weights, the same on every machine: made of IEEE
//! operations alone, since the mathematics of hosts differ.

pub mod alibi;
mod double;
pub mod lambda;
pub mod ln;
pub mod rope;
pub mod yarn;
