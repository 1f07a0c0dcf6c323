//! Extents: where something lies in the file.

use super::constants::align_up;

/// A run of bytes in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Extent {
    /// Bytes from the start of the file.
    pub offset: u64,
    /// Bytes, without the padding after them.
    pub len: u64,
}

impl Extent {
    /// Offset of what comes next, behind the padding; `None` if that overflows.
    pub const fn next(self) -> Option<u64> {
        match self.offset.checked_add(self.len) {
            Some(end) => align_up(end),
            None => None,
        }
    }

    /// These bytes of `file`; `None` if it ends before them.
    pub fn bytes(self, file: &[u8]) -> Option<&[u8]> {
        let start = usize::try_from(self.offset).ok()?;
        let len = usize::try_from(self.len).ok()?;
        file.get(start..start.checked_add(len)?)
    }
}
