//! The default model, which some tests need for real.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use crate::bins::bin;
use crate::process::run;

/// The default model's `.oar`, fetched as `oarlock` fetches it on its first run.
///
/// Without network the test fails with the line that `oarlock` prints. With
/// `OARLOCK_OFFLINE=1` the answer is `None`, the test returns, and a line on stderr says
/// how many of this run were skipped so far.
pub fn real_model() -> Option<PathBuf> {
    static MODEL: OnceLock<PathBuf> = OnceLock::new();
    (!offline()).then(|| MODEL.get_or_init(fetch).clone())
}

/// Whether nothing may be fetched; then says that a test was skipped.
pub(crate) fn offline() -> bool {
    let offline = std::env::var_os("OARLOCK_OFFLINE").is_some_and(|v| v == "1");
    if offline {
        skip("OARLOCK_OFFLINE=1");
    }
    offline
}

fn fetch() -> PathBuf {
    let done = run(Command::new(bin("oarlock")).arg("inspect"), 600);
    let first = done.stderr.lines().find(|l| l.starts_with("error")).unwrap_or("no message");
    assert!(done.status.success(), "the default model cannot be had: {first}");
    let path = cache().join("SmolLM2-135M-Instruct.oar");
    assert!(path.exists(), "oarlock inspect left no {}", path.display());
    path
}

/// The folder in which `oarlock` keeps the default model (`docs/reference/cli.md`).
fn cache() -> PathBuf {
    let var = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let home = || var("HOME").expect("HOME is set");
    if let Some(own) = var("OARLOCK_HOME") {
        own
    } else if cfg!(target_os = "macos") {
        home().join("Library/Caches/oarlock")
    } else {
        var("XDG_CACHE_HOME").unwrap_or_else(|| home().join(".cache")).join("oarlock")
    }
}

/// Counts a skipped test, over all processes of one `cargo test`, and says so past the
/// capture of output that hides what a passing test prints.
pub(crate) fn skip(why: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let count = count(&test);
    let line = format!("{why}: {test} skipped, {count} so far\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Adds a line to the list of this run and returns how many it has.
fn count(test: &str) -> usize {
    let path = std::env::temp_dir().join(format!("oarlock-skipped-{}", parent()));
    let fresh = std::fs::metadata(&path).and_then(|m| m.modified()).is_ok_and(|t| {
        SystemTime::now().duration_since(t).is_ok_and(|d| d < Duration::from_secs(3600))
    });
    if !fresh {
        let _ = std::fs::remove_file(&path);
    }
    if let Ok(mut list) = std::fs::OpenOptions::new().create(true).append(true).open(&path) {
        let _ = writeln!(list, "{test}");
    }
    std::fs::read_to_string(&path).map_or(1, |all| all.lines().count())
}

/// The process that runs all test programs: cargo.
fn parent() -> u32 {
    #[cfg(unix)]
    return std::os::unix::process::parent_id();
    #[cfg(not(unix))]
    return 0;
}
