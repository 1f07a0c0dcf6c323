//! Lines in the file about where it comes from.

use memmap2::Mmap;
use sha2::{Digest, Sha256};

use super::files::Files;
use super::options::Storage;
use crate::error::{Error, Result};
use crate::progress::Progress;

/// Bytes that are hashed between two questions whether to stop.
const CHUNK: usize = 4 << 20;

/// Lines that say where the file comes from: converter, types, the mean of how many heads one
/// is (`pooled_heads`), SHA-256 of each source file. Nothing in them differs between two runs.
pub(crate) fn provenance(
    files: &Files,
    maps: &[Mmap],
    storage: Storage,
    pooled_heads: usize,
    progress: &dyn Progress,
) -> Result<String> {
    let version = env!("CARGO_PKG_VERSION");
    let mut text = format!("converter oarlock-convert {version}\n");
    text += &format!("weights {}\nhead {}\n", storage.weights.name(), storage.output_matrix.name());
    if pooled_heads > 1 {
        text += &format!("pooled {} key and value heads each\n", pooled_heads);
    }
    let maps = files.weights.iter().zip(maps.iter().map(|map| &map[..]));
    let small = files.small.iter().map(|(path, bytes)| (path, &bytes[..]));
    for (path, bytes) in small.chain(maps) {
        let mut sha = Sha256::new();
        for chunk in bytes.chunks(CHUNK) {
            if progress.cancelled() {
                return Err(Error::Cancelled);
            }
            sha.update(chunk);
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().replace('\n', " ");
        let hash: String = sha.finalize().iter().map(|b| format!("{b:02x}")).collect();
        text += &format!("source {hash} {name}\n");
    }
    Ok(text)
}
