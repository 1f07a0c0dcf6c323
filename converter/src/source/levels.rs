//! The 16 levels of non-linear types of 4 bits.

/// Levels, ascending.
pub type Levels = [i8; 16];

/// The levels of IQ4_NL and IQ4_XS: close to each other where most weights are.
pub const IQ4_NL: Levels =
    [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
