//! Invariants of this crate, checked where debug builds rely on them.
//!
//! Only for what no argument of a public function can reach: a debug build stops at the broken
//! invariant, a release build, in which nothing may panic, goes on with nothing.

use core::slice::SliceIndex;

/// The elements of `all` in `range`, which must lie within; empty in release builds if not.
#[inline(always)]
#[cfg_attr(debug_assertions, track_caller)]
pub(crate) fn part<T>(all: &[T], range: impl SliceIndex<[T], Output = [T]>) -> &[T] {
    present(all.get(range))
}

/// As [`part`], to be written to.
#[inline(always)]
#[cfg_attr(debug_assertions, track_caller)]
pub(crate) fn part_mut<T>(all: &mut [T], range: impl SliceIndex<[T], Output = [T]>) -> &mut [T] {
    present(all.get_mut(range))
}

/// A length that is never 0, so that something can be divided by it or cut into pieces of it.
#[inline(always)]
#[cfg_attr(debug_assertions, track_caller)]
pub(crate) fn nonzero(len: usize) -> usize {
    debug_assert!(len > 0, "an invariant is broken");
    len.max(1)
}

/// The value of an option that must have one; the default in release builds if it has none.
#[inline(always)]
#[cfg_attr(debug_assertions, track_caller)]
pub(crate) fn present<T: Default>(value: Option<T>) -> T {
    debug_assert!(value.is_some(), "an invariant is broken");
    value.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_within_are_given_as_they_are() {
        let mut all = [1, 2, 3];
        assert_eq!(part(&all, 1..), [2, 3]);
        part_mut(&mut all, ..=1).fill(0);
        assert_eq!(all, [0, 0, 3]);
        assert_eq!(present(all.first().copied()), 0);
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "an invariant is broken")]
    fn a_debug_build_stops_beyond_the_end() {
        part(&[1, 2, 3], 2..4);
    }
}
