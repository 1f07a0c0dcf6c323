//! Copying of files, with progress.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

use crate::error::{Error, Result};
use crate::output::Output;
use crate::progress::Progress;
use crate::replacement::check_regular;

pub(super) fn bytes(path: &Path) -> Result<u64> {
    Ok(fs::metadata(path).map_err(|e| Error::read(path, &e))?.len())
}

fn open(path: &Path) -> Result<File> {
    let opened = check_regular(path).and_then(|()| File::open(path));
    opened.map_err(|e| Error::read(path, &e))
}

/// Appends the file at `from`; gives its length.
pub(super) fn copy(from: &Path, output: &Output, progress: &dyn Progress) -> Result<u64> {
    pour(from, &mut output.file(), output.target(), progress)
}

/// Writes the file at `from` into what becomes `out`; gives its length.
pub(super) fn pour(
    from: &Path,
    into: &mut impl Write,
    out: &Path,
    progress: &dyn Progress,
) -> Result<u64> {
    let (mut source, mut total) = (open(from)?, 0);
    let mut buffer = vec![0; 1 << 20];
    loop {
        if progress.cancelled() {
            return Err(Error::Cancelled);
        }
        let n = source.read(&mut buffer).map_err(|e| Error::read(from, &e))?;
        if n == 0 {
            return Ok(total);
        }
        into.write_all(&buffer[..n]).map_err(|e| Error::write(out, &e))?;
        total += n as u64;
        progress.advance(n as u64);
    }
}
