//! The tiny random models of `tests/fixtures/tiny`, converted.

use std::process::Command;

use oarlock::{Model, Options, Session};

use crate::aligned::Aligned;
use crate::bins::{bin, fixture};
use crate::process::run;
use crate::temp::TempDir;

/// The names of all of them.
pub fn tiny_names() -> Vec<String> {
    let folder = std::fs::read_dir(fixture("tiny")).expect("a folder of fixtures");
    let entries = folder.map(|entry| entry.expect("a readable folder").file_name());
    let mut names: Vec<String> =
        entries.map(|name| name.into_string().expect("an ASCII name")).collect();
    names.sort();
    names
}

/// A tiny model as an `.oar` file with these weights, by way of the command line.
pub fn tiny(name: &str, weights: &str) -> Aligned {
    let folder = TempDir::new();
    let out = folder.join("tiny.oar");
    let mut convert = Command::new(bin("oarlock-convert"));
    convert.arg(fixture("tiny").join(name)).arg("-o").arg(&out).args(["--weights", weights]);
    run(&mut convert, 60).ok();
    Aligned::read(&out)
}

/// Runs `with` on a fresh session, in exactly the scratch that it asks for.
pub fn with_session<R>(
    model: &Model<'_>,
    options: Options,
    with: impl FnOnce(&mut Session<'_>) -> R,
) -> R {
    let needed = Session::bytes_needed(model, &options).unwrap_or_else(|e| panic!("{e}"));
    let mut scratch = Aligned::zeroed(needed);
    let session = Session::new(*model, options, &mut scratch);
    with(&mut session.unwrap_or_else(|e| panic!("{e}")))
}
