//! Images: a program and a model as one thing that is copied onto a machine and runs.
//!
//! For Linux that is one executable with the model behind it, which the program maps where
//! it lies. A Mac's signature covers the whole of an executable, so there it is a folder
//! with both. A Raspberry Pi without an operating system has the boot partition of a card.
//! Nothing else goes in: the same files give the same bytes.

mod apple;
mod board;
mod copy;
mod fat;
mod folder;
mod kernel;
mod linux;
pub mod mark;
mod model;
mod options;
mod raspi;
mod unfit;

pub use board::Board;
pub use options::{CardOptions, ImageOptions, ImageReport};

use crate::error::{Error, Result};
use crate::map::map;
use crate::output::refuse_inputs;
use crate::progress::Progress;
use copy::bytes;
use model::open_model;

/// Makes an image.
///
/// # Errors
/// If program or model are not what they should be, the board is too small, or the output
/// cannot be written.
pub fn image(options: &ImageOptions, progress: &dyn Progress) -> Result<ImageReport> {
    let ImageOptions { board, model, out, .. } = options;
    if *board != Board::RaspberryPi && options.card != CardOptions::default() {
        let what = "--firmware, --context and --memory are for raspi alone";
        return Err(Error::new(format!("--board {}", board.name()), what, "leave them out"));
    }
    let program = match &options.program {
        Some(program) => program.clone(),
        None => board.find_program()?,
    };
    refuse_inputs(out, [&*program, model].into_iter())?;
    board.check(&program)?;
    open_model(model, &map(model)?)?;
    progress.writing();
    if *board == Board::RaspberryPi {
        return raspi::image(options, &program, progress);
    }
    progress.start(bytes(&program)? + bytes(model)?);
    match board {
        Board::Apple => apple::folder(&program, model, out, progress)?,
        _ => linux::executable(&program, model, out, progress)?,
    }
    Ok(ImageReport { memory_mib: None })
}
