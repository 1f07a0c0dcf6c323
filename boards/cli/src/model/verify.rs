//! `oarlock verify`: every checksum, every value that could be NaN.

use std::fmt::Display;

use oarlock::Model;
use oarlock::chat::{Chat, ChatUnavailable};
use oarlock::tokenizer::Tokenizer;
use oarlock::visible::Visible;
use oarlock_convert::Shown;
use oarlock_hosted::{Error, ModelFile};

use super::open;
use crate::args;
use crate::terminal::console;
use crate::terminal::errors::{Outcome, Stop, refused};

/// Says that the model is in order, or ends with exit code 1 naming the first fault.
pub fn run(args: &args::Verify) -> Outcome {
    let file = open::open(&args.model, args.file.as_deref())?;
    let model = file.model().map_err(|error| match error {
        Error::Model { error, .. } => damaged(&file, error),
        other => other.into(),
    })?;
    check_sections(&model).map_err(|what| damaged(&file, what))?;
    for (i, tensor) in model.tensors().enumerate() {
        let found = model.verify_tensor(i);
        found.map_err(|what| damaged(&file, format!("tensor {}: {what}", tensor.name)))?;
    }
    open::unchanged(&file)?;
    let (tensors, bytes) = (model.n_tensors(), model.file_len());
    let name = file.name();
    let name = Visible::line(&name);
    console::put_line(&format!("{name}: {tensors} tensors, {bytes} bytes, all in order"))
}

/// The sections whose readers are not asked when the file is opened.
fn check_sections(model: &Model<'_>) -> Result<(), &'static str> {
    if Tokenizer::new(model.tokenizer_section()).is_err() {
        return Err("invalid tokenizer section");
    }
    match Chat::new(model.chat_section()) {
        Err(ChatUnavailable::BadSection) => Err("invalid chat section"),
        _ => Ok(()),
    }
}

fn damaged(file: &ModelFile, what: impl Display) -> Stop {
    refused(file.path().shown(), what, open::another(file.path()))
}
