//! Pins: GPIO 14 and 15 (8 and 10 of the header) become the console.
//!
//! BCM2835 ARM Peripherals section 6.1, BCM2711 section 5.2: three bits of a function select
//! register for a pin. The firmware may give these two to the mini UART, and the PL011 to the
//! Bluetooth chip; alternate function 0 takes it back.

use crate::registers::Registers;

const SELECT_1: usize = 0x04;
const ALTERNATE_0: u32 = 0b100;

/// Connects the header's UART pins with the PL011.
pub fn connect_console(gpio: Registers) {
    let (sends, receives) = (3 * (14 - 10), 3 * (15 - 10));
    let others = gpio.read(SELECT_1) & !(7 << sends | 7 << receives);
    gpio.write(SELECT_1, others | ALTERNATE_0 << sends | ALTERNATE_0 << receives);
}
