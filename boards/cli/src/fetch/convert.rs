//! The last step: the GGUF to our format, with the values that it has.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use oarlock_convert::{ConvertOptions, Error, Weights};

use super::progress::Progress;
use crate::terminal::console::warning;

/// Converts `gguf` to `out`.
pub fn convert(gguf: &Path, out: &Path) -> Result<(), Error> {
    let options = ConvertOptions { weights: Some(Weights::Keep), ..ConvertOptions::default() };
    let watch = Watch { bar: Progress::bytes("converting", 0), done: AtomicU64::new(0) };
    oarlock_convert::convert(gguf, out, &options, &watch).map(drop)
}

/// Shows the converter's progress as ours.
struct Watch {
    bar: Progress,
    done: AtomicU64,
}

impl oarlock_convert::Progress for Watch {
    fn start(&self, total: u64) {
        self.bar.total(total);
    }

    fn advance(&self, bytes: u64) {
        self.bar.set(self.done.fetch_add(bytes, Ordering::Relaxed) + bytes);
    }

    fn warn(&self, message: &str) {
        warning!("{message}");
    }
}
