//! The console: text out, bytes in.
//!
//! Text goes out as it comes, the caller waiting for the wire. Bytes come in by interrupt,
//! into a queue that holds what is typed or pasted while the board computes: at 115,200 baud
//! the UART's own 16 bytes are full in 1.4 ms, which a chunk of a prompt takes many times.
#![allow(unsafe_code)]

use core::cell::UnsafeCell;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use heapless::spsc::{Consumer, Producer, Queue};
use oarlock::visible::VisibleStream;

use crate::board::{Board, Interrupts};
use crate::mailbox::Mailbox;
use crate::pl011::Pl011;
use crate::registers::{self, Registers};
use crate::{gpio, interrupts};
use oarlock_raspi::line::INTERRUPT;

/// Bytes that wait to be read.
const WAITING: usize = 8192;

/// Address of the UART; 0 until it is set up.
static UART: AtomicUsize = AtomicUsize::new(0);
/// Number of Ctrl-C that wait in the queue.
static INTERRUPTS: AtomicUsize = AtomicUsize::new(0);
/// Whether one found no room there.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// Times that bytes found no room.
static LOST: AtomicUsize = AtomicUsize::new(0);
/// Whether an answer is being given: then nobody reads, and a full queue must not hide a
/// Ctrl-C behind it.
static ANSWERING: AtomicBool = AtomicBool::new(false);
/// Whether bytes are left in the UART until there is room.
static PAUSED: AtomicBool = AtomicBool::new(false);

/// A value that belongs to the first core alone: to its interrupt, or to what it interrupts.
struct OfFirstCore<T>(UnsafeCell<T>);

// SAFETY: each is used by one context of one core only, as the fields of `Input` say.
unsafe impl<T> Sync for OfFirstCore<T> {}

static QUEUE: OfFirstCore<Queue<u8, WAITING>> = OfFirstCore(UnsafeCell::new(Queue::new()));
/// Used in the interrupt, and before there are any.
static IN: OfFirstCore<Option<(Producer<'static, u8>, Interrupts)>> =
    OfFirstCore(UnsafeCell::new(None));
/// Used outside of the interrupt.
static OUT: OfFirstCore<Option<Consumer<'static, u8>>> = OfFirstCore(UnsafeCell::new(None));

/// Sets the console up. Called once, before interrupts are let in.
pub fn start(board: &Board, mailbox: Mailbox) {
    if let Some(address) = board.gpio {
        // SAFETY: the board's table says that pins are here.
        gpio::connect_console(unsafe { Registers::at(address) });
    }
    let clock = board.uart_clock.map(|hertz| mailbox.set_uart_clock(hertz).unwrap_or(hertz));
    UART.store(board.uart, Ordering::Relaxed);
    uart().start(clock);
    // SAFETY: called once, and nothing else uses these yet.
    unsafe {
        let (producer, consumer) = (*QUEUE.0.get()).split();
        *IN.0.get() = Some((producer, board.interrupts));
        *OUT.0.get() = Some(consumer);
        interrupts::enable(board.interrupts);
    }
    registers::unmask_interrupts();
}

/// Whether there is a console yet.
pub fn is_there() -> bool {
    UART.load(Ordering::Relaxed) != 0
}

fn uart() -> Pl011 {
    // SAFETY: the address is that of the board's table; callers come after `start`, or have
    // asked `is_there`.
    Pl011::new(unsafe { Registers::at(UART.load(Ordering::Relaxed)) })
}

/// Takes an interrupt: what the UART has received goes into the queue.
#[unsafe(no_mangle)]
extern "C" fn interrupt() {
    // SAFETY: interrupts come to the first core alone and do not nest.
    let Some((producer, interrupts)) = (unsafe { &mut *IN.0.get() }) else { return };
    // SAFETY: they were enabled by these.
    unsafe { interrupts::answer(*interrupts, || drain(producer)) };
}

/// Empties the UART, or fills the queue.
fn drain(producer: &mut Producer<'static, u8>) {
    uart().acknowledge();
    let answering = ANSWERING.load(Ordering::Relaxed);
    while answering || producer.ready() {
        let Some((byte, overrun)) = uart().get() else { break };
        let full = producer.enqueue(byte).is_err();
        match (byte, full) {
            (INTERRUPT, true) => INTERRUPTED.store(true, Ordering::Relaxed),
            (INTERRUPT, false) => drop(INTERRUPTS.fetch_add(1, Ordering::Relaxed)),
            _ => {}
        }
        LOST.fetch_add(usize::from(full || overrun), Ordering::Relaxed);
    }
    let paused = !answering && !producer.ready();
    PAUSED.store(paused, Ordering::Relaxed);
    uart().listen(!paused);
}

/// The next byte, if one waits. Interrupts are masked.
fn take() -> Option<u8> {
    // SAFETY: nobody but the prompt reads, and no reference to the consumer is kept.
    let consumer = unsafe { (*OUT.0.get()).as_mut()? };
    if !consumer.ready() && PAUSED.load(Ordering::Relaxed) {
        // SAFETY: the interrupt, which uses this too, is masked.
        if let Some((producer, _)) = unsafe { &mut *IN.0.get() } {
            drain(producer);
        }
    }
    let byte = consumer.dequeue();
    INTERRUPTS.fetch_sub(usize::from(byte == Some(INTERRUPT)), Ordering::Relaxed);
    byte
}

/// Waits for a byte. Only for the prompt, on the first core.
pub fn read() -> u8 {
    loop {
        // Masked, so that a byte which comes between the look and the sleep still wakes it:
        // an interrupt ends the sleep whether it is masked or not.
        registers::mask_interrupts();
        let byte = take();
        if byte.is_none() {
            registers::wait_for_interrupt();
        }
        registers::unmask_interrupts();
        if let Some(byte) = byte {
            return byte;
        }
    }
}

/// From here on Ctrl-C is for the answer that begins; one that waits already is too, since
/// nobody reads on meanwhile.
pub fn begin_answer() {
    ANSWERING.store(true, Ordering::Relaxed);
}

/// Whether Ctrl-C was typed behind the message that is being answered.
pub fn interrupted() -> bool {
    INTERRUPTS.load(Ordering::Relaxed) > 0 || INTERRUPTED.load(Ordering::Relaxed)
}

/// The answer has ended. What was typed up to a Ctrl-C was meant for it; all of it, if the
/// Ctrl-C came behind a full queue.
pub fn end_answer() {
    ANSWERING.store(false, Ordering::Relaxed);
    registers::mask_interrupts();
    let all = INTERRUPTED.swap(false, Ordering::Relaxed);
    if interrupted() || all {
        while take().is_some_and(|byte| byte != INTERRUPT || all) {}
    }
    registers::unmask_interrupts();
}

/// Counts how often bytes were lost since this was last asked.
pub fn lost() -> usize {
    LOST.swap(0, Ordering::Relaxed)
}

/// Writes bytes as they are, but for line ends, which a terminal wants in two.
pub fn put(bytes: &[u8]) {
    if !is_there() {
        return;
    }
    for &byte in bytes {
        if byte == b'\n' {
            uart().put(b'\r');
        }
        uart().put(byte);
    }
}

/// Returns when everything is on the wire.
pub fn flush() {
    if is_there() {
        uart().flush();
    }
}

/// A writer for the macros. Names of a model's file and words of `cmdline.txt` go through it, so
/// what a terminal would obey is spelled out.
pub struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let (mut stream, show) = (VisibleStream::new(), &mut |text: &str| put(text.as_bytes()));
        stream.push(text, show);
        stream.finish(show);
        Ok(())
    }
}

/// Prints to the console.
macro_rules! print {
    ($($part:tt)*) => {{
        let _ = core::fmt::Write::write_fmt(&mut $crate::console::Console, format_args!($($part)*));
    }};
}
pub(crate) use print;

/// Prints a line to the console.
macro_rules! println {
    () => { $crate::console::print!("\n") };
    ($($part:tt)*) => { $crate::console::print!("{}\n", format_args!($($part)*)) };
}
pub(crate) use println;
