//! A checked model beside the map that it lies in.
#![allow(unsafe_code)]

use oarlock::Model;

use crate::error::Error;
use crate::model_file::ModelFile;

/// A mapped file and the model in it, checked once: opening a model reads all of its metadata,
/// which may be ten megabytes of a vocabulary.
#[derive(Debug)]
pub struct OpenModel {
    /// Borrows from the map of `file`, whatever the lifetime here says.
    model: Model<'static>,
    file: ModelFile,
}

impl ModelFile {
    /// Checks everything but the weights, and keeps the model beside its file.
    ///
    /// # Errors
    /// [`Error::Model`] if the file is none that this version runs.
    pub fn check(self) -> Result<OpenModel, Error> {
        OpenModel::new(self)
    }
}

impl OpenModel {
    /// Checks everything but the weights.
    fn new(file: ModelFile) -> Result<Self, Error> {
        let model = file.model()?;
        // SAFETY: the model borrows bytes of the file's map and nothing else. Those stay where
        // they are when the file moves, and until it is dropped with this value, whose fields
        // nobody outside of this file can take apart; `model` lends it no longer than that.
        let model = unsafe { core::mem::transmute::<Model<'_>, Model<'static>>(model) };
        Ok(Self { model, file })
    }

    /// The model.
    pub fn model(&self) -> Model<'_> {
        self.model
    }

    /// The file.
    pub fn file(&self) -> &ModelFile {
        &self.file
    }
}
