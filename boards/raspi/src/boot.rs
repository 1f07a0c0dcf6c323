//! The assembly, and where it hands over.
#![allow(unsafe_code)]

use core::arch::global_asm;

global_asm!(include_str!("boot.s"));
global_asm!(include_str!("vectors.s"));

/// The first line of Rust, which `boot.s` calls.
#[unsafe(no_mangle)]
extern "C" fn main(tree: usize, image: usize) -> ! {
    crate::run(tree, image)
}
