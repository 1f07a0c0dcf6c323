//! Memory of a session: one slice, page-aligned, of which untouched pages cost nothing.

use memmap2::MmapMut;
use oarlock::{Model, Options, Session};

use crate::error::Error;

/// The scratch slice of one session, with the options that decide its length.
#[derive(Debug)]
pub struct SessionMemory {
    options: Options,
    map: MmapMut,
}

impl SessionMemory {
    /// Reserves exactly the zeroed bytes of a session of `model` with these options.
    ///
    /// An anonymous map rather than a vector: it is page-aligned (the arena wants 64 bytes),
    /// and a page takes memory only once the ring has come to it.
    ///
    /// # Errors
    /// [`Error::Options`], or [`Error::Memory`] with the bytes that the system does not give.
    pub fn reserve(model: &Model<'_>, options: Options) -> Result<Self, Error> {
        let bytes = Session::bytes_needed(model, &options)?;
        let map =
            MmapMut::map_anon(bytes.max(1)).map_err(|error| Error::Memory { bytes, error })?;
        Ok(Self { options, map })
    }

    /// Options of the session.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Lends the slice to an empty session of `model`, the same for which it was reserved.
    ///
    /// # Errors
    /// [`Error::Options`] if it was reserved for another model.
    pub fn session<'e>(&'e mut self, model: Model<'e>) -> Result<Session<'e>, Error> {
        Ok(Session::new(model, self.options, &mut self.map)?)
    }
}
