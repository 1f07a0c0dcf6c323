//! CRC-32 as zlib, PNG and gzip have it (reflected polynomial 0xEDB88320).
//!
//! Sixteen bytes a step over sixteen const tables ("slicing by 16", after Kounavis and
//! Berry, 2008), or eight: opening a model checksums megabytes of tables and must not be felt.

// A table has 256 entries and is indexed by a byte, a chunk is 16 long by construction.
#![allow(clippy::indexing_slicing)]

use byteorder::{ByteOrder, LittleEndian};

const POLYNOMIAL: u32 = 0xEDB8_8320;
/// Bytes a step. Tables do not pack: where a program is to be small, half of them are left out.
const STEP: usize = if cfg!(feature = "every-isa") { 16 } else { 8 };

/// `TABLES[k][b]` is the state after byte `b` and `k` zero bytes.
static TABLES: [[u32; 256]; STEP] = tables();

const fn tables() -> [[u32; 256]; STEP] {
    let mut tables = [[0; 256]; STEP];
    let mut byte = 0;
    while byte < 256 {
        let mut state = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            state = if state & 1 == 1 { (state >> 1) ^ POLYNOMIAL } else { state >> 1 };
            bit += 1;
        }
        tables[0][byte] = state;
        byte += 1;
    }
    let mut k = 1;
    while k < STEP {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[k - 1][byte];
            tables[k][byte] = (before >> 8) ^ tables[0][(before & 0xFF) as usize];
            byte += 1;
        }
        k += 1;
    }
    tables
}

/// A checksum in the making.
#[derive(Clone, Copy, Debug)]
pub struct Crc32(u32);

impl Crc32 {
    /// The checksum of nothing so far.
    pub const fn new() -> Self {
        Self(!0)
    }

    /// Takes more bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(STEP);
        for chunk in &mut chunks {
            self.0 = step(self.0, chunk);
        }
        for &byte in chunks.remainder() {
            self.0 = (self.0 >> 8) ^ TABLES[0][usize::from(self.0 as u8 ^ byte)];
        }
    }

    /// The checksum of all bytes taken in.
    pub const fn finish(self) -> u32 {
        !self.0
    }
}

impl Default for Crc32 {
    fn default() -> Self {
        Self::new()
    }
}

/// The checksum of `bytes`.
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = Crc32::new();
    crc.update(bytes);
    crc.finish()
}

/// Takes in [`STEP`] bytes: every table is one look-up, and none waits for another.
#[inline(always)]
fn step(state: u32, chunk: &[u8]) -> u32 {
    let mut next = 0;
    for word in 0..STEP / 4 {
        let mut v = LittleEndian::read_u32(&chunk[4 * word..4 * word + 4]);
        if word == 0 {
            v ^= state;
        }
        for (byte, b) in v.to_le_bytes().into_iter().enumerate() {
            next ^= TABLES[STEP - 1 - (4 * word + byte)][usize::from(b)];
        }
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value of the CRC catalogue, and of every length around a step.
    #[test]
    fn equals_the_bitwise_definition() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        let bytes: [u8; 67] = core::array::from_fn(|i| (i * 37 + 11) as u8);
        for len in 0..bytes.len() {
            let mut state = !0_u32;
            for &byte in &bytes[..len] {
                state ^= u32::from(byte);
                for _ in 0..8 {
                    state = (state >> 1) ^ (POLYNOMIAL & (state & 1).wrapping_neg());
                }
            }
            assert_eq!(crc32(&bytes[..len]), !state, "{len} bytes");
        }
    }

    #[test]
    fn does_not_care_how_the_bytes_arrive() {
        let bytes = *b"in the order of use, and once only";
        let mut crc = Crc32::new();
        bytes.chunks(5).for_each(|part| crc.update(part));
        assert_eq!(crc.finish(), crc32(&bytes));
    }
}
