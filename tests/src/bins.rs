//! The workspace's own files and binaries.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The workspace's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies inside the workspace")
}

/// A committed fixture: a path under `tests/fixtures`.
pub fn fixture(path: &str) -> PathBuf {
    let full = root().join("tests/fixtures").join(path);
    assert!(full.exists(), "no fixture {}", full.display());
    full
}

/// The cargo that built this test, run in the workspace's folder.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into()));
    cargo.current_dir(root());
    cargo
}

/// The binary `oarlock` or `oarlock-convert`, of the profile and target that this test has.
///
/// `cargo test` builds a package's binaries for that package's tests alone, so they are
/// built here, once in a process. All of the workspace is named, which resolves features
/// as `cargo test --workspace` does and so shares its work.
pub fn bin(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        let built = Built::of_this_test();
        let out = built.command().output().expect("cargo runs");
        assert!(out.status.success(), "cargo build: {}", String::from_utf8_lossy(&out.stderr));
        built.folder
    });
    let path = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "cargo built no {}", path.display());
    path
}

/// The build of this test, read off its path: `TARGET_DIR[/TRIPLE]/PROFILE/deps/NAME`.
struct Built {
    target_dir: PathBuf,
    triple: Option<String>,
    profile: String,
    folder: PathBuf,
}

impl Built {
    fn of_this_test() -> Self {
        let exe = std::env::current_exe().expect("a test has a path");
        let deps = exe.parent().expect("a test lies in a folder");
        let folder =
            if deps.ends_with("deps") { deps.parent().expect("deps/ has a parent") } else { deps };
        let name = |p: &Path| p.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let above = folder.parent().expect("a profile's folder has a parent");
        // Only the top of a target folder holds this file of cargo's.
        let at_top = above.join(".rustc_info.json").exists();
        let target_dir = if at_top { above } else { above.parent().unwrap_or(above) };
        Self {
            target_dir: target_dir.to_path_buf(),
            triple: (!at_top).then(|| name(above)),
            profile: name(folder),
            folder: folder.to_path_buf(),
        }
    }

    fn command(&self) -> Command {
        let mut cargo = cargo();
        cargo.args(["build", "--quiet", "--workspace", "--bins", "--target-dir"]);
        cargo.arg(&self.target_dir);
        // The one profile whose folder is not called after it.
        cargo.args(["--profile", if self.profile == "debug" { "dev" } else { &self.profile }]);
        if let Some(triple) = &self.triple {
            cargo.args(["--target", triple]);
        }
        cargo
    }
}
