//! A Raspberry Pi without an operating system: the files of its boot partition, in a folder
//! or, with the firmware, on a whole disk.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use oarlock::{Model, Options, Session};

use super::copy::{bytes, pour};
use super::folder::write_folder;
use super::model::open_model;
use super::options::{ImageOptions, ImageReport};
use super::{fat, kernel};
use crate::error::{Error, Result, Shown};
use crate::map::map;
use crate::output::Output;
use crate::progress::Progress;

/// The firmware's settings, and the page for the owner.
const CONFIG: &str = include_str!("../../../boards/raspi/card/config.txt");
const README: &str = include_str!("../../../boards/raspi/card/README.txt");
const MODEL: &str = "model.oar";

/// Memory that is not the program's: the firmware's 76 MiB, as Linux finds them on all boards.
const FIRMWARE_MIB: u64 = 76;
/// Beside model and session: the program, stacks of cores, and the text of a turn.
const BESIDE: u64 = 4 << 20;
/// A board of which nothing is said.
const USUAL_MEMORY_MIB: u64 = 1024;

/// The firmware's files that are taken, by how their names begin and end; all else that
/// lies beside them (overlays, kernels) is of no use here.
const FIRMWARE: [(&str, &str); 5] = [
    ("bootcode", ".bin"),
    ("start", ".elf"),
    ("fixup", ".dat"),
    ("bcm27", ".dtb"),
    ("LICENCE", ".broadcom"),
];

/// A file of the boot partition.
enum Content {
    Bytes(Vec<u8>),
    Path(PathBuf),
}

type Files = Vec<(String, Content)>;

/// Makes the folder, or with the firmware the disk.
pub fn image(
    options: &ImageOptions,
    program: &Path,
    progress: &dyn Progress,
) -> Result<ImageReport> {
    let memory = memory_needed(options)?;
    let mut files = files(options, program)?;
    progress.start(bytes(&options.model)?);
    match &options.card.firmware {
        None => write_folder(&options.out, |staging| {
            files.iter().try_for_each(|(name, content)| {
                let output = Output::create(&staging.join(name))?;
                content.write(&mut output.file(), progress, &options.out)?;
                output.commit()
            })
        })?,
        Some(firmware) => {
            files.extend(firmware_files(firmware)?);
            disk(&files, &options.out, progress)?;
        }
    }
    Ok(ImageReport { memory_mib: Some(memory) })
}

/// MiB that the board must have; an error if it has less.
fn memory_needed(options: &ImageOptions) -> Result<u64> {
    let map = map(&options.model)?;
    let model = open_model(&options.model, &map)?;
    let session = session_bytes(&model, options.card.context)?;
    let bytes = model.file_len() as u64 + session + BESIDE;
    let needed = bytes.div_ceil(1 << 20) + FIRMWARE_MIB;
    let has = options.card.memory_mib.unwrap_or(USUAL_MEMORY_MIB);
    if needed > has {
        let what = format!("it needs a board with {needed} MiB of memory, not {has}");
        let todo = "say with --memory what the board has, or give a smaller --context or model";
        return Err(Error::new(options.model.shown(), what, todo));
    }
    Ok(needed)
}

fn session_bytes(model: &Model<'_>, context: Option<usize>) -> Result<u64> {
    let mut options = Options { draft: Options::CHAT_DRAFT, ..Options::for_model(model) };
    if let Some(context) = context {
        options.context = context;
        options.sinks = Options::DEFAULT_SINKS.min(context / 2);
    }
    let bytes = Session::bytes_needed(model, &options).map_err(|what| {
        Error::new(format!("--context {}", options.context), what, "give another --context")
    })?;
    Ok(bytes as u64)
}

/// Files that are on the card whatever the firmware.
fn files(options: &ImageOptions, program: &Path) -> Result<Files> {
    let flat = kernel::flat(&map(program)?);
    // It was checked to be one.
    let flat = flat.map_err(|what| Error::new(program.shown(), what, "build it again"))?;
    let packed = kernel::packed(&flat).map_err(|e| Error::write(&options.out, &e))?;
    let context = options.card.context.map(|n| format!("oarlock.context={n}")).unwrap_or_default();
    let text = |text: &str| Content::Bytes(text.as_bytes().to_vec());
    Ok(vec![
        ("config.txt".into(), text(CONFIG)),
        ("cmdline.txt".into(), text(&format!("{context}\n"))),
        ("README.txt".into(), text(README)),
        ("kernel8.img".into(), Content::Bytes(packed)),
        (MODEL.into(), Content::Path(options.model.clone())),
    ])
}

/// The firmware's files in a folder, by their names.
fn firmware_files(folder: &Path) -> Result<Files> {
    let wrong = |what: &str| {
        let todo = "give the folder boot of github.com/raspberrypi/firmware, \
             see docs/guide/raspberry-pi.md";
        Error::new(folder.shown(), what, todo)
    };
    let mut files = Files::new();
    for entry in fs::read_dir(folder).map_err(|e| Error::read(folder, &e))? {
        let path = entry.map_err(|e| Error::read(folder, &e))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let wanted = |(start, end): &(&str, &str)| name.starts_with(start) && name.ends_with(end);
        if FIRMWARE.iter().any(wanted) && path.is_file() {
            files.push((name, Content::Path(path)));
        }
    }
    files.sort_by(|(a, _), (b, _)| a.cmp(b));
    let has = |name: &str| files.iter().any(|(file, _)| file == name);
    let trees = files.iter().any(|(name, _)| name.ends_with(".dtb"));
    // Pi 3: bootcode.bin, start.elf; Pi 4: start4.elf; Pi 5 has its firmware on the board.
    let starts = has("bootcode.bin") && has("start.elf") && has("fixup.dat")
        || has("start4.elf") && has("fixup4.dat")
        || files.iter().any(|(name, _)| name.starts_with("bcm2712"));
    match (starts, trees) {
        (true, true) => Ok(files),
        (false, _) => Err(wrong("not the firmware of a Raspberry Pi: it has no start file")),
        (_, false) => Err(wrong("it has no device tree of a board (bcm27….dtb)")),
    }
}

/// A disk with these files.
fn disk(files: &Files, out: &Path, progress: &dyn Progress) -> Result<()> {
    let mut list = Vec::new();
    for (name, content) in files {
        let len = content.len()?;
        if len > fat::MAX_FILE_BYTES {
            let what = "a FAT32 disk holds no file of 4 GiB";
            return Err(Error::new(name, what, "give a smaller model"));
        }
        list.push((name.as_str(), len));
    }
    let output = Output::create(out)?;
    let mut disk = output.file();
    fat::write::<_, DiskError>(&mut disk, &list, |disk, i| {
        let content = files.get(i).map(|(_, content)| content);
        Ok(content.map_or(Ok(()), |content| content.write(disk, progress, out))?)
    })
    .map_err(|error| error.told(out))?;
    output.commit()
}

/// Failures in the middle of a disk.
#[derive(Debug)]
enum DiskError {
    Io(io::Error),
    Fault(Error),
}

impl From<io::Error> for DiskError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Error> for DiskError {
    fn from(error: Error) -> Self {
        Self::Fault(error)
    }
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Fault(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for DiskError {}

impl DiskError {
    /// The error that the user is told; `out` is the disk.
    fn told(self, out: &Path) -> Error {
        match self {
            Self::Io(error) => Error::write(out, &error),
            Self::Fault(error) => error,
        }
    }
}

impl Content {
    fn len(&self) -> Result<u64> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.len() as u64),
            Self::Path(path) => bytes(path),
        }
    }

    fn write<W: Write>(&self, to: &mut W, progress: &dyn Progress, out: &Path) -> Result<()> {
        match self {
            Self::Bytes(bytes) => to.write_all(bytes).map_err(|e| Error::write(out, &e)),
            Self::Path(path) => pour(path, to, out, progress).map(|_| ()),
        }
    }
}
