//! State on its way out of a session and back, as little-endian bytes.
//!
//! A list of buffers is written once, against [`Carrier`]: with a [`Saver`] it goes out, with a
//! [`Restorer`] it comes back, so the two cannot disagree.

use super::checked::part_mut;

/// A destination of state, or the origin that it comes back from.
pub(crate) trait Carrier {
    /// The reason why state could not be carried.
    type Error;

    /// Carries bytes: hands them out, or overwrites them.
    fn bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error>;

    /// Carries numbers of 32 bits, a line of 64 bytes at a time.
    fn cells<T: Cell>(&mut self, cells: &mut [T]) -> Result<(), Self::Error> {
        for cells in cells.chunks_mut(LINE) {
            let mut line = [[0; 4]; LINE];
            let line = part_mut(&mut line, ..cells.len());
            line.iter_mut().zip(&*cells).for_each(|(bytes, cell)| *bytes = cell.to_bytes());
            self.bytes(line.as_flattened_mut())?;
            line.iter().zip(cells).for_each(|(bytes, cell)| *cell = T::from_bytes(*bytes));
        }
        Ok(())
    }
}

/// Numbers that are carried at a time.
const LINE: usize = 16;

/// A number of 32 bits.
pub(crate) trait Cell: Copy {
    /// The little-endian bytes of the number.
    fn to_bytes(self) -> [u8; 4];
    /// The number of these little-endian bytes.
    fn from_bytes(bytes: [u8; 4]) -> Self;
}

impl Cell for u32 {
    fn to_bytes(self) -> [u8; 4] {
        self.to_le_bytes()
    }

    fn from_bytes(bytes: [u8; 4]) -> Self {
        Self::from_le_bytes(bytes)
    }
}

impl Cell for f32 {
    fn to_bytes(self) -> [u8; 4] {
        self.to_le_bytes()
    }

    fn from_bytes(bytes: [u8; 4]) -> Self {
        Self::from_le_bytes(bytes)
    }
}

/// A carrier that hands bytes out.
pub(crate) struct Saver<'o, E>(pub(crate) &'o mut dyn FnMut(&[u8]) -> Result<(), E>);

impl<E> Carrier for Saver<'_, E> {
    type Error = E;

    fn bytes(&mut self, bytes: &mut [u8]) -> Result<(), E> {
        (self.0)(bytes)
    }
}

/// A carrier that asks for bytes.
pub(crate) struct Restorer<'i, E>(pub(crate) &'i mut dyn FnMut(&mut [u8]) -> Result<(), E>);

impl<E> Carrier for Restorer<'_, E> {
    type Error = E;

    fn bytes(&mut self, bytes: &mut [u8]) -> Result<(), E> {
        (self.0)(bytes)
    }
}
