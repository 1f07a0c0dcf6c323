//! The mark inside a program which says whether a model follows it, and where.
//!
//! Every `oarlock` holds one that says no; making an image writes over it. So a program knows
//! what it was made to carry even where its end is missing. Whoever makes an image and the
//! program itself both use this; `docs/reference/format.md` describes it.

use std::fmt;
use std::ops::Range;

use byteorder::{ByteOrder, LittleEndian};
use oarlock::internal::crc::Crc32;

/// Bytes of a mark.
pub const MARK_BYTES: usize = 40;
/// The model begins at a multiple of this, the largest page of the systems in question: a
/// map of it begins with a page of its own.
pub const MODEL_ALIGN: u64 = 16_384;

const MAGIC: &[u8; 16] = b"oarlock carries:";
const OFFSET_AT: Range<usize> = 16..24;
const LENGTH_AT: Range<usize> = 24..32;
const CRC_AT: Range<usize> = 32..36;
const RESERVED_AT: Range<usize> = 36..40;

/// The mark of a program that carries nothing.
pub const NOTHING: [u8; MARK_BYTES] = {
    let mut mark = [0; MARK_BYTES];
    let mut i = 0;
    while i < MAGIC.len() {
        mark[i] = MAGIC[i];
        i += 1;
    }
    mark
};

/// A mark that no image was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged;

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the mark of the place of the model is damaged")
    }
}

impl std::error::Error for Damaged {}

/// The mark of a program whose model lies at `model` of the file.
pub fn write(model: &Range<u64>) -> [u8; MARK_BYTES] {
    let mut mark = NOTHING;
    LittleEndian::write_u64(&mut mark[OFFSET_AT], model.start);
    LittleEndian::write_u64(&mut mark[LENGTH_AT], model.end - model.start);
    let crc = checksum(&mark);
    LittleEndian::write_u32(&mut mark[CRC_AT], crc);
    mark
}

/// Reads where in the file the model lies, in bytes, if there is one.
///
/// # Errors
/// If no image was made with this mark.
///
/// The name at the front is covered by the checksum alone: comparing would bring a second
/// copy of it into the program, and then nobody could tell which of them is the mark.
pub fn read(mark: &[u8; MARK_BYTES]) -> Result<Option<Range<u64>>, Damaged> {
    if mark[OFFSET_AT.start..].iter().all(|&byte| byte == 0) {
        return Ok(None);
    }
    let start = LittleEndian::read_u64(&mark[OFFSET_AT]);
    let end = start.checked_add(LittleEndian::read_u64(&mark[LENGTH_AT])).ok_or(Damaged)?;
    let whole = LittleEndian::read_u32(&mark[CRC_AT]) == checksum(mark);
    let known = mark[RESERVED_AT] == [0; 4];
    let fits = start < end && start.is_multiple_of(MODEL_ALIGN);
    if whole && known && fits { Ok(Some(start..end)) } else { Err(Damaged) }
}

/// Finds the mark of a program, and its offset in bytes; `None` if it has none, or more than one.
pub fn find(program: &[u8]) -> Option<(usize, &[u8; MARK_BYTES])> {
    let mut marks = program.windows(MARK_BYTES).enumerate().filter(|(_, w)| w.starts_with(MAGIC));
    let (at, mark) = marks.next()?;
    Some((at, mark.try_into().ok()?)).filter(|_| marks.next().is_none())
}

fn checksum(mark: &[u8; MARK_BYTES]) -> u32 {
    let mut crc = Crc32::new();
    crc.update(&mark[..CRC_AT.start]);
    crc.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_says_where_the_model_is() {
        let model = 32_768..40_000;
        assert_eq!(read(&write(&model)), Ok(Some(model)));
        assert_eq!(read(&NOTHING), Ok(None));
    }

    #[test]
    fn what_no_image_was_made_with_is_damaged() {
        let good = write(&(32_768..40_000));
        for i in 0..MARK_BYTES {
            let mut bad = good;
            bad[i] ^= 1;
            assert_eq!(read(&bad), Err(Damaged), "byte {i}");
        }
        assert_eq!(read(&write(&(32_769..40_001))), Err(Damaged), "not on a page");
        assert_eq!(read(&write(&(0..0))), Err(Damaged), "no model");
    }

    #[test]
    fn a_mark_is_found_if_there_is_one_alone() {
        let program = [&[1; 7][..], &NOTHING, &[2; 9]].concat();
        assert_eq!(find(&program), Some((7, &NOTHING)));
        assert_eq!(find(&program[..46]), None, "cut short");
        assert_eq!(find(&[&program[..], &program].concat()), None, "which of them?");
    }
}
