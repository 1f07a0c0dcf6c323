//! The 16 levels of non-linear types of 4 bits.

use super::dtype::Dtype;

/// The levels that nibbles stand for, in the order of the nibbles.
pub type Levels = [i8; 16];

/// The levels of IQ4_NL and IQ4_XS: close to each other where most weights are.
pub const IQ4_NL: Levels =
    [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// Twice the levels of MXFP4 (E2M1: no infinity, no NaN).
pub const MXFP4: Levels = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

/// The levels of a matrix that is made of this type.
pub const fn levels(dtype: Dtype) -> &'static Levels {
    match dtype {
        Dtype::Mxfp4 => &MXFP4,
        _ => &IQ4_NL,
    }
}
