//! A place for a converted model in the cache folder.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use oarlock_convert::Weights;
use sha2::{Digest, Sha256};

use super::record::{Record, State, maker};
use crate::terminal::replace;

/// The folder of all such places, in the cache folder.
const FOLDER: &str = "converted";
/// The notes, in a place; written last, so that a model without them is none.
const RECORD: &str = "source.json";
/// Bytes of a hash that are enough to tell sources apart.
const KEY_BYTES: usize = 16;

/// A folder with a model and the notes on where it comes from.
#[derive(Debug)]
pub struct Entry {
    folder: PathBuf,
}

impl Entry {
    /// The folder of all places in the cache folder `home`.
    pub fn all_in(home: &Path) -> PathBuf {
        home.join(FOLDER)
    }

    /// The place for a source, converted to this type by this program. A source that changes stays
    /// there: the new model replaces the old one.
    pub fn new(home: &Path, source: &Path, weights: Weights) -> Self {
        let mut hash = Sha256::new();
        for part in [source.as_os_str(), OsStr::new(weights.name()), OsStr::new(&maker())] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        let hash = hash.finalize();
        let key: String = hash.iter().take(KEY_BYTES).map(|byte| format!("{byte:02x}")).collect();
        Self { folder: Self::all_in(home).join(key) }
    }

    /// The place whose folder this is.
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.into() }
    }

    /// The places that there are.
    pub fn list(home: &Path) -> Vec<Self> {
        let found = fs::read_dir(Self::all_in(home)).into_iter().flatten().flatten();
        let folders = found.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let mut all: Vec<_> = folders.map(|entry| Self { folder: entry.path() }).collect();
        all.sort_by(|a, b| a.folder.cmp(&b.folder));
        all
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The notes, if there are some.
    pub fn record(&self) -> Option<Record> {
        let text = fs::read(self.folder.join(RECORD)).ok()?;
        Record::from_json(&serde_json::from_slice(&text).ok()?)
    }

    /// The model, if its source is as it was; nothing of the source is read for that.
    pub fn model(&self) -> Option<PathBuf> {
        let record = self.record()?;
        let model = self.folder.join(&record.model);
        (record.state() == State::Here && model.is_file()).then_some(model)
    }

    /// Writes the notes, which makes the model that is there a valid one.
    pub fn write(&self, record: &Record) -> io::Result<()> {
        let text = format!("{}\n", record.to_json());
        replace::put(&self.folder.join(RECORD), text.as_bytes())
    }

    /// Notes that the model is used now. In a folder that cannot be written to, it is not.
    pub fn touch(&self) {
        let record = File::open(self.folder.join(RECORD));
        let _ = record.and_then(|record| record.set_modified(SystemTime::now()));
    }

    /// The time that [`Self::touch`] last noted.
    pub fn last_used(&self) -> Option<SystemTime> {
        fs::metadata(self.folder.join(RECORD)).and_then(|meta| meta.modified()).ok()
    }

    /// Bytes of all that is there.
    pub fn bytes(&self) -> u64 {
        let files = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        files.map(|file| file.metadata().map_or(0, |meta| meta.len())).sum()
    }
}
