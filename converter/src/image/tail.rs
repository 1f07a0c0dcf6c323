//! The last bytes of a program that carries a model: where in the file the model lies.
//!
//! Whoever makes an image and the program that looks for its model both use this.
//! `docs/format.md` describes it.

use std::ops::Range;

use byteorder::{ByteOrder, LittleEndian};
use oarlock::crc::Crc32;

/// Bytes of a tail.
pub const TAIL_BYTES: usize = 32;
/// The model begins at a multiple of this, the largest page of the systems in question: a
/// map of it begins with a page of its own.
pub const MODEL_ALIGN: u64 = 16_384;

const MAGIC: &[u8; 8] = b"oar-tail";
const MAGIC_AT: Range<usize> = 0..8;
const OFFSET_AT: Range<usize> = 8..16;
const LENGTH_AT: Range<usize> = 16..24;
const CRC_AT: Range<usize> = 24..28;
const RESERVED_AT: Range<usize> = 28..32;

/// The tail of a file whose model lies at `model`.
pub fn write(model: &Range<u64>) -> [u8; TAIL_BYTES] {
    let mut tail = [0; TAIL_BYTES];
    tail[MAGIC_AT].copy_from_slice(MAGIC);
    LittleEndian::write_u64(&mut tail[OFFSET_AT], model.start);
    LittleEndian::write_u64(&mut tail[LENGTH_AT], model.end - model.start);
    let crc = checksum(&tail);
    LittleEndian::write_u32(&mut tail[CRC_AT], crc);
    tail
}

/// Where the model lies in a file of `file_bytes` that ends in `tail`; `None` if this is
/// not the tail of such a file.
pub fn read(tail: &[u8; TAIL_BYTES], file_bytes: u64) -> Option<Range<u64>> {
    let crc = LittleEndian::read_u32(&tail[CRC_AT]);
    if tail[MAGIC_AT] != *MAGIC || crc != checksum(tail) || tail[RESERVED_AT] != [0; 4] {
        return None;
    }
    let start = LittleEndian::read_u64(&tail[OFFSET_AT]);
    let end = start.checked_add(LittleEndian::read_u64(&tail[LENGTH_AT]))?;
    let whole = end.checked_add(TAIL_BYTES as u64)? == file_bytes;
    (whole && start.is_multiple_of(MODEL_ALIGN)).then_some(start..end)
}

fn checksum(tail: &[u8; TAIL_BYTES]) -> u32 {
    let mut crc = Crc32::new();
    crc.update(&tail[..CRC_AT.start]);
    crc.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_says_where_the_model_is() {
        let model = 32_768..40_000;
        let tail = write(&model);
        assert_eq!(read(&tail, 40_032), Some(model));
    }

    #[test]
    fn what_is_not_the_tail_of_this_file_is_none() {
        let good = write(&(32_768..40_000));
        assert_eq!(read(&good, 40_033), None, "something was appended");
        for i in 0..TAIL_BYTES {
            let mut bad = good;
            bad[i] ^= 1;
            assert_eq!(read(&bad, 40_032), None, "byte {i}");
        }
        assert_eq!(read(&write(&(32_769..40_001)), 40_033), None, "not on a page");
        assert_eq!(read(&write(&(0..u64::MAX)), 31), None, "no overflow");
    }
}
