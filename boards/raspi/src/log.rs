//! The log: defmt frames on the second UART, rzcobs-encoded
//! (<https://defmt.ferrous-systems.com/encoding>). Their texts stay in the ELF file, so a
//! frame is a few bytes; `defmt-print -e kernel8` puts both together.
//!
//! Only the first core logs, and its interrupt does not.
#![allow(unsafe_code)]

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::board::Board;
use crate::mailbox::Mailbox;
use crate::mini_uart::MiniUart;
use crate::registers::{Registers, core_number};
use crate::timer;

pub use defmt::{error, info};

/// The clock that the mini UART divides, if the firmware does not say.
const USUAL_CORE_CLOCK: u32 = 250_000_000;

/// Address of the UART; 0 for none.
static UART: AtomicUsize = AtomicUsize::new(0);

/// Sets the log up, where the board has a second UART.
pub fn start(board: &Board, mailbox: Mailbox) {
    if let Some(address) = board.log {
        // SAFETY: the board's table says that a mini UART is here.
        let uart = MiniUart::new(unsafe { Registers::at(address) });
        uart.start(mailbox.core_clock().unwrap_or(USUAL_CORE_CLOCK));
        UART.store(address, Ordering::Relaxed);
    }
}

fn put(bytes: &[u8]) {
    let address = UART.load(Ordering::Relaxed);
    if address != 0 {
        // SAFETY: as in `start`.
        let uart = MiniUart::new(unsafe { Registers::at(address) });
        bytes.iter().for_each(|&byte| uart.put(byte));
    }
}

struct Encoder(UnsafeCell<defmt::Encoder>);

// SAFETY: used only between `acquire` and `release`, of which there is one pair at a time.
unsafe impl Sync for Encoder {}

static ENCODER: Encoder = Encoder(UnsafeCell::new(defmt::Encoder::new()));
/// Whether a frame is being written.
static BUSY: AtomicBool = AtomicBool::new(false);
/// Whether it is written for nobody: by another core, or inside another frame.
static MUTE: AtomicBool = AtomicBool::new(false);

#[defmt::global_logger]
struct Logger;

// SAFETY: one core writes frames, one after the other; what a fault on another core, or one
// inside of a frame, would log is left out, which `MUTE` sees to.
unsafe impl defmt::Logger for Logger {
    fn acquire() {
        if core_number() != 0 || BUSY.swap(true, Ordering::Relaxed) {
            MUTE.store(true, Ordering::Relaxed);
            return;
        }
        // SAFETY: no other frame is being written.
        unsafe { (*ENCODER.0.get()).start_frame(put) };
    }

    unsafe fn flush() {}

    unsafe fn release() {
        if MUTE.swap(false, Ordering::Relaxed) {
            return;
        }
        // SAFETY: as in `acquire`, which came before.
        unsafe { (*ENCODER.0.get()).end_frame(put) };
        BUSY.store(false, Ordering::Relaxed);
    }

    unsafe fn write(bytes: &[u8]) {
        if !MUTE.load(Ordering::Relaxed) {
            // SAFETY: as in `acquire`, which came before.
            unsafe { (*ENCODER.0.get()).write(bytes, put) };
        }
    }
}

defmt::timestamp!("{=u64:us}", timer::micros());
