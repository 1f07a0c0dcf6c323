//! Images: a program and a model as one thing that is copied onto a machine and runs.
//!
//! For Linux that is one executable with the model behind it, which the program maps where
//! it lies. A Mac's signature covers the whole of an executable, so there it is a folder
//! with both. A Raspberry Pi without an operating system has the boot partition of a card.
//! Nothing else goes in: the same files give the same bytes.

mod board;
mod fat;
mod fat_names;
mod kernel;
pub mod mark;
mod raspi;

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use oarlock::Model;

pub use board::Board;

use crate::error::{Error, Result};
use crate::map::map;
use crate::output::{Output, refuse_inputs};
use crate::progress::Progress;
use mark::MODEL_ALIGN;

/// What to make an image of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageOptions {
    /// Where it is to run.
    pub board: Board,
    /// The `.oar` file.
    pub model: PathBuf,
    /// The board's `oarlock`; else the one that was built beside this converter.
    pub program: Option<PathBuf>,
    /// The file (for [`Board::Apple`], and a card without firmware: the folder) to write.
    pub out: PathBuf,
    /// For [`Board::RaspberryPi`]: what only a card has.
    pub card: CardOptions,
}

/// What a card for a board without an operating system can be asked to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CardOptions {
    /// The folder of the firmware's files; then a whole disk is written.
    pub firmware: Option<PathBuf>,
    /// Tokens that the cache holds; else as [`oarlock::Options::for_model`] has it.
    pub context: Option<usize>,
    /// MiB of memory that the board has; else 1024.
    pub memory_mib: Option<u64>,
}

/// What was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// For [`Board::RaspberryPi`]: MiB of memory that the board must have.
    pub memory_mib: Option<u64>,
}

/// Makes an image.
///
/// # Errors
/// If program or model are not what they should be, the board is too small, or the output
/// cannot be written.
pub fn image(options: &ImageOptions, progress: &dyn Progress) -> Result<Made> {
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
    if *board == Board::RaspberryPi {
        return raspi::image(options, &program, progress);
    }
    progress.start(bytes(&program)? + bytes(model)?);
    match board {
        Board::Apple => folder(&program, model, out, progress)?,
        _ => executable(&program, model, out, progress)?,
    }
    Ok(Made { memory_mib: None })
}

fn bytes(path: &Path) -> Result<u64> {
    Ok(fs::metadata(path).map_err(|e| Error::read(path, &e))?.len())
}

/// The model that is all of a file.
fn open_model<'m>(path: &Path, bytes: &'m [u8]) -> Result<Model<'m>> {
    let todo = "make one with oarlock-convert";
    let model = Model::open(bytes).map_err(|what| Error::new(path.display(), what, todo))?;
    if model.file_len() != bytes.len() {
        return Err(Error::new(path.display(), "something follows the end of the model", todo));
    }
    Ok(model)
}

/// Where the program can be told that it carries a model.
fn mark_of(program: &Path) -> Result<u64> {
    let fail = |what, todo| Err(Error::new(program.display(), what, todo));
    match mark::find(&map(program)?) {
        Some((at, &mark::NOTHING)) => Ok(at as u64),
        Some(_) => fail("it carries a model already", "give the program as it was built"),
        None => fail("not an oarlock that can carry a model", "build it from the same sources"),
    }
}

/// Program with its mark, zeros up to the next page, model.
fn executable(program: &Path, model: &Path, out: &Path, progress: &dyn Progress) -> Result<()> {
    let mark_at = mark_of(program)?;
    let output = Output::create(out)?;
    let fail = |e: io::Error| Error::write(output.target(), &e);
    let len = copy(program, &output, progress)?;
    let start = len.next_multiple_of(MODEL_ALIGN);
    output.file().write_all(&vec![0; (start - len) as usize]).map_err(fail)?;
    let end = start + copy(model, &output, progress)?;
    output.file().seek(SeekFrom::Start(mark_at)).map_err(fail)?;
    output.file().write_all(&mark::write(&(start..end))).map_err(fail)?;
    executable_by_all(output.file()).map_err(fail)?;
    output.commit()
}

/// What the folder for a Mac says about itself.
const README: &str = include_str!("../../boards/apple/README.txt");

/// `chat`, `chat.oar` and a page to read.
fn folder(program: &Path, model: &Path, out: &Path, progress: &dyn Progress) -> Result<()> {
    folder_of(out, |staging| {
        for (from, name) in [(program, "chat"), (model, "chat.oar")] {
            let output = Output::create(&staging.join(name))?;
            copy(from, &output, progress)?;
            if name == "chat" {
                executable_by_all(output.file()).map_err(|e| Error::write(out, &e))?;
            }
            output.commit()?;
        }
        fs::write(staging.join("README.txt"), README).map_err(|e| Error::write(out, &e))
    })
}

/// A folder that `fill` fills, and that appears when it is complete.
fn folder_of(out: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) || out.is_file() {
        return Err(Error::new(out.display(), "it exists already", "remove it, or give another"));
    }
    let staging = Staging::create(out)?;
    fill(&staging.path)?;
    fs::rename(&staging.path, out).map_err(|e| Error::write(out, &e))
}

/// A folder in the making, removed unless it was renamed.
struct Staging {
    path: PathBuf,
}

impl Staging {
    fn create(out: &Path) -> Result<Self> {
        let name = out.file_name().ok_or_else(|| {
            Error::new(out.display(), "not the name of a folder", "give one with -o")
        })?;
        let name = format!(".{}.{}.part", name.to_string_lossy(), std::process::id());
        let path = out.with_file_name(name);
        fs::create_dir(&path).map_err(|e| Error::write(out, &e))?;
        Ok(Self { path })
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|e| Error::read(path, &e))
}

/// Appends the file at `from`; gives its length.
fn copy(from: &Path, output: &Output, progress: &dyn Progress) -> Result<u64> {
    pour(from, &mut output.file(), output.target(), progress)
}

/// Writes the file at `from` into what becomes `out`; gives its length.
fn pour(from: &Path, into: &mut impl Write, out: &Path, progress: &dyn Progress) -> Result<u64> {
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

fn executable_by_all(file: &File) -> io::Result<()> {
    file.set_permissions(fs::Permissions::from_mode(0o755))
}
