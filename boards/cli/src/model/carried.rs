//! A model that came with the program: behind it in one file, or beside it under its name.
#![allow(unsafe_code)]

use std::ffi::OsString;
use std::path::PathBuf;

use oarlock_convert::Shown;
use oarlock_convert::image::mark::{self, MARK_BYTES};
use oarlock_hosted::ModelFile;

use crate::terminal::errors::{Outcome, fault, file_fault};

/// A mark that `oarlock-convert image` writes over.
#[used]
static MARK: [u8; MARK_BYTES] = mark::NOTHING;

/// The mark as it stands in the running program.
fn mark() -> [u8; MARK_BYTES] {
    // SAFETY: an ordinary read of a static. Volatile, since a compiler that sees what it is
    // here would not look at what it has become.
    unsafe { (&raw const MARK).read_volatile() }
}

/// The model that came with this program, if one did (`oarlock-convert image`).
pub fn model() -> Outcome<Option<ModelFile>> {
    let program = std::env::current_exe();
    match (mark::read(&mark()), program) {
        (Ok(None), Ok(program)) => Ok(beside(program).map(ModelFile::open).transpose()?),
        // A program need not know where it lies to run.
        (Ok(None), Err(_)) => Ok(None),
        (Ok(Some(part)), Ok(program)) => Ok(Some(ModelFile::open_part(program, part)?)),
        (Ok(Some(_)), Err(error)) => Err(file_fault("this program".as_ref(), &error)),
        (Err(mark::Damaged), program) => {
            let program = program.unwrap_or_else(|_| "this program".into());
            Err(fault(program.shown(), "it is damaged", "copy it again, or make it anew"))
        }
    }
}

/// `PROGRAM.oar`, if there is one.
fn beside(program: PathBuf) -> Option<PathBuf> {
    let mut name = OsString::from(program.file_name()?);
    name.push(".oar");
    Some(program.with_file_name(name)).filter(|path| path.is_file())
}
