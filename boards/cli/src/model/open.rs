//! The model of a command: named with `-m`, come with the program, or the default one.

use std::fmt::Display;
use std::path::Path;

use oarlock::Model;
use oarlock::OpenError;
use oarlock_convert::Shown;
use oarlock_hosted::{Error, ModelError, ModelFile, OpenModel, TextEncoder};

use super::carried;
use crate::fetch;
use crate::terminal::errors::{Outcome, Stop, fault};

/// Maps the model at `path`; without one, what came with the program, or the default, which is
/// fetched if it is not there.
pub fn open(path: Option<&Path>) -> Outcome<ModelFile> {
    if let Some(path) = path {
        return Ok(ModelFile::open(path)?);
    }
    match carried::model()? {
        Some(file) => Ok(file),
        None => Ok(ModelFile::open(fetch::default_model()?)?),
    }
}

/// Opens the model of a command that runs none, and checks everything but the weights.
pub fn model(file: &ModelFile) -> Outcome<Model<'_>> {
    file.model().map_err(|error| wrong(file, error))
}

/// Checks everything but the weights of a model that is to run.
pub fn check(file: ModelFile) -> Outcome<OpenModel> {
    let (path, part) = (file.path().to_owned(), file.part().is_some());
    file.check().map_err(|error| match error {
        Error::Model { error, .. } => {
            let magic = matches!(error, ModelError::Open(OpenError::Magic));
            fault(path.shown(), error, remedy(&path, part, magic))
        }
        other => other.into(),
    })
}

/// Refuses what came of a file that was written to meanwhile.
pub fn unchanged(file: &ModelFile) -> Outcome {
    if file.is_unchanged() {
        return Ok(());
    }
    let what = "another process wrote to the file while it ran";
    let remedy = "run again, and replace a model by renaming a new file over it";
    Err(fault(file.path().shown(), what, remedy))
}

/// Reads the model's tokenizer.
pub fn encoder<'m>(file: &ModelFile, model: &Model<'m>) -> Outcome<TextEncoder<'m>> {
    file.tokenizer(model).map(TextEncoder::new).map_err(|error| wrong(file, error))
}

/// Says what is wrong with a model file, and what to do about it.
pub fn model_fault(file: &ModelFile, what: impl Display) -> Stop {
    let magic = matches!(Model::open(file.bytes()), Err(OpenError::Magic));
    fault(file.path().shown(), what, remedy(file.path(), file.part().is_some(), magic))
}

fn wrong(file: &ModelFile, error: Error) -> Stop {
    match error {
        Error::Model { error, .. } => model_fault(file, error),
        other => other.into(),
    }
}

/// The cure for a file at `path`, which may be a part of an image, or begin as no model does.
fn remedy(path: &Path, part: bool, magic: bool) -> &'static str {
    if part {
        "make the image again with oarlock-convert image"
    } else if fetch::is_default(path) {
        "delete it and run again: it is fetched anew"
    } else if magic {
        "convert a model with oarlock-convert"
    } else {
        "convert the model again"
    }
}
