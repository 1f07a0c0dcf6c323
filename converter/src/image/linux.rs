//! An image for Linux: one executable with the model behind it.

use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use super::copy::copy;
use super::mark::{self, MODEL_ALIGN};
use crate::error::{Error, Result, Shown};
use crate::map::map;
use crate::output::Output;
use crate::progress::Progress;

/// Finds the mark by which the program can be told that it carries a model.
fn empty_mark(program: &Path) -> Result<u64> {
    let fail = |what, todo| Err(Error::new(program.shown(), what, todo));
    match mark::find(&map(program)?) {
        Some((at, &mark::NOTHING)) => Ok(at as u64),
        Some(_) => fail("it carries a model already", "give the program as it was built"),
        None => fail("not an oarlock that can carry a model", "build it from the same sources"),
    }
}

/// Program with its mark, zeros up to the next page, model.
pub(super) fn executable(
    program: &Path,
    model: &Path,
    out: &Path,
    progress: &dyn Progress,
) -> Result<()> {
    let mark_at = empty_mark(program)?;
    let mut output = Output::create(out)?;
    output.make_program();
    let fail = |e: io::Error| Error::write(output.target(), &e);
    let len = copy(program, &output, progress)?;
    let start = len.next_multiple_of(MODEL_ALIGN);
    output.file().write_all(&vec![0; (start - len) as usize]).map_err(fail)?;
    let end = start + copy(model, &output, progress)?;
    output.file().seek(SeekFrom::Start(mark_at)).map_err(fail)?;
    output.file().write_all(&mark::write(&(start..end))).map_err(fail)?;
    output.commit()
}
