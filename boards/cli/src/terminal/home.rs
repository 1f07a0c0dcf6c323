//! The cache folder: the default model, converted ones and the chat history.

use std::env;
use std::path::PathBuf;

use super::errors::{Outcome, fault};

/// `$OARLOCK_HOME`, else the platform's usual cache folder. It need not exist yet.
pub fn folder() -> Outcome<PathBuf> {
    if let Some(home) = env::var_os("OARLOCK_HOME").filter(|home| !home.is_empty()) {
        return std::path::absolute(&home)
            .map_err(|error| fault("OARLOCK_HOME", error, "name a folder"));
    }
    usual().ok_or_else(|| {
        fault("cache folder", "HOME is not set", "set HOME, or OARLOCK_HOME to a folder")
    })
}

#[cfg(target_os = "macos")]
fn usual() -> Option<PathBuf> {
    absolute("HOME").map(|home| home.join("Library/Caches/oarlock"))
}

#[cfg(not(target_os = "macos"))]
fn usual() -> Option<PathBuf> {
    let cache = absolute("XDG_CACHE_HOME");
    cache.or_else(|| absolute("HOME").map(|home| home.join(".cache"))).map(|it| it.join("oarlock"))
}

/// A variable that holds an absolute path; the XDG specification has relative ones ignored.
fn absolute(name: &str) -> Option<PathBuf> {
    env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())
}
