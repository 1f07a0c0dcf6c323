//! Sources of models: GGUF files and model directories, told from an `.oar`.

use std::fs::{self, File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};

use oarlock::internal::format;
use oarlock_convert::first_part;

const GGUF: &[u8] = b"GGUF";

/// Whether what lies at `path` is to be converted before it runs. A file is asked by its first bytes,
/// since caches of others call theirs by hashes; one that is called `.gguf` and does not begin so is
/// for the converter to refuse, who knows why.
pub fn is_source(path: &Path, meta: &Metadata) -> bool {
    if meta.is_dir() {
        return true;
    }
    let mut magic = [0; 8];
    let read = File::open(path).and_then(|mut file| {
        // Fewer bytes than that are no model of either kind.
        file.read(&mut magic)
    });
    match read {
        // Whoever opens it then says what it is.
        Err(_) => false,
        Ok(_) if magic.starts_with(GGUF) => true,
        Ok(_) => magic != format::MAGIC && is_called_gguf(path),
    }
}

/// Whether a name has `.gguf` in it: at its end, or before the number of a piece.
fn is_called_gguf(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.to_ascii_lowercase().contains(".gguf")
}

/// The one path by which a source is known, whichever way leads to it and whichever of its parts is
/// named. A link to a file keeps its own name: that says which other parts there are.
pub fn known_as(path: &Path, meta: &Metadata) -> PathBuf {
    let absolute = || std::path::absolute(path).unwrap_or_else(|_| path.into());
    if meta.is_dir() {
        return fs::canonicalize(path).unwrap_or_else(|_| absolute());
    }
    let path = first_part(&absolute());
    let folder = path.parent().and_then(|folder| fs::canonicalize(folder).ok());
    match (folder, path.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => path,
    }
}
