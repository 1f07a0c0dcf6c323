//! The map: every address is its own. `boot.s` has mapped the program and the devices; here
//! the memory joins that the firmware reports, and nothing else.
//!
//! DDI 0487, D8.3 (descriptors) and D8.16.1 (break before make).
#![allow(unsafe_code)]

use core::arch::asm;
use core::ops::Range;

use oarlock_raspi::memory::{END, Memory, blocks};

const BLOCK_2M: usize = 2 << 20;
const BLOCK_1G: usize = 1 << 30;
/// Tables of 2 MiB blocks reach so far.
pub const FINE: usize = 4 * BLOCK_1G;
/// Memory that `boot.s` has mapped, for the program.
pub const PROGRAM: Range<usize> = 0..16 << 20;
/// As in `boot.s`: accessed, inner shareable, attribute 1, not for EL0.
const NORMAL: u64 = 1 << 54 | 0x705;

unsafe extern "C" {
    static mut table_1: [u64; 512];
    static mut table_2: [u64; 4 * 512];
}

/// Maps all memory that is there, as far as it fills blocks.
pub fn map(memory: &Memory) {
    for range in memory.there() {
        map_fine(range);
        blocks(range, BLOCK_1G, FINE..END).for_each(|at| {
            // SAFETY: the entry of an address above, and it is memory.
            unsafe { set((&raw mut table_1).cast::<u64>().add(at / BLOCK_1G), at as u64 | NORMAL) }
        });
    }
}

/// Maps the blocks that `range` touches, which lies in memory below [`FINE`].
pub fn map_around(range: &Range<usize>) {
    let wide = range.start & !(BLOCK_2M - 1)..range.end.next_multiple_of(BLOCK_2M);
    map_fine(&wide);
}

fn map_fine(range: &Range<usize>) {
    blocks(range, BLOCK_2M, 0..FINE).for_each(|at| {
        // SAFETY: the entry of an address below 4 GiB, where callers have found memory.
        unsafe { set((&raw mut table_2).cast::<u64>().add(at / BLOCK_2M), at as u64 | NORMAL) }
    });
}

/// Writes a descriptor, first taking away one that it differs from.
///
/// # Safety
/// The entry is one of the tables', and nothing in use is mapped by it otherwise.
unsafe fn set(entry: *mut u64, descriptor: u64) {
    // SAFETY: as the caller promises; the barriers order the walk of the tables with it.
    unsafe {
        let old = entry.read_volatile();
        if old == descriptor {
            return;
        }
        if old != 0 {
            entry.write_volatile(0);
            asm!("dsb ishst", "tlbi vmalle1is", "dsb ish", "isb", options(nostack));
        }
        entry.write_volatile(descriptor);
        asm!("dsb ishst", "isb", options(nostack));
    }
}
