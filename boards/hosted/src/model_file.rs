//! The model of a command: named with `-m`, come with the program, or the default one.

use std::path::Path;

use memmap2::Mmap;
use oarlock::Model;
use oarlock::OpenError;
use oarlock::tokenizer::Tokenizer;
use sha2::{Digest, Sha256};

use crate::carried::Place;
use crate::errors::{Outcome, Stop, fault};
use crate::{args, carried, fetch, map};

/// A mapped model file; [`ModelFile::model`] borrows from it.
pub struct ModelFile {
    place: Place,
    map: Mmap,
}

impl ModelFile {
    /// Maps the model of the command line, fetching the default one if it is not there.
    pub fn open(args: &args::Model) -> Outcome<Self> {
        Self::at(args.path.as_deref())
    }

    /// Maps the model at `path`; without one, what came with the program, or the default.
    pub fn at(path: Option<&Path>) -> Outcome<Self> {
        let whole = |path| Place { path, part: None };
        let place = match path {
            Some(path) => whole(path.to_path_buf()),
            None => match carried::model()? {
                Some(place) => place,
                None => whole(fetch::default_model()?),
            },
        };
        let map = map::model(&place)?;
        Ok(Self { place, map })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.place.path
    }

    /// All of it, as it is mapped.
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Tells it from other models: the hash of all before the tensors, where their checksums are.
    pub fn fingerprint(&self, model: &Model<'_>) -> [u8; 32] {
        let tensors = model.tensors().next().map_or(0, |first| first.extent.offset);
        let before = usize::try_from(tensors).ok().and_then(|end| self.map.get(..end));
        Sha256::digest(before.unwrap_or(&self.map)).into()
    }

    /// Its name, without folders and `.oar`.
    pub fn name(&self) -> String {
        let name = self.place.path.file_stem().unwrap_or(self.place.path.as_os_str());
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
        fault(self.place.path.display(), what, self.remedy())
    }

    fn remedy(&self) -> &'static str {
        if self.place.part.is_some() {
            "make the image again with oarlock-convert image"
        } else if fetch::is_default(&self.place.path) {
            "delete it and run again: it is fetched anew"
        } else if matches!(Model::open(&self.map), Err(OpenError::Magic)) {
            "convert a model with oarlock-convert"
        } else {
            "convert the model again"
        }
    }
}
