//! Memory that there is, that is taken, and the largest piece that is not.

use core::ops::Range;

use heapless::Vec;

/// End of the addresses that the map can hold, which have 39 bits: no memory lies beyond, whatever
/// the firmware says.
pub const END: usize = 1 << 39;

/// Memory by its addresses.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// All memory: ranges that do not touch.
    there: Vec<Range<usize>, 16>,
    /// Parts of it that are not to be touched.
    taken: Vec<Range<usize>, 16>,
}

impl Memory {
    /// Nothing at all.
    pub const fn new() -> Self {
        Self { there: Vec::new(), taken: Vec::new() }
    }

    /// Says that a range is there, as far as it can be mapped. More ranges than fit are left alone.
    pub fn add(&mut self, range: Range<usize>) {
        let range = range.start..range.end.min(END);
        if !range.is_empty() {
            let _ = self.there.push(range);
        }
    }

    /// Says that a range is not there after all.
    pub fn cut(&mut self, range: &Range<usize>) {
        for all in core::mem::take(&mut self.there) {
            self.add(all.start..all.end.min(range.start));
            self.add(all.start.max(range.end)..all.end);
        }
    }

    /// Says that a range is taken. Where no more can be noted, nothing is free any more.
    pub fn take(&mut self, range: Range<usize>) {
        if !range.is_empty() && self.taken.push(range).is_err() {
            self.there.clear();
        }
    }

    /// All memory that there is.
    pub fn there(&self) -> &[Range<usize>] {
        &self.there
    }

    /// Bytes that there are.
    pub fn bytes(&self) -> usize {
        self.there.iter().map(ExactSizeIterator::len).sum()
    }

    /// Whether all of `range` is there.
    pub fn holds(&self, range: &Range<usize>) -> bool {
        self.there.iter().any(|all| all.start <= range.start && range.end <= all.end)
    }

    /// The longest range that is free.
    pub fn longest_free(&self) -> Range<usize> {
        let from = |start: usize, end: usize| {
            let taken = self.taken.iter().filter(|t| t.end > start && t.start < end);
            let mut next = end;
            for t in taken {
                next = next.min(t.start.max(start));
            }
            start..next
        };
        let mut best = 0..0;
        for all in &self.there {
            let ends = self.taken.iter().map(|t| t.end).filter(|end| all.contains(end));
            for start in ends.chain([all.start]) {
                let free = from(start, all.end);
                if free.len() > best.len() {
                    best = free;
                }
            }
        }
        best
    }
}

/// The places of the whole blocks of `size` in `range` within `limits`, which begin at a multiple of
/// it.
pub fn blocks(
    range: &Range<usize>,
    size: usize,
    limits: Range<usize>,
) -> impl Iterator<Item = usize> {
    let end = range.end.min(limits.end);
    // What begins behind the limits would overflow here.
    let start = range.start.max(limits.start).min(end).next_multiple_of(size);
    (start..end).step_by(size).filter(move |at| end - at >= size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_cannot_be_mapped_is_none() {
        let mut memory = Memory::new();
        (0..9).for_each(|_| memory.add(0..usize::MAX));
        memory.add(END..usize::MAX);
        memory.add(usize::MAX - 1..usize::MAX);
        assert_eq!((memory.there().len(), memory.bytes()), (9, 9 * END));
        assert_eq!(memory.longest_free(), 0..END);
    }

    #[test]
    fn blocks_are_whole_and_within() {
        let of = |range, limits| blocks(&range, 16, limits).collect::<Vec<usize, 8>>();
        assert_eq!(of(0..48, 0..4096), [0, 16, 32]);
        assert_eq!(of(1..47, 0..4096), [16]);
        assert_eq!(of(0..usize::MAX, 32..64), [32, 48]);
        assert_eq!(of(0..usize::MAX, usize::MAX & !15..usize::MAX), []);
        for range in [usize::MAX - 1..usize::MAX, usize::MAX..usize::MAX, 5000..6000] {
            assert_eq!(of(range, 0..4096), []);
        }
    }

    #[test]
    fn the_longest_gap_is_found() {
        let mut memory = Memory::new();
        memory.add(0..1000);
        memory.add(2000..2500);
        assert_eq!((memory.longest_free(), memory.bytes()), (0..1000, 1500));
        memory.take(0..100);
        memory.take(400..900);
        assert_eq!(memory.longest_free(), 2000..2500);
        memory.take(2100..3000);
        assert_eq!(memory.longest_free(), 100..400);
        memory.take(50..450);
        assert_eq!(memory.longest_free(), 900..1000);
        memory.take(0..5000);
        assert!(memory.longest_free().is_empty());
        assert!(memory.holds(&(10..1000)) && !memory.holds(&(900..2100)));
    }

    #[test]
    fn what_is_cut_is_not_there() {
        let mut memory = Memory::new();
        memory.add(0..1000);
        memory.cut(&(900..2000));
        memory.cut(&(0..0));
        memory.cut(&(100..200));
        assert_eq!(memory.there(), [0..100, 200..900]);
        memory.cut(&(0..5000));
        assert!(memory.there().is_empty());
    }

    #[test]
    fn too_much_to_note_leaves_nothing_free() {
        let mut memory = Memory::new();
        memory.add(0..1000);
        (0..17).for_each(|i| memory.take(i * 10..i * 10 + 1));
        assert!(memory.longest_free().is_empty());
    }
}
