//! The model of a command: named with `-m`, come with the program, or the default one.

use std::fmt::Display;
use std::path::Path;

use oarlock::Model;
use oarlock::OpenError;
use oarlock_convert::Shown;
use oarlock_hosted::{Error, ModelError, ModelFile, OpenModel, TextEncoder};

use super::carried;
use crate::args;
use crate::terminal::errors::{Outcome, Stop, fault};
use crate::{fetch, store};

/// Maps the model that `args` name, or that at `file`: what a source was converted to, which is done
/// if it has not been. Without one, what came with the program, or the default, which is fetched if
/// it is not there.
pub fn open(args: &args::Model, file: Option<&Path>) -> Outcome<ModelFile> {
    let Some(path) = file.or(args.path.as_deref()) else {
        refuse_weights(args)?;
        return match carried::model()? {
            Some(file) => Ok(file),
            None => Ok(ModelFile::open(fetch::default_model()?)?),
        };
    };
    if let Some(converted) = store::converted(path, args.weights)? {
        return Ok(ModelFile::open(converted)?);
    }
    let file = ModelFile::open(path)?;
    refuse_weights(args)?;
    Ok(file)
}

/// Refuses a type of weights for a model that has its types.
fn refuse_weights(args: &args::Model) -> Outcome {
    let Some(weights) = args.weights else { return Ok(()) };
    let what = "it is for a .gguf file or a model directory; an .oar has the types that it has";
    Err(fault(format!("--weights {}", weights.name()), what, "leave it away, or name a source"))
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
fn remedy(path: &Path, part: bool, magic: bool) -> String {
    let is_called = |end: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(end));
    if part {
        "make the image again with oarlock-convert image".into()
    } else if fetch::is_default(path) {
        "delete it and run again: it is fetched anew".into()
    } else if magic && (is_called("safetensors") || is_called("json")) {
        "name the directory that it lies in".into()
    } else if magic {
        "name an .oar or .gguf file, or a directory with safetensors".into()
    } else {
        another(path)
    }
}

/// The way to a model in the place of one that is damaged.
pub fn another(path: &Path) -> String {
    if !store::is_converted(path) {
        return "copy or convert the model again".into();
    }
    let name = Path::new(path.file_stem().unwrap_or_default());
    format!("oarlock cache clear {}, and run again", name.shown())
}
