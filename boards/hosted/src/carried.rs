//! A model that came with the program: behind it in one file, or beside it under its name.
#![allow(unsafe_code)]

use std::ffi::OsString;
use std::fs;
use std::ops::Range;
use std::path::PathBuf;

use oarlock_convert::image::mark::{self, MARK_BYTES};

use crate::errors::{Outcome, fault, file_fault};

/// Where a model lies: a file, or a part of one.
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// The part, where the file is not all model.
    pub part: Option<Range<u64>>,
}

/// What `oarlock-convert image` writes over.
#[used]
static MARK: [u8; MARK_BYTES] = mark::NOTHING;

/// The mark as it stands in the running program.
fn mark() -> [u8; MARK_BYTES] {
    // SAFETY: an ordinary read of a static. Volatile, since a compiler that sees what it is
    // here would not look at what it has become.
    unsafe { (&raw const MARK).read_volatile() }
}

/// The model that came with this program, if one did (`oarlock-convert image`).
pub fn model() -> Outcome<Option<Place>> {
    let program = std::env::current_exe();
    match (mark::read(&mark()), program) {
        (Ok(None), Ok(program)) => Ok(beside(program)),
        // A program need not know where it lies to run.
        (Ok(None), Err(_)) => Ok(None),
        (Ok(Some(part)), Ok(program)) => behind(program, part).map(Some),
        (Ok(Some(_)), Err(error)) => Err(file_fault("this program".as_ref(), &error)),
        (Err(mark::Damaged), program) => {
            let program = program.unwrap_or_else(|_| "this program".into());
            Err(fault(program.display(), "it is damaged", "copy it again, or make it anew"))
        }
    }
}

/// The model at `part` of the program's file, all of which must be there.
fn behind(program: PathBuf, part: Range<u64>) -> Outcome<Place> {
    let len = fs::metadata(&program).map_err(|e| file_fault(&program, &e))?.len();
    if len < part.end {
        let what = format!("its end is missing: {len} of {} bytes are here", part.end);
        return Err(fault(program.display(), what, "copy it again, all of it"));
    }
    Ok(Place { path: program, part: Some(part) })
}

/// `PROGRAM.oar`, if there is one.
fn beside(program: PathBuf) -> Option<Place> {
    let mut name = OsString::from(program.file_name()?);
    name.push(".oar");
    let path = program.with_file_name(name);
    path.is_file().then_some(Place { path, part: None })
}
