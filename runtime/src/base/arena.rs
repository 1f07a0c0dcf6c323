//! An arena: carves the caller's slice into typed, 64-byte aligned buffers.
//!
//! A buffer list is written once, against [`Source`]: run on a [`Measure`] it counts
//! bytes, run on an [`Arena`] it takes them, so the two cannot disagree. Nothing is
//! zeroed: a page that no token reaches is never touched.
#![allow(unsafe_code)]

/// Alignment of every buffer in bytes: a cache line, and the widest register.
const ALIGN: usize = 64;

/// A type that any bytes are a value of.
///
/// # Safety
/// Every bit pattern must be a valid value, and the alignment at most 64.
pub(crate) unsafe trait Plain: Copy {}

// SAFETY: every pattern is an f32 (some of them NaN), aligned to 4.
unsafe impl Plain for f32 {}
// SAFETY: every pattern is an integer, aligned to 4.
unsafe impl Plain for i32 {}
// SAFETY: every pattern is an integer, aligned to 4.
unsafe impl Plain for u32 {}
// SAFETY: every pattern is an integer, aligned to 1.
unsafe impl Plain for i8 {}
// SAFETY: every pattern is an integer, aligned to 1.
unsafe impl Plain for u8 {}

/// A source of buffers.
pub(crate) trait Source<'a> {
    /// Takes the next `len` elements, aligned; `None` if `len` is, or if there are no more.
    fn take<T: Plain>(&mut self, len: Option<usize>) -> Option<&'a mut [T]>;
}

/// A source that counts instead of carving: every buffer is empty.
#[derive(Default)]
pub(crate) struct Measure {
    bytes: usize,
}

impl Measure {
    /// Bytes that the buffers need in a slice of any alignment.
    pub(crate) fn bytes_needed(&self) -> Option<usize> {
        self.bytes.checked_add(ALIGN - 1)
    }
}

impl<'a> Source<'a> for Measure {
    fn take<T: Plain>(&mut self, len: Option<usize>) -> Option<&'a mut [T]> {
        self.bytes = self.bytes.checked_add(bytes_of::<T>(len?)?)?;
        // Half the address space at most, as a slice may be.
        isize::try_from(self.bytes).ok()?;
        Some(&mut [])
    }
}

/// A source that carves what is left of the caller's slice.
pub(crate) struct Arena<'a> {
    rest: &'a mut [u8],
}

impl<'a> Arena<'a> {
    /// Starts at the first aligned byte of `scratch`.
    pub(crate) fn new(scratch: &'a mut [u8]) -> Self {
        let skip = scratch.as_ptr().align_offset(ALIGN).min(scratch.len());
        Self { rest: scratch.split_at_mut(skip).1 }
    }
}

impl<'a> Source<'a> for Arena<'a> {
    fn take<T: Plain>(&mut self, len: Option<usize>) -> Option<&'a mut [T]> {
        let len = len?;
        if len == 0 {
            // What is left may be empty and lie anywhere.
            return Some(&mut []);
        }
        let bytes = bytes_of::<T>(len)?;
        let (taken, rest) = core::mem::take(&mut self.rest).split_at_mut_checked(bytes)?;
        self.rest = rest;
        // SAFETY: `taken` holds at least `len` elements, is exclusively ours for 'a, begins
        // at a multiple of 64 (the arena starts at one and every buffer is a multiple of 64
        // long) which satisfies T's alignment, and any bytes are valid T (`Plain`).
        Some(unsafe { core::slice::from_raw_parts_mut(taken.as_mut_ptr().cast::<T>(), len) })
    }
}

/// Bytes of `len` elements, rounded up to the alignment.
fn bytes_of<T>(len: usize) -> Option<usize> {
    len.checked_mul(size_of::<T>())?.checked_next_multiple_of(ALIGN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carve<'a>(source: &mut impl Source<'a>, n: usize) -> Option<(&'a mut [f32], &'a mut [i8])> {
        Some((source.take(Some(n))?, source.take(n.checked_mul(3))?))
    }

    #[test]
    fn what_is_measured_is_what_is_taken_at_any_alignment() {
        let mut memory = [0_u8; 1024];
        for n in [0, 1, 15, 16, 17, 100] {
            let mut measure = Measure::default();
            assert!(carve(&mut measure, n).is_some());
            let needed = measure.bytes_needed().unwrap_or_default();
            for offset in 0..ALIGN {
                let (_, scratch) = memory.split_at_mut(offset);
                let (scratch, _) = scratch.split_at_mut(needed);
                let buffers = carve(&mut Arena::new(scratch), n);
                let (a, b) = buffers.as_ref().map_or((0, 0), |(a, b)| (a.len(), b.len()));
                assert_eq!((a, b), (n, 3 * n));
                assert!(buffers.is_some_and(|(a, b)| {
                    let aligned = |at: usize| n == 0 || at.is_multiple_of(ALIGN);
                    aligned(a.as_ptr().addr()) && aligned(b.as_ptr().addr())
                }));
            }
            // At the worst alignment not a byte is spare.
            let worst = (0..ALIGN)
                .map(|offset| {
                    let (_, scratch) = memory.split_at_mut(offset);
                    let (scratch, _) = scratch.split_at_mut(needed - 1);
                    carve(&mut Arena::new(scratch), n).is_none()
                })
                .filter(|&short| short)
                .count();
            assert_eq!(worst, usize::from(n > 0));
        }
    }

    #[test]
    fn sizes_that_overflow_are_refused() {
        assert!(carve(&mut Measure::default(), usize::MAX / 2).is_none());
        assert!(carve(&mut Measure::default(), usize::MAX / 8).is_none());
    }
}
