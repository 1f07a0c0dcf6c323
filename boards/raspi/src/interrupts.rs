//! The one interrupt there is: the console has received something.
#![allow(unsafe_code)]

use crate::board::Interrupts;
use crate::registers::Registers;

/// BCM2835 ARM Peripherals section 7.5: enables of the second word of the GPU's interrupts.
const LEGACY_ENABLE_2: usize = 0x14;

/// GIC-400: Arm IHI 0048, chapters 4.3 (distributor) and 4.4 (interface of a core).
const DISTRIBUTOR_CONTROL: usize = 0x000;
const SET_ENABLE: usize = 0x100;
const PRIORITY: usize = 0x400;
const TARGETS: usize = 0x800;
const CORE_CONTROL: usize = 0x00;
const CORE_MASK: usize = 0x04;
const ACKNOWLEDGE: usize = 0x0C;
const END: usize = 0x10;

/// Routes the console's interrupt to this core, which is the first.
///
/// # Safety
/// The controller is where the board's table says.
pub unsafe fn enable(interrupts: Interrupts) {
    match interrupts {
        Interrupts::Legacy(base, number) => {
            // SAFETY: as the caller promises. Those of the GPU go to the first core (QA7, 4.3).
            let controller = unsafe { Registers::at(base) };
            controller.write(LEGACY_ENABLE_2, 1 << (number - 32));
        }
        Interrupts::Gic(distributor, core, number) => {
            // SAFETY: as the caller promises.
            let (all, own) = unsafe { (Registers::at(distributor), Registers::at(core)) };
            let index = number as usize;
            all.write_byte(PRIORITY + index, 0x80);
            all.write_byte(TARGETS + index, 1);
            all.write(SET_ENABLE + index / 32 * 4, 1 << (index % 32));
            all.write(DISTRIBUTOR_CONTROL, 1);
            own.write(CORE_MASK, 0xFF);
            own.write(CORE_CONTROL, 1);
        }
    }
}

/// Runs `handle` as the answer to an interrupt.
///
/// # Safety
/// As [`enable`], which was called before.
pub unsafe fn answer(interrupts: Interrupts, handle: impl FnOnce()) {
    match interrupts {
        // Ends when the UART says so.
        Interrupts::Legacy(..) => handle(),
        Interrupts::Gic(_, core, number) => {
            // SAFETY: as the caller promises.
            let own = unsafe { Registers::at(core) };
            let acknowledged = own.read(ACKNOWLEDGE);
            if acknowledged & 0x3FF == number {
                handle();
                own.write(END, acknowledged);
            }
        }
    }
}
