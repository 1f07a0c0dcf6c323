//! The model that the runtime's crate brings for its examples.

use oarlock::internal::format::layout::WeightType;
use oarlock_tests::{fixture, root};

use crate::source::converted;
use crate::values::options;

/// Made by `cargo run -p oarlock-convert -- tests/fixtures/tiny/gqa --weights int4 -o
/// runtime/examples/tiny.oar`: again, wherever a version or the format changes.
#[test]
fn the_model_of_the_examples_is_what_the_converter_makes_now() {
    let committed = std::fs::read(root().join("runtime/examples/tiny.oar")).unwrap();
    let made = converted(&fixture("tiny").join("gqa"), &options(WeightType::Int4)).unwrap();
    assert!(committed[..] == made[..], "make runtime/examples/tiny.oar again");
    assert!(committed.len() <= 64 << 10, "too large for a crate's example");
}
