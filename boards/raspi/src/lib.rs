//! Knowledge that needs no device: how to read a device tree and a command
//! line, which memory is free, how a line is edited. It runs, and is tested, on any machine.
#![no_std]

pub mod device_tree;
pub mod flags;
pub mod line;
pub mod memory;
pub mod units;
