//! Reasons why a template cannot be followed.

use std::fmt;

/// Why no chat program could be derived, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Underivable(pub String);

impl fmt::Display for Underivable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Underivable {}
