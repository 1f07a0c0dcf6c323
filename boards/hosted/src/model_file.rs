//! A model file, mapped.

use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use oarlock::Model;
use oarlock::tokenizer::Tokenizer;

use crate::error::{Error, ModelError};
use crate::map::{self, Origin};

/// A mapped model; [`ModelFile::model`] borrows from it.
#[derive(Debug)]
pub struct ModelFile {
    path: PathBuf,
    part: Option<Range<u64>>,
    map: Mmap,
    origin: Origin,
}

impl ModelFile {
    /// Maps the file at `path`, of which nothing is checked yet.
    ///
    /// **If another process truncates the file while it is mapped, touching the lost pages
    /// kills this process with SIGBUS.** Replace a model by renaming a new file over it, never
    /// by writing into it.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::map(path.into(), None)
    }

    /// Maps these bytes of a file that holds more than a model, all of which must be there.
    pub fn open_part(path: impl Into<PathBuf>, part: Range<u64>) -> Result<Self, Error> {
        Self::map(path.into(), Some(part))
    }

    fn map(path: PathBuf, part: Option<Range<u64>>) -> Result<Self, Error> {
        let (map, origin) = map::model(&path, part.as_ref())?;
        Ok(Self { path, part, map, origin })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes of the file that are the model, if not all are.
    pub fn part(&self) -> Option<&Range<u64>> {
        self.part.as_ref()
    }

    /// All bytes that are mapped.
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Whether nobody has written to the file since it was mapped, by its length and its time of
    /// change. What was computed meanwhile is of no use if somebody has: ask when an answer ends.
    pub fn is_unchanged(&self) -> bool {
        self.origin.is_unchanged()
    }

    /// The name of the file, without folders and `.oar`.
    pub fn name(&self) -> String {
        self.path.file_stem().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned()
    }

    /// Opens the model and checks everything but the weights.
    pub fn model(&self) -> Result<Model<'_>, Error> {
        let model = Model::open(&self.map).map_err(|error| self.wrong(ModelError::Open(error)))?;
        match self.map.len() - model.file_len() {
            0 => Ok(model),
            bytes => Err(self.wrong(ModelError::Trailing(bytes))),
        }
    }

    /// Reads the tokenizer of the model in this file.
    pub fn tokenizer<'m>(&self, model: &Model<'m>) -> Result<Tokenizer<'m>, Error> {
        Tokenizer::new(model.tokenizer_section()).map_err(|_| self.wrong(ModelError::Tokenizer))
    }

    fn wrong(&self, error: ModelError) -> Error {
        Error::Model { path: self.path.clone(), error }
    }
}
