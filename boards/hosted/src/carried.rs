//! A model that came with the program: behind it in one file, or beside it under its name.

use std::ffi::OsString;
use std::fs::File;
use std::ops::Range;
use std::path::PathBuf;

use oarlock_convert::image::appended;

/// Where a model lies: a file, or a part of one.
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// The part, where the file is not all model.
    pub part: Option<Range<u64>>,
}

/// The model that came with this program, if one did (`oarlock-convert image`).
///
/// What cannot be read carries nothing: a program need not be readable to run.
pub fn model() -> Option<Place> {
    let program = std::env::current_exe().ok()?;
    if let Ok(Some(part)) = File::open(&program).and_then(|mut file| appended(&mut file)) {
        return Some(Place { path: program, part: Some(part) });
    }
    let mut name = OsString::from(program.file_name()?);
    name.push(".oar");
    let path = program.with_file_name(name);
    path.is_file().then_some(Place { path, part: None })
}
