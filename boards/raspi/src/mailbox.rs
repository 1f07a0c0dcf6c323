//! Asking the firmware: the property channel of the mailbox.
//!
//! <https://github.com/raspberrypi/firmware/wiki/Mailbox-property-interface>, and
//! <https://github.com/raspberrypi/firmware/wiki/Accessing-mailboxes> for the registers. Every
//! question may go unanswered, and then the board does without.
#![allow(unsafe_code)]

use crate::registers::{Registers, clean_and_invalidate};
use crate::timer::wait_until;

/// Offsets: mailbox 0 is read, mailbox 1 written.
const READ: usize = 0x00;
const STATUS_0: usize = 0x18;
const WRITE: usize = 0x20;
const STATUS_1: usize = 0x38;
const EMPTY: u32 = 1 << 30;
const FULL: u32 = 1 << 31;

const PROPERTIES: u32 = 8;
const ANSWERED: u32 = 1 << 31;
/// The firmware sees memory past its own cache from here.
const UNCACHED: u32 = 0xC000_0000;
const PATIENCE: u64 = 100_000;

/// Clocks by their numbers.
const UART: u32 = 2;
const ARM: u32 = 3;
const CORE: u32 = 4;

/// The mailbox.
#[derive(Clone, Copy, Debug)]
pub struct Mailbox(Registers);

/// A question and its answer, on cache lines that hold nothing else.
#[repr(C, align(64))]
struct Message([u32; 16]);

impl Mailbox {
    /// The mailbox with these registers.
    pub const fn new(registers: Registers) -> Self {
        Self(registers)
    }

    /// The revision code of the board.
    pub fn revision(self) -> Option<u32> {
        self.ask(0x0001_0002, [0; 2]).map(|[revision, _]| revision)
    }

    /// Start and length of the memory that is ours.
    pub fn arm_memory(self) -> Option<[u32; 2]> {
        self.ask(0x0001_0005, [0; 2])
    }

    /// Start and length of the memory that is the firmware's.
    pub fn gpu_memory(self) -> Option<[u32; 2]> {
        self.ask(0x0001_0006, [0; 2])
    }

    /// Thousandths of a degree Celsius.
    pub fn temperature(self) -> Option<u32> {
        self.ask(0x0003_0006, [0; 2]).map(|[_, milli]| milli)
    }

    /// Hertz of the clock that the mini UART divides.
    pub fn core_clock(self) -> Option<u32> {
        self.clock(0x0003_0002, CORE)
    }

    /// Hertz of the cores, after they were told to run as fast as they may: without an
    /// operating system nobody else does.
    pub fn arm_clock_at_most(self) -> Option<u32> {
        let most = self.clock(0x0003_0004, ARM)?;
        self.set_clock(ARM, most)
    }

    /// Sets the clock that the console divides; hertz that it then has.
    pub fn set_uart_clock(self, hertz: u32) -> Option<u32> {
        self.set_clock(UART, hertz)
    }

    fn clock(self, tag: u32, clock: u32) -> Option<u32> {
        self.ask(tag, [clock, 0]).map(|[_, hertz]| hertz).filter(|&hertz| hertz > 0)
    }

    fn set_clock(self, clock: u32, hertz: u32) -> Option<u32> {
        self.ask(0x0003_8002, [clock, hertz, 0]).map(|[_, hertz, _]| hertz).filter(|&h| h > 0)
    }

    /// Sends one tag with its values and gives what came in their place.
    fn ask<const N: usize>(self, tag: u32, values: [u32; N]) -> Option<[u32; N]> {
        let mut message = Message([0; 16]);
        // Length and request; then the tag, the room for values, and whether it is answered.
        let head = [64, 0, tag, 4 * N as u32, 0];
        let words = head.into_iter().chain(values);
        message.0.iter_mut().zip(words).for_each(|(place, word)| *place = word);
        clean_and_invalidate(&message);
        // Memory below 1 GiB, where the stack is.
        let place = core::ptr::from_mut(&mut message).expose_provenance() as u32;
        self.exchange(place | UNCACHED | PROPERTIES)?;
        clean_and_invalidate(&message);
        // SAFETY: the message is ours again; the compiler must not know what it had put there.
        let answer = unsafe { core::ptr::from_ref(&message.0).read_volatile() };
        let [_, status, _, _, answered, rest @ ..] = answer;
        let done = status == ANSWERED && answered & ANSWERED != 0;
        rest.first_chunk().copied().filter(|_| done)
    }

    fn exchange(self, letter: u32) -> Option<()> {
        let ready = |empty: bool| empty.then_some(());
        ready(wait_until(PATIENCE, || self.0.read(STATUS_1) & FULL == 0))?;
        self.0.write(WRITE, letter);
        // Answers to others would be skipped; nobody else asks.
        ready(wait_until(PATIENCE, || {
            self.0.read(STATUS_0) & EMPTY == 0 && self.0.read(READ) == letter
        }))
    }
}
