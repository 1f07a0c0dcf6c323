//! The model that goes into an image.

use std::path::Path;

use oarlock::Model;

use crate::error::{Error, Result, Shown};

/// The model that is all of a file.
pub(super) fn open_model<'m>(path: &Path, bytes: &'m [u8]) -> Result<Model<'m>> {
    let todo = "make one with oarlock-convert";
    let model = Model::open(bytes).map_err(|what| Error::new(path.shown(), what, todo))?;
    if model.file_len() != bytes.len() {
        return Err(Error::new(path.shown(), "something follows the end of the model", todo));
    }
    Ok(model)
}
