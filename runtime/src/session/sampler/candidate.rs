//! A token and its weight.
#![allow(unsafe_code)]

use crate::base::arena::Plain;

/// A token that may be chosen. Arenas hold one for every entry of the vocabulary.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C)]
pub struct Candidate {
    /// While choosing, its logit after the penalty; in the end its probability, in units of
    /// the most probable candidate's.
    pub weight: f64,
    /// The token.
    pub id: u32,
    /// Without it there were four bytes that nobody has written, in the caller's memory.
    filler: u32,
}

impl Candidate {
    /// A token of this weight.
    pub const fn new(weight: f64, id: u32) -> Self {
        Self { weight, id, filler: 0 }
    }
}

// SAFETY: three numbers in C's layout with no padding, aligned to 8.
unsafe impl Plain for Candidate {}
