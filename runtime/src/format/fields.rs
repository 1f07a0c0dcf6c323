//! Little-endian fields of records, read and written at ranges of bytes.
//!
//! Records are arrays, or slices whose length has been checked, and the ranges are constants
//! beside them: every field lies within its record.

use core::ops::Range;

use crate::base::checked::present;

/// Reads four bytes.
pub(super) fn u32_at(record: &[u8], range: Range<usize>) -> u32 {
    u32::from_le_bytes(bytes_at(record, range))
}

/// Reads eight bytes.
pub(super) fn u64_at(record: &[u8], range: Range<usize>) -> u64 {
    u64::from_le_bytes(bytes_at(record, range))
}

/// Reads four bytes.
pub(super) fn f32_at(record: &[u8], range: Range<usize>) -> f32 {
    f32::from_le_bytes(bytes_at(record, range))
}

/// Reads eight bytes.
pub(super) fn f64_at(record: &[u8], range: Range<usize>) -> f64 {
    f64::from_le_bytes(bytes_at(record, range))
}

fn bytes_at<const N: usize>(record: &[u8], range: Range<usize>) -> [u8; N]
where
    [u8; N]: Default,
{
    debug_assert_eq!(range.len(), N, "a range of another type");
    present(record.get(range).and_then(|bytes| bytes.first_chunk().copied()))
}

/// Writes a field's bytes.
pub(super) fn put<const N: usize>(record: &mut [u8], range: Range<usize>, bytes: [u8; N]) {
    debug_assert_eq!(range.len(), N, "a range of another type");
    let field = record.get_mut(range).and_then(|field| field.first_chunk_mut());
    debug_assert!(field.is_some(), "a field lies within its record");
    if let Some(field) = field {
        *field = bytes;
    }
}
