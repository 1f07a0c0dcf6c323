//! A file as it looked when it was read: by this a change is seen without reading it again.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::{Value, json};

/// Size, time of the last change and number of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    bytes: u64,
    /// Nanoseconds since 1970.
    modified: i64,
    inode: u64,
}

impl Stamp {
    /// The file at `path` as it is now; `None` if there is none.
    pub fn read(path: &Path) -> Option<Self> {
        let meta = fs::metadata(path).ok()?;
        let seconds = meta.mtime().saturating_mul(1_000_000_000);
        let modified = seconds.saturating_add(meta.mtime_nsec());
        Some(Self { bytes: meta.len(), modified, inode: meta.ino() })
    }

    /// As it is written down.
    pub fn to_json(self) -> Value {
        json!([self.bytes, self.modified, self.inode])
    }

    /// Reads what [`Self::to_json`] wrote.
    pub fn from_json(value: &Value) -> Option<Self> {
        let (bytes, inode) = (value.get(0)?.as_u64()?, value.get(2)?.as_u64()?);
        Some(Self { bytes, modified: value.get(1)?.as_i64()?, inode })
    }
}
