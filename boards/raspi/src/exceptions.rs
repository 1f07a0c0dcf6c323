//! When the program is wrong: what happened and where, on the console, then a new start.
#![allow(unsafe_code)]

use core::fmt::{Arguments, Display};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::console::println;
use crate::registers::system_register;
use crate::registers::{core_number, mask_interrupts, wait_for_event};
use crate::{board, console, log, power, timer};

/// Long enough to be read.
const PAUSE: u64 = 5_000_000;

/// Whether a core has failed already: the others need not say so too.
static FAILED: AtomicBool = AtomicBool::new(false);

/// Ends in a new start: `vectors.s` takes every exception that is not an interrupt here.
#[unsafe(no_mangle)]
extern "C" fn exception(vector: u64, stack: u64, link: u64) -> ! {
    let syndrome = system_register!("esr_el1");
    let (at, address) = (system_register!("elr_el1"), system_register!("far_el1"));
    let what = kind(syndrome >> 26 & 0x3F);
    fail(format_args!(
        "{what} at {at:#x} (address {address:#x}, syndrome {syndrome:#x}, vector {vector}, stack \
         {stack:#x}, called from {link:#x})"
    ))
}

/// DDI 0487, D17.2.37: exception classes that a program without others can meet.
fn kind(class: u64) -> &'static str {
    match class {
        0x00 => "undefined instruction",
        0x07 => "floating point that is off",
        0x0E => "illegal state",
        0x15 => "system call",
        0x18 => "system register that is not there",
        0x20 | 0x21 => "jump to where nothing is mapped",
        0x22 => "misaligned program counter",
        0x24 | 0x25 => "access to where nothing is mapped",
        0x26 => "misaligned stack",
        0x2C => "floating point trap",
        0x2F => "system error",
        0x3C => "breakpoint",
        _ => "exception",
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let place: &dyn Display = match info.location() {
        Some(location) => location,
        None => &"an unknown place",
    };
    fail(format_args!("panic at {place}: {}", info.message()))
}

/// Says what happened and starts the board again.
fn fail(what: Arguments<'_>) -> ! {
    mask_interrupts();
    if !FAILED.swap(true, Ordering::Relaxed) {
        println!("\nerror: core {}: {what} (the board starts again)", core_number());
        console::flush();
        log::error!("core {=usize} failed at {=u64:x}", core_number(), system_register!("elr_el1"));
        power::exit(1);
        timer::wait_until(PAUSE, || false);
        if let Some(board) = board::this() {
            // SAFETY: the board's table says where.
            unsafe { power::reset(board.reset) };
        }
    }
    loop {
        wait_for_event();
    }
}
