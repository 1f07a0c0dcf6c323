//! Prints the defmt frames in a file of bytes from the board's second UART, one a line:
//! `frames KERNEL8.elf LOG`. A frame that cannot be decoded is an error.

use anyhow::{Context, Result, ensure};
use defmt_decoder::{DecodeError, Table};

fn main() -> Result<()> {
    let mut args = std::env::args_os().skip(1);
    let mut file = || args.next().context("usage: frames KERNEL8 LOG");
    let (program, log) = (std::fs::read(file()?)?, std::fs::read(file()?)?);
    let table = Table::parse(&program)?.context("the program has no .defmt section")?;
    let mut decoder = table.new_stream_decoder();
    decoder.received(&log);
    let mut frames = 0;
    loop {
        match decoder.decode() {
            Ok(frame) => println!("{}", frame.display(false)),
            // The log ends here, or in the middle of a frame.
            Err(DecodeError::UnexpectedEof) => break,
            Err(DecodeError::Malformed) => anyhow::bail!("frame {frames} is malformed"),
        }
        frames += 1;
    }
    ensure!(frames > 0, "no frames in {} bytes", log.len());
    Ok(())
}
