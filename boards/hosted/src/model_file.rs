//! The model of a command: named with `-m`, or the default one.

use std::path::{Path, PathBuf};

use memmap2::Mmap;
use oarlock::Model;
use oarlock::format::OpenError;
use oarlock::tokenizer::Tokenizer;

use crate::errors::{Outcome, Stop, fault};
use crate::{args, fetch, map};

/// A mapped model file; [`ModelFile::model`] borrows from it.
pub struct ModelFile {
    path: PathBuf,
    map: Mmap,
}

impl ModelFile {
    /// Maps the model of the command line, fetching the default one if it is not there.
    pub fn open(args: &args::Model) -> Outcome<Self> {
        Self::at(args.path.as_deref())
    }

    /// Maps the model at `path`, or the default one.
    pub fn at(path: Option<&Path>) -> Outcome<Self> {
        let path = path.map_or_else(fetch::default_model, |path| Ok(path.to_path_buf()))?;
        let map = map::model(&path)?;
        Ok(Self { path, map })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All of it, as it is mapped.
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Its name, without folders and `.oar`.
    pub fn name(&self) -> String {
        let name = self.path.file_stem().unwrap_or(self.path.as_os_str());
        name.to_string_lossy().into_owned()
    }

    /// Checks everything but the weights.
    pub fn model(&self) -> Outcome<Model<'_>> {
        self.check().map_err(|what| self.fault(what))
    }

    /// As [`Self::model`], with what is wrong as text.
    pub fn check(&self) -> Result<Model<'_>, String> {
        let model = Model::open(&self.map).map_err(|error| error.to_string())?;
        let extra = self.map.len() - model.file_len();
        if extra > 0 {
            return Err(format!("{extra} bytes follow the end of the model"));
        }
        Ok(model)
    }

    /// The model's tokenizer.
    pub fn tokenizer<'m>(&self, model: &Model<'m>) -> Outcome<Tokenizer<'m>> {
        Tokenizer::new(model.tokenizer_section())
            .map_err(|_| self.fault("its tokenizer is not one that this version reads"))
    }

    /// What is wrong with this file, and what to do about it.
    pub fn fault(&self, what: impl std::fmt::Display) -> Stop {
        fault(self.path.display(), what, self.remedy())
    }

    fn remedy(&self) -> &'static str {
        if fetch::is_default(&self.path) {
            "delete it and run again: it is fetched anew"
        } else if matches!(Model::open(&self.map), Err(OpenError::Magic)) {
            "convert a model with oarlock-convert"
        } else {
            "convert the model again"
        }
    }
}
