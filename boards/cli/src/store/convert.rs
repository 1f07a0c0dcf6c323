//! A conversion, watched: one way for the default model and for the sources that people name.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use oarlock_convert::{ConvertOptions, Error, Fault, Report, Shown, Weights};

use super::progress::Progress;
use crate::terminal::console::warning;
use crate::terminal::os;

/// Converts `source` to `out`.
pub fn convert(source: &Path, out: &Path, weights: Weights) -> Result<Report, Error> {
    let options = ConvertOptions { weights: Some(weights), ..ConvertOptions::default() };
    let bar = Progress::bytes("converting", 0);
    let folder = out.parent().unwrap_or(out);
    let watch = Watch { bar, folder, done: AtomicU64::new(0), needed: AtomicU64::new(0) };
    let converted = oarlock_convert::convert(source, out, &options, &watch);
    converted.map_err(|error| match (error, watch.missing()) {
        (Error::Cancelled, Some(what)) => {
            let fault = Fault::new(folder.shown(), what, "free some space");
            let output = Some(io::ErrorKind::StorageFull);
            Error::Fault(Box::new(Fault { output, ..fault }))
        }
        (error, _) => error,
    })
}

/// Shows the converter's progress as ours, and stops what the disk has no room for: better now than
/// when it is full.
struct Watch<'a> {
    bar: Progress,
    /// The folder that is written to.
    folder: &'a Path,
    done: AtomicU64,
    /// Bytes that the disk does not have, if so many are needed.
    needed: AtomicU64,
}

impl Watch<'_> {
    /// The room that is not there, in words.
    fn missing(&self) -> Option<String> {
        let needed = self.needed.load(Ordering::Relaxed);
        (needed > 0).then(|| format!("the disk is full: {} MB are needed", needed / 1_000_000 + 1))
    }
}

impl oarlock_convert::Progress for Watch<'_> {
    fn start(&self, total: u64) {
        self.bar.total(total);
        if os::free_space(self.folder).is_some_and(|free| free < total) {
            self.needed.store(total.max(1), Ordering::Relaxed);
        }
    }

    fn advance(&self, bytes: u64) {
        self.bar.set(self.done.fetch_add(bytes, Ordering::Relaxed) + bytes);
    }

    fn warn(&self, message: &str) {
        warning!("{message}");
    }

    fn cancelled(&self) -> bool {
        self.needed.load(Ordering::Relaxed) > 0
    }
}
