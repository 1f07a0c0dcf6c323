//! The session's memory: one slice, page-aligned, of which untouched pages cost nothing.

use memmap2::MmapMut;

use crate::errors::{Outcome, fault, reason};

/// Reserves `bytes` zeroed bytes.
///
/// An anonymous map rather than a vector: it is page-aligned (the arena wants 64 bytes),
/// and a page takes memory only once the ring has come to it.
pub fn reserve(bytes: usize) -> Outcome<MmapMut> {
    MmapMut::map_anon(bytes.max(1)).map_err(|error| {
        fault(format!("{bytes} bytes for the session"), reason(&error), "use a smaller --context")
    })
}
