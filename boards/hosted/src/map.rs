//! The model file, mapped: executed where it lies, shared between processes.
#![allow(unsafe_code)]

use std::fs::{self, File, Metadata};
use std::ops::Range;
use std::path::Path;
use std::time::SystemTime;

use memmap2::{Advice, Mmap, MmapOptions};
use oarlock::Model;
use oarlock::internal::format::Extent;

use crate::error::Error;
use crate::os;

/// Maps a model read-only: the file at `path`, or a part of it.
///
/// Pages come in as they are touched. They are asked for ahead of that, which costs
/// nothing when they are in memory already and lets a cold start read in long runs;
/// populating the map here would make opening wait for all of it. Of a model larger than the
/// memory (which can run nevertheless, if most of it are experts that are seldom needed) nothing
/// is asked for ahead: what comes last would push out what came first. Nor is what lies around a
/// page of an expert, since the next token goes through others: systems read up to megabytes
/// around, and so pushed out what was needed.
///
/// **If another process truncates the file while it is mapped, touching the lost pages
/// kills this process with SIGBUS**: no check here could prevent it. Replace a model by
/// renaming a new file over it, as the converter does, never by writing into it.
pub fn model(path: &Path, part: Option<&Range<u64>>) -> Result<(Mmap, Origin), Error> {
    // Asked before it is opened, which waits for the other end of a pipe.
    let meta = fs::metadata(path).map_err(Error::file(path))?;
    if !meta.is_file() {
        return Err(Error::NotAFile(path.into()));
    }
    let file = File::open(path).map_err(Error::file(path))?;
    let meta = file.metadata().map_err(Error::file(path))?;
    let state = state(&meta);
    if meta.len() == 0 {
        return Err(Error::Empty(path.into()));
    }
    let mut options = MmapOptions::new();
    if let Some(part) = part {
        if meta.len() < part.end {
            let (bytes, wanted) = (meta.len(), part.end);
            return Err(Error::CutShort { path: path.into(), bytes, wanted });
        }
        if part.is_empty() {
            return Err(Error::Empty(path.into()));
        }
        // Hosts have addresses of 64 bits.
        options.offset(part.start).len((part.end - part.start) as usize);
    }
    // SAFETY: the map is read-only and private to this value; that nobody else changes the
    // file meanwhile cannot be had from the system, and is said above and in docs/reference/cli.md.
    let map = unsafe { options.map(&file) }.map_err(Error::file(path))?;
    if os::memory().is_none_or(|memory| map.len() as u64 <= memory) {
        // Advice is only that: a system that does not take it still runs.
        let _ = map.advise(Advice::WillNeed);
    } else if let Ok(model) = Model::open(&map) {
        for stack in model.tensors().filter(|tensor| tensor.experts.is_some()) {
            let Extent { offset, len } = stack.extent;
            let _ = map.advise_range(Advice::Random, offset as usize, len as usize);
        }
    }
    Ok((map, Origin { file, state }))
}

/// A mapped file, and its state when it was mapped.
#[derive(Debug)]
pub struct Origin {
    file: File,
    state: (u64, Option<SystemTime>),
}

impl Origin {
    /// Whether nobody has written to the file since, as far as its length and time say.
    pub fn is_unchanged(&self) -> bool {
        self.file.metadata().is_ok_and(|meta| state(&meta) == self.state)
    }
}

fn state(meta: &Metadata) -> (u64, Option<SystemTime>) {
    (meta.len(), meta.modified().ok())
}
