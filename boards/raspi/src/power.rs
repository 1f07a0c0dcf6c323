//! Starting again, and ending where a debugger or an emulator listens.
#![allow(unsafe_code)]

use core::arch::asm;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::board::Reset;
use crate::registers::{Registers, wait_for_event};

/// The power manager's registers, as Linux' `drivers/watchdog/bcm2835_wdt.c` uses them: no
/// manual has them.
const RESET_CONTROL: usize = 0x1C;
const WATCHDOG: usize = 0x24;
const PASSWORD: u32 = 0x5A00_0000;
const FULL_RESET: u32 = 0x20;
const RESET_BITS: u32 = 0x30;

const SYSTEM_RESET: u64 = 0x8400_0009;

/// Whether somebody listens for semihosting calls. Without one, such a call is a fault.
static SEMIHOSTING: AtomicBool = AtomicBool::new(false);

/// Somebody listens.
pub fn use_semihosting() {
    SEMIHOSTING.store(true, Ordering::Relaxed);
}

/// Ends the emulation with this code, if there is one; else returns.
pub fn exit(code: u64) {
    if SEMIHOSTING.load(Ordering::Relaxed) {
        // Arm's Semihosting for AArch32 and AArch64, section 7.4 (SYS_EXIT), reason
        // ADP_Stopped_ApplicationExit.
        let block = [0x20026_u64, code];
        // SAFETY: whoever set the flag said that this call is answered; it does not return.
        unsafe { asm!("hlt #0xf000", in("x0") 0x18_u64, in("x1") &raw const block) };
    }
}

/// Starts the board again.
///
/// # Safety
/// The power manager is where `reset` says.
pub unsafe fn reset(reset: Reset) -> ! {
    match reset {
        Reset::Watchdog(base) => {
            // SAFETY: as the caller promises.
            let manager = unsafe { Registers::at(base) };
            let others = manager.read(RESET_CONTROL) & !RESET_BITS & 0xFF_FFFF;
            manager.write(WATCHDOG, PASSWORD | 10); // in units of 16 µs
            manager.write(RESET_CONTROL, PASSWORD | others | FULL_RESET);
        }
        Reset::Psci => {
            psci(SYSTEM_RESET, [0; 3]);
        }
    }
    loop {
        wait_for_event();
    }
}

/// Calls the secure monitor by the SMC Calling Convention (Arm DEN 0028).
pub fn psci(function: u64, [a, b, c]: [u64; 3]) -> i64 {
    let result: u64;
    // SAFETY: boards whose table asks for PSCI have a monitor; it keeps x18 to x30.
    unsafe {
        asm!("smc #0", inout("x0") function => result, inout("x1") a => _, inout("x2") b => _,
            inout("x3") c => _, out("x4") _, out("x5") _, out("x6") _, out("x7") _, out("x8") _,
            out("x9") _, out("x10") _, out("x11") _, out("x12") _, out("x13") _, out("x14") _,
            out("x15") _, out("x16") _, out("x17") _, options(nostack));
    }
    result as i64
}
