//! Numbers that every part of the format shares.

/// The first bytes of the file; the line end shows a transfer that changed line ends.
pub const MAGIC: [u8; 8] = *b"OARLOCK\n";
/// The newest version of the format. A file states the first that has all that it needs.
pub const VERSION: u32 = 4;
/// Alignment in bytes of every section, every tensor, the file's length and the slice itself.
pub const ALIGN: usize = 64;
/// The layer of a tensor that belongs to none, the number of experts of what is no expert's.
pub const NONE: u32 = u32::MAX;

/// Rounds `len` bytes up to [`ALIGN`]; `None` if that overflows.
pub const fn align_up(len: u64) -> Option<u64> {
    match len.checked_add(ALIGN as u64 - 1) {
        Some(sum) => Some(sum - sum % ALIGN as u64),
        None => None,
    }
}
