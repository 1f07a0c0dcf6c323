//! The one piece of memory that everything with a size known only now is cut from.
#![allow(unsafe_code)]

use core::mem::MaybeUninit;
use core::ops::Range;

use oarlock_raspi::memory::Memory;

unsafe extern "C" {
    static __image_start: u8;
    static __image_end: u8;
}

/// Below the program: the firmware's resident code, and the table that starts cores.
const FIRST_FREE: usize = 0x80000;
/// A cache line, and the alignment that a session likes.
const ALIGN: usize = 64;

/// The rest of the memory.
pub struct Scratch(&'static mut [u8]);

impl Scratch {
    /// Claims the longest free range, which the program and the model at `model` are not in.
    pub fn claim(memory: &mut Memory, model: Option<&Range<usize>>) -> Self {
        memory.take(0..FIRST_FREE);
        memory.take(program());
        memory.take(model.cloned().unwrap_or_default());
        let free = memory.longest_free();
        memory.take(free.clone());
        if free.is_empty() {
            return Self(&mut []); // at no address: a slice has one
        }
        let start = core::ptr::with_exposed_provenance_mut(free.start);
        // SAFETY: mapped memory that nothing else uses: it is noted as taken, here and
        // where others would look.
        Self(unsafe { core::slice::from_raw_parts_mut(start, free.len()) })
    }

    /// Bytes that are left.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The next `len` bytes, whatever they hold; `None` if there are not so many.
    pub fn bytes(&mut self, len: usize) -> Option<&'static mut [u8]> {
        let skip = self.0.as_ptr().align_offset(ALIGN);
        let end = skip.checked_add(len).filter(|&end| end <= self.0.len())?;
        let (taken, rest) = core::mem::take(&mut self.0).split_at_mut(end);
        self.0 = rest;
        taken.get_mut(skip..)
    }

    /// The next `len` elements, each of this value.
    pub fn filled<T: Copy>(&mut self, len: usize, value: T) -> Option<&'static mut [T]> {
        const { assert!(align_of::<T>() <= ALIGN) };
        let bytes = self.bytes(len.checked_mul(size_of::<T>())?)?;
        let start = bytes.as_mut_ptr().cast::<MaybeUninit<T>>();
        // SAFETY: aligned, long enough and ours for ever; not taken for initialised.
        let places = unsafe { core::slice::from_raw_parts_mut(start, len) };
        for place in places.iter_mut() {
            place.write(value);
        }
        // SAFETY: every element has just been written.
        Some(unsafe { core::slice::from_raw_parts_mut(start.cast::<T>(), len) })
    }
}

/// Addresses of the program.
pub fn program() -> Range<usize> {
    (&raw const __image_start).addr()..(&raw const __image_end).addr()
}
