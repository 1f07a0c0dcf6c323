//! The console's UART: Arm PrimeCell PL011 (DDI 0183), 115,200 baud, 8N1.

use crate::registers::Registers;

/// Register offsets, DDI 0183 section 3.2.
const DATA: usize = 0x00;
const FLAGS: usize = 0x18;
const BAUD_INTEGER: usize = 0x24;
const BAUD_FRACTION: usize = 0x28;
const LINE_CONTROL: usize = 0x2C;
const CONTROL: usize = 0x30;
const FIFO_LEVELS: usize = 0x34;
const INTERRUPT_MASK: usize = 0x38;
const INTERRUPT_CLEAR: usize = 0x44;

/// Bits of FLAGS.
const BUSY: u32 = 1 << 3;
const RECEIVE_EMPTY: u32 = 1 << 4;
const TRANSMIT_FULL: u32 = 1 << 5;

/// A bit beside the data: section 3.3.1.
const OVERRUN: u32 = 1 << 11;
/// Interrupts.
const RECEIVED: u32 = 1 << 4 | 1 << 6;

const BAUD: u32 = 115_200;

/// A PL011.
#[derive(Clone, Copy, Debug)]
pub struct Pl011(Registers);

impl Pl011 {
    /// The UART with these registers.
    pub const fn new(registers: Registers) -> Self {
        Self(registers)
    }

    /// Sets it up; without a clock it keeps the baud rate that it has.
    pub fn start(self, clock: Option<u32>) {
        while self.0.read(FLAGS) & BUSY != 0 {}
        self.0.write(CONTROL, 0);
        if let Some(clock) = clock {
            // In 64ths, rounded: section 3.3.6.
            let divisor = (u64::from(clock) * 4 + u64::from(BAUD / 2)) / u64::from(BAUD);
            let divisor = divisor as u32;
            self.0.write(BAUD_INTEGER, divisor >> 6);
            self.0.write(BAUD_FRACTION, divisor & 0x3F);
        }
        self.0.write(LINE_CONTROL, 3 << 5 | 1 << 4); // 8 bits, FIFOs
        self.0.write(FIFO_LEVELS, 0); // received: told at 2 of 16, so 14 more find room
        self.0.write(INTERRUPT_CLEAR, 0x7FF);
        self.listen(true);
        self.0.write(CONTROL, 1 << 9 | 1 << 8 | 1); // receive, transmit, on
    }

    /// Sends a byte, once there is room.
    pub fn put(self, byte: u8) {
        while self.0.read(FLAGS) & TRANSMIT_FULL != 0 {}
        self.0.write(DATA, u32::from(byte));
    }

    /// A byte that was received, if one was, and whether others before it found no room.
    pub fn get(self) -> Option<(u8, bool)> {
        if self.0.read(FLAGS) & RECEIVE_EMPTY != 0 {
            return None;
        }
        let data = self.0.read(DATA);
        Some((data as u8, data & OVERRUN != 0))
    }

    /// Returns when the last bit is on the wire.
    pub fn flush(self) {
        while self.0.read(FLAGS) & BUSY != 0 {}
    }

    /// Whether what is received interrupts: bytes, or bytes and then silence.
    pub fn listen(self, on: bool) {
        self.0.write(INTERRUPT_MASK, if on { RECEIVED } else { 0 });
    }

    /// Ends the interrupt. Before the bytes are read: one that comes meanwhile brings another.
    pub fn acknowledge(self) {
        self.0.write(INTERRUPT_CLEAR, RECEIVED);
    }
}
