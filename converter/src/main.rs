//! The converter's command line.
fn main() {}
