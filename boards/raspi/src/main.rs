//! A Raspberry Pi that boots straight into a chat: no operating system, no heap, no C.
//!
//! The way from power to prompt:
//!
//! ```text
//! boot.s        one exception level, floating point, a first map, caches   vectors.s
//! run           below: the story in order
//!   board       which Pi this is: one table, chosen by the core's name
//!   console     PL011: prints, and keeps what is typed while the board computes
//!   log         the same story as defmt frames on the second UART
//!   firmware    what the device tree and the mailbox tell: memory, words, model
//!   mmu         all memory mapped and cached
//!   scratch     the largest memory that is free
//!   cores       the other three, parked until a region is to be run in parts
//!   model       found, checked, run where it lies
//!   prompt      lines in, answers out, for ever
//! ```
//!
//! Nothing is freed and nothing ends: whatever goes wrong before the prompt is said there,
//! and a fault of the program is told on the console before the board starts again.
#![no_std]
#![no_main]

mod board;
mod boot;
mod chat;
mod console;
mod cores;
mod exceptions;
mod firmware;
mod gpio;
mod interrupts;
mod log;
mod mailbox;
mod mini_uart;
mod mmu;
mod model;
mod pl011;
mod power;
mod prompt;
mod registers;
mod scratch;
mod shown;
mod timer;

use oarlock::Executor;
use oarlock::set_control_word;
use oarlock_raspi::units::Megabytes;

use board::Board;
use chat::ConsoleChat;
use console::println;
use firmware::Firmware;
use scratch::Scratch;

/// The story in order. `tree` is what the firmware gives in x0, `image` where it has loaded
/// this program (which runs where it is linked).
fn run(tree: usize, image: usize) -> ! {
    set_control_word();
    timer::start();
    let Some(board) = board::this() else {
        // A board that nobody knows has no console to say so on.
        loop {
            registers::wait_for_event();
        }
    };
    let mut firmware = Firmware::ask(board, tree);
    console::start(board, firmware.mailbox);
    log::start(board, firmware.mailbox);
    mmu::map(&firmware.memory);
    greet(board, &firmware);
    let place = model::find(&firmware, image);
    let mut scratch = Scratch::claim(&mut firmware.memory, place.as_ref());
    let wanted = firmware.flags().cores.unwrap_or(cores::MAX_CORES);
    let cores = cores::start(board, &mut scratch, wanted);
    log::info!("{=usize} cores", cores.threads());
    let chat = place
        .ok_or(model::NONE)
        .and_then(|place| model::open(place, cores))
        .and_then(|model| ConsoleChat::new(model, &firmware, cores, scratch));
    log::info!("prompt after {=u64} us", timer::micros());
    prompt::run(board, &firmware, chat)
}

/// Says what the board is.
fn greet(board: &Board, firmware: &Firmware) {
    let name = firmware.tree.and_then(|tree| tree.model()).unwrap_or(board.name);
    println!("\nOarlock {} on {}", env!("CARGO_PKG_VERSION"), name);
    let hertz = firmware.arm_clock.unwrap_or_default();
    let revision = firmware.revision.unwrap_or_default();
    println!(
        "{} of memory, revision {revision:x}, cores at {} MHz",
        Megabytes(firmware.memory.bytes()),
        hertz / 1_000_000
    );
    firmware.read_flags(&mut |error| println!("warning: {error}"));
    log::info!("board {=str}, revision {=u32:x}, {=u32} Hz", board.name, revision, hertz);
    for range in firmware.memory.there() {
        log::info!("memory {=usize:x} to {=usize:x}", range.start, range.end);
    }
}
