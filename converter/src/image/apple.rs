//! An image for a Mac: a folder with the program, the model and a page to read.

use std::fs;
use std::path::Path;

use super::copy::copy;
use super::folder::write_folder;
use crate::error::{Error, Result};
use crate::output::Output;
use crate::progress::Progress;

/// The page in the folder.
const README: &str = include_str!("../../../boards/apple/README.txt");

/// `chat`, `chat.oar` and a page to read.
pub(super) fn folder(
    program: &Path,
    model: &Path,
    out: &Path,
    progress: &dyn Progress,
) -> Result<()> {
    write_folder(out, |staging| {
        for (from, name) in [(program, "chat"), (model, "chat.oar")] {
            let mut output = Output::create(&staging.join(name))?;
            copy(from, &output, progress)?;
            if name == "chat" {
                output.make_program();
            }
            output.commit()?;
        }
        fs::write(staging.join("README.txt"), README).map_err(|e| Error::write(out, &e))
    })
}
