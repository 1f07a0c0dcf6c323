//! Memory that there is, that is taken, and the largest piece that is not.

use core::ops::Range;

use heapless::Vec;

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

    /// Says that a range is there. More ranges than fit are left alone.
    pub fn add(&mut self, range: Range<usize>) {
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

#[cfg(test)]
mod tests {
    use super::*;

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
