//! State on its way out of a session and back, as little-endian bytes.
//!
//! A list of buffers is written once, against [`Carrier`]: with a [`Saver`] it goes out, with a
//! [`Restorer`] it comes back, so the two cannot disagree.

/// Where state goes to, or comes from.
pub(crate) trait Carrier {
    /// Why it could not be carried.
    type Error;

    /// Carries bytes.
    fn bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error>;

    /// Carries numbers of 32 bits, a line of 64 bytes at a time.
    fn cells<T: Cell>(&mut self, cells: &mut [T]) -> Result<(), Self::Error> {
        for cells in cells.chunks_mut(LINE) {
            let mut line = [[0; 4]; LINE];
            let line = line.get_mut(..cells.len()).unwrap_or_default();
            line.iter_mut().zip(&*cells).for_each(|(bytes, cell)| *bytes = cell.to_bytes());
            self.bytes(line.as_flattened_mut())?;
            line.iter().zip(cells).for_each(|(bytes, cell)| *cell = T::from_bytes(*bytes));
        }
        Ok(())
    }
}

const LINE: usize = 16;

/// A number of 32 bits.
pub(crate) trait Cell: Copy {
    fn to_bytes(self) -> [u8; 4];
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

/// Hands bytes out.
pub(crate) struct Saver<'o, E>(pub(crate) &'o mut dyn FnMut(&[u8]) -> Result<(), E>);

impl<E> Carrier for Saver<'_, E> {
    type Error = E;

    fn bytes(&mut self, bytes: &mut [u8]) -> Result<(), E> {
        (self.0)(bytes)
    }
}

/// Asks for bytes.
pub(crate) struct Restorer<'i, E>(pub(crate) &'i mut dyn FnMut(&mut [u8]) -> Result<(), E>);

impl<E> Carrier for Restorer<'_, E> {
    type Error = E;

    fn bytes(&mut self, bytes: &mut [u8]) -> Result<(), E> {
        (self.0)(bytes)
    }
}
