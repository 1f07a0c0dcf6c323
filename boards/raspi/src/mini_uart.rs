//! The log's UART: the "mini UART" of BCM2835 (ARM Peripherals, section 2.2) and BCM2711.
//!
//! It sends only. Its baud rate hangs on the clock of the GPU's core, which `enable_uart=1` in
//! our config.txt holds still.

use crate::registers::Registers;

/// Offsets from the start of the auxiliary peripherals, section 2.1.
const ENABLES: usize = 0x04;
const DATA: usize = 0x40;
const INTERRUPTS: usize = 0x44;
const FIFO: usize = 0x48;
const LINE_CONTROL: usize = 0x4C;
const LINE_STATUS: usize = 0x54;
const CONTROL: usize = 0x60;
const BAUD: usize = 0x68;

const TRANSMIT_ROOM: u32 = 1 << 5;

/// A mini UART.
#[derive(Clone, Copy, Debug)]
pub struct MiniUart(Registers);

impl MiniUart {
    /// The UART with these registers.
    pub const fn new(registers: Registers) -> Self {
        Self(registers)
    }

    /// Sets it up to send at 115,200 baud from a clock of so many hertz.
    pub fn start(self, clock: u32) {
        self.0.write(ENABLES, self.0.read(ENABLES) | 1);
        self.0.write(CONTROL, 0);
        self.0.write(INTERRUPTS, 0);
        self.0.write(LINE_CONTROL, 3); // 8 bits: errata of section 2.2.2
        self.0.write(FIFO, 6); // emptied
        self.0.write(BAUD, (clock / (8 * 115_200)).saturating_sub(1)); // section 2.2.1
        self.0.write(CONTROL, 2); // send
    }

    /// Sends a byte, once there is room.
    pub fn put(self, byte: u8) {
        while self.0.read(LINE_STATUS) & TRANSMIT_ROOM == 0 {}
        self.0.write(DATA, u32::from(byte));
    }
}
