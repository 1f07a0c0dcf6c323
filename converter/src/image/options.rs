//! Choices of whoever makes an image, and what came of them.

use std::path::PathBuf;

use super::board::Board;

/// The parts of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageOptions {
    /// The board it is to run on.
    pub board: Board,
    /// The `.oar` file.
    pub model: PathBuf,
    /// The board's `oarlock`; else the one that was built beside this converter.
    pub program: Option<PathBuf>,
    /// The file (for [`Board::Apple`], and a card without firmware: the folder) to write.
    pub out: PathBuf,
    /// Wishes that only [`Board::RaspberryPi`] knows; else the default.
    pub card: CardOptions,
}

/// Wishes for the card of a board without an operating system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CardOptions {
    /// The folder of the firmware's files; then a whole disk is written.
    pub firmware: Option<PathBuf>,
    /// Tokens that the cache holds; else as [`oarlock::Options::for_model`] has it.
    pub context: Option<usize>,
    /// MiB of memory that the board has; else 1024.
    pub memory_mib: Option<u64>,
}

/// The outcome of making an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageReport {
    /// MiB of memory that the board must have; known for [`Board::RaspberryPi`] alone.
    pub memory_mib: Option<u64>,
}
