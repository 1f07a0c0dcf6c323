//! Sources of models: GGUF files and model directories, told from an `.oar`.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};

use oarlock::internal::format;
use oarlock_convert::{default_name, first_part};

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

/// The name of the model's file: the converter's, but for a directory in the cache of a hub, which is
/// called by a hash (`models--ORG--NAME/snapshots/HASH`).
pub fn model_name(known: &Path) -> OsString {
    let named = hub_name(known).map(|name| format!("{name}.oar").into());
    named.or_else(|| default_name(known)).unwrap_or_else(|| "model.oar".into())
}

fn hub_name(snapshot: &Path) -> Option<&str> {
    let folder = snapshot.parent().filter(|folder| folder.ends_with("snapshots"))?;
    let model = folder.parent()?.file_name()?.to_str()?.strip_prefix("models--")?;
    // A file in a snapshot has a name of its own.
    snapshot.extension().is_none().then(|| model.rsplit("--").next())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_of_a_hub_s_cache_have_names() {
        for (path, name) in [
            ("/hub/models--Qwen--Qwen2.5-0.5B/snapshots/7ae557604adf67be", "Qwen2.5-0.5B.oar"),
            ("/hub/models--gpt2/snapshots/607a30d783dfa663", "gpt2.oar"),
            ("/hub/models--a--b-GGUF/snapshots/0f/b-q4.gguf", "b-q4.oar"),
            ("/a/snapshots/b", "b.oar"),
            ("/a/b-00001-of-00002.gguf", "b.oar"),
            ("/", "model.oar"),
        ] {
            assert_eq!(model_name(Path::new(path)), *name, "{path}");
        }
    }
}
