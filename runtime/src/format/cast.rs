//! Casts of the file's bytes to numbers, without copying.
#![allow(unsafe_code)]

#[cfg(not(target_endian = "little"))]
compile_error!("a model is used where it lies, and .oar files are little-endian");

/// Reads bytes as f32; `None` if they are misaligned or not a whole number of them.
pub(crate) fn f32s(bytes: &[u8]) -> Option<&[f32]> {
    // SAFETY: every bit pattern is an f32, and `align_to` sees to alignment and length.
    let (before, values, after) = unsafe { bytes.align_to::<f32>() };
    (before.is_empty() && after.is_empty()).then_some(values)
}

/// Reads bytes as u64; `None` if they are misaligned or not a whole number of them.
pub(crate) fn u64s(bytes: &[u8]) -> Option<&[u64]> {
    // SAFETY: every bit pattern is a u64, and `align_to` sees to alignment and length.
    let (before, values, after) = unsafe { bytes.align_to::<u64>() };
    (before.is_empty() && after.is_empty()).then_some(values)
}
