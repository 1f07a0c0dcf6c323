//! A table of all that differs between the boards. The image asks the core which it is, and
//! runs on all of them.
//!
//! - Pi 3, Zero 2 W: BCM2837, whose peripherals are those of the *BCM2835 ARM Peripherals*
//!   manual at another address, and *Quad-A7 control* (QA7 rev 3.4) for what belongs to cores.
//!   <https://datasheets.raspberrypi.com/bcm2835/bcm2835-peripherals.pdf>
//! - Pi 4, 400: *BCM2711 ARM Peripherals*, "low peripheral" addresses (section 1.2).
//!   <https://datasheets.raspberrypi.com/bcm2711/bcm2711-peripherals.pdf>
//! - Pi 5, 500: BCM2712 has no public manual; the addresses are those of its device tree
//!   (`arch/arm64/boot/dts/broadcom/bcm2712.dtsi` in Linux). The 40-pin header hangs on RP1
//!   behind PCIe (<https://datasheets.raspberrypi.com/rp1/rp1-peripherals.pdf>), so the
//!   console is the UART of the three-pin debug connector, which is on BCM2712 itself.
//!
//! The addresses and interrupts of Pi 3 and 4 were compared with Linux' device trees
//! (`bcm283x.dtsi` and `bcm2711.dtsi` in `arch/arm/boot/dts/broadcom`), which agree.
#![allow(unsafe_code)]

use core::ops::Range;

use crate::registers::system_register;

/// One kind of board.
#[derive(Debug)]
pub struct Board {
    /// The name that people know.
    pub name: &'static str,
    /// The part number of its cores in MIDR_EL1.
    part: u64,
    /// Addresses of devices, where there is no memory.
    pub devices: Range<usize>,
    /// The console: a PL011, and the clock that firmware drives it with, where that is to be
    /// set. BCM2835 section 13, BCM2711 section 11.
    pub uart: usize,
    /// Hertz; `None` leaves the baud rate as the firmware has set it.
    pub uart_clock: Option<u32>,
    /// The log: a mini UART. BCM2835 and BCM2711 section 2.
    pub log: Option<usize>,
    /// Pins. BCM2835 section 6, BCM2711 section 5.
    pub gpio: Option<usize>,
    /// The mailbox of the firmware:
    /// <https://github.com/raspberrypi/firmware/wiki/Mailbox-property-interface>.
    pub mailbox: usize,
    /// The interrupt that tells the core of a received byte.
    pub interrupts: Interrupts,
    /// The way in which the other cores are started.
    pub release: Release,
    /// The way in which the board starts again.
    pub reset: Reset,
}

/// An interrupt controller, and the number that the console has there.
#[derive(Clone, Copy, Debug)]
pub enum Interrupts {
    /// BCM2835 section 7: registers, number among the interrupts of the GPU.
    Legacy(usize, u32),
    /// GIC-400 (Arm DDI 0471): distributor, interface of the core, number.
    Gic(usize, usize, u32),
}

/// A way to call cores that sleep in the firmware.
#[derive(Clone, Copy, Debug)]
pub enum Release {
    /// Cores read their entry from a table at 0xD8 (`armstub8.S` of the firmware's tools).
    SpinTable,
    /// PSCI's `CPU_ON` (Arm DEN 0022), as Trusted Firmware on the Pi 5 has it.
    Psci,
}

/// A way to reset the board.
#[derive(Clone, Copy, Debug)]
pub enum Reset {
    /// The watchdog of the power manager at this address (Linux' `bcm2835_wdt.c`).
    Watchdog(usize),
    /// PSCI's `SYSTEM_RESET`.
    Psci,
}

static BOARDS: [Board; 3] = [
    Board {
        name: "Raspberry Pi 3",
        part: 0xD03, // Cortex-A53
        devices: 0x3F00_0000..0x4100_0000,
        uart: 0x3F20_1000,
        uart_clock: Some(48_000_000),
        log: Some(0x3F21_5000),
        gpio: Some(0x3F20_0000),
        mailbox: 0x3F00_B880,
        interrupts: Interrupts::Legacy(0x3F00_B200, 57),
        release: Release::SpinTable,
        reset: Reset::Watchdog(0x3F10_0000),
    },
    Board {
        name: "Raspberry Pi 4",
        part: 0xD08, // Cortex-A72
        devices: 0xFC00_0000..0x1_0000_0000,
        uart: 0xFE20_1000,
        uart_clock: Some(48_000_000),
        log: Some(0xFE21_5000),
        gpio: Some(0xFE20_0000),
        mailbox: 0xFE00_B880,
        interrupts: Interrupts::Gic(0xFF84_1000, 0xFF84_2000, 32 + 121),
        release: Release::SpinTable,
        reset: Reset::Watchdog(0xFE10_0000),
    },
    Board {
        name: "Raspberry Pi 5",
        part: 0xD0B, // Cortex-A76
        devices: 0x10_0000_0000..0x20_0000_0000,
        uart: 0x10_7D00_1000,
        uart_clock: None,
        log: None,
        gpio: None,
        mailbox: 0x10_7C01_3880,
        interrupts: Interrupts::Gic(0x10_7FFF_9000, 0x10_7FFF_A000, 32 + 121),
        release: Release::Psci,
        reset: Reset::Psci,
    },
];

/// The board that this is; `None` on a core that no board here has.
pub fn this() -> Option<&'static Board> {
    let part = system_register!("midr_el1") >> 4 & 0xFFF;
    BOARDS.iter().find(|board| board.part == part)
}
