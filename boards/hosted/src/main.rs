//! Oarlock on an operating system.
fn main() {}
