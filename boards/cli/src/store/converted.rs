//! A source, converted the first time it is named and found again after that.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use oarlock_convert::{Error, Shown, Weights, source_files};

use super::claim::{Claim, idle};
use super::convert::convert;
use super::entry::Entry;
use super::record::{Record, maker, stamped};
use super::source::{is_source, known_as, model_name};
use super::stamp::Stamp;
use crate::terminal::console::{self, aside};
use crate::terminal::errors::{Outcome, Stop, fault, file_fault, remedy};
use crate::terminal::home;

/// The model that a source at `path` was converted to, now or before; `None` if what is there is no
/// source, or nothing is.
pub fn converted(path: &Path, weights: Option<Weights>) -> Outcome<Option<PathBuf>> {
    let Some(meta) = fs::metadata(path).ok().filter(|meta| meta.is_dir() || meta.is_file()) else {
        return Ok(None);
    };
    let (home, known) = (home::folder(), known_as(path, &meta));
    let weights = weights.unwrap_or(Weights::Auto);
    let entry = |home: &PathBuf| Entry::new(home, &known, weights);
    let found = home.as_ref().ok().map(entry).and_then(|entry| used(&entry));
    if found.is_some() || !is_source(path, &meta) {
        return Ok(found);
    }
    let home = home?;
    let made =
        First { path, known: &known, weights, home: &home, entry: entry(&home) }.convert()?;
    Ok(Some(made))
}

/// The model in a place, which is used from now on.
fn used(entry: &Entry) -> Option<PathBuf> {
    entry.model().inspect(|_| entry.touch())
}

/// Whether `path` is a file that [`converted`] has made.
pub fn is_converted(path: &Path) -> bool {
    home::folder().is_ok_and(|home| path.starts_with(Entry::all_in(&home)))
}

/// The source that a model in the cache was made of, which is what people have named; of any other
/// model its own place.
pub fn source_of(model: &Path) -> PathBuf {
    let folder = model.parent().filter(|_| is_converted(model));
    let record = folder.and_then(|folder| Entry::at(folder).record());
    record.map_or_else(|| model.into(), |record| record.source)
}

/// A source that is named for the first time, or that has changed.
struct First<'a> {
    /// Its place, as the user wrote it.
    path: &'a Path,
    /// Its place.
    known: &'a Path,
    weights: Weights,
    /// The cache folder.
    home: &'a Path,
    /// The place in it.
    entry: Entry,
}

impl First<'_> {
    fn convert(&self) -> Outcome<PathBuf> {
        let _claim = Claim::take(self.entry.folder(), "converts this model")?;
        if let Some(model) = used(&self.entry) {
            return Ok(model); // Another process has done it while this one waited.
        }
        remove_unfinished(self.home);
        let files = source_files(self.path).map_err(|error| self.refused(error))?;
        let files = stamped(&files);
        self.protect(&files);
        let name = model_name(self.known);
        let model = self.entry.folder().join(&name);
        let path = self.path.shown();
        console::progress(|| format!("Converting {path}, which is kept: see oarlock cache"));
        let report =
            convert(self.path, &model, self.weights).map_err(|error| self.refused(error))?;
        let (source, weights) = (self.known.into(), self.weights.name().into());
        let record = Record { source, weights, maker: maker(), model: name, files };
        self.keep(&model, &record).inspect_err(|_| drop(fs::remove_file(&model)))?;
        aside!("{path}: converted once: {report}");
        Ok(model)
    }

    /// Closes the place to those who may not read all of the source, before there is something in it.
    /// (In a folder of somebody else that is his to do.)
    fn protect(&self, files: &[(PathBuf, Option<Stamp>)]) {
        let modes = files.iter().filter_map(|(file, _)| Some(fs::metadata(file).ok()?.mode()));
        let readable = modes.fold(0o444, |all, mode| all & mode);
        // Who may read a file may look it up.
        let allowed = 0o700 | (readable & 0o044) | (readable & 0o044) >> 2;
        let folder = self.entry.folder();
        if let Ok(meta) = fs::metadata(folder) {
            let mode = meta.mode() & 0o777 & allowed;
            let _ = fs::set_permissions(folder, Permissions::from_mode(mode));
        }
    }

    /// Makes the model that is there a valid one, if it is what the source is.
    fn keep(&self, model: &Path, record: &Record) -> Outcome {
        let files: Vec<_> = record.files.iter().map(|(file, _)| file.clone()).collect();
        if stamped(&files) != record.files {
            let what = "it has changed while it was converted";
            return Err(fault(self.path.shown(), what, "run again, once it is complete"));
        }
        self.entry.write(record).map_err(|error| file_fault(model, &error))
    }

    /// A conversion that came to nothing; what is wrong with the cache folder is said of that.
    fn refused(&self, error: Error) -> Stop {
        match error {
            Error::Cancelled => Stop::Interrupted,
            Error::Fault(wrong) => match wrong.output {
                None => Stop::Fault(wrong.to_string()),
                Some(kind) => {
                    let thing = format!("cache folder {}", self.home.shown());
                    let todo = remedy(&kind.into());
                    let elsewhere = "set OARLOCK_HOME to a folder elsewhere";
                    fault(thing, wrong.what, format!("{todo}, or {elsewhere}"))
                }
            },
        }
    }
}

/// Removes what processes that were killed have left in any place of the cache.
fn remove_unfinished(home: &Path) {
    for entry in Entry::list(home) {
        // Of a place that is being filled the lock is held, by this process too.
        let Some((_lock, true)) = idle(entry.folder()) else { continue };
        if entry.record().is_none() {
            let _ = fs::remove_dir_all(entry.folder());
            continue;
        }
        let files = fs::read_dir(entry.folder()).into_iter().flatten().flatten();
        for file in files.filter(|file| file.file_name().as_encoded_bytes().starts_with(b".")) {
            let _ = fs::remove_file(file.path());
        }
    }
}
