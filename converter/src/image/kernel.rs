//! The program of a board without an operating system: from what the linker made to the
//! bytes that the firmware loads.

use std::io::Write;

use byteorder::{ByteOrder, LittleEndian};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::unfit::Unfit;

/// The address that the program of `boards/raspi` is linked to, and `config.txt` has it loaded at.
pub const LOAD_ADDRESS: u64 = 0x8_0000;
/// More than any such program takes; a damaged file may claim anything.
const MAX_BYTES: u64 = 64 << 20;

/// Linux' header of 64-bit images (Documentation/arch/arm64/booting.rst).
const OFFSET_AT: usize = 8;
const SIZE_AT: usize = 16;
const MAGIC_AT: usize = 56;
const MAGIC: &[u8; 4] = b"ARM\x64";

/// The program as one piece of memory, from an ELF file or already so.
pub fn flat(bytes: &[u8]) -> Result<Vec<u8>, Unfit> {
    let flat = if bytes.starts_with(b"\x7fELF") { segments(bytes)? } else { bytes.to_vec() };
    check(&flat)?;
    Ok(flat)
}

/// The program as it lies on the card. The firmware unpacks it, as it does with the Linux that
/// its makers ship under the same name; a third as long, it is read a third as long.
pub fn packed(flat: &[u8]) -> std::io::Result<Vec<u8>> {
    // No name and no time: the same program gives the same bytes.
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(flat)?;
    packer.finish()
}

/// Whether this is such a program, alone: its header says how long it is.
fn check(flat: &[u8]) -> Result<(), Unfit> {
    if flat.get(MAGIC_AT..MAGIC_AT + 4) != Some(MAGIC) {
        return Err(Unfit("not a program for the bare board"));
    }
    let number = |at: usize| flat.get(at..at + 8).map(LittleEndian::read_u64);
    if number(OFFSET_AT) != Some(LOAD_ADDRESS) {
        return Err(Unfit("linked for another address than the board's"));
    }
    if number(SIZE_AT) != Some(flat.len() as u64) {
        return Err(Unfit("shorter or longer than it says itself"));
    }
    Ok(())
}

/// The loadable segments of a 64-bit ELF file for ARM, with the gaps and what is zero at the
/// start as zeros (System V ABI, chapter 5).
fn segments(bytes: &[u8]) -> Result<Vec<u8>, Unfit> {
    const DAMAGED: Unfit = Unfit("a damaged ELF program");
    let half = |at: usize| bytes.get(at..at + 2).map(LittleEndian::read_u16).ok_or(DAMAGED);
    let long = |at: usize| bytes.get(at..at + 8).map(LittleEndian::read_u64).ok_or(DAMAGED);
    if bytes.get(4..6) != Some(&[2, 1]) || half(18)? != 183 {
        return Err(Unfit("a program for another machine"));
    }
    let (table, size, count) = (long(32)?, usize::from(half(54)?), usize::from(half(56)?));
    let mut flat = Vec::new();
    for i in 0..count {
        let at = usize::try_from(table).map_err(|_| DAMAGED)?.saturating_add(i * size);
        if bytes.get(at..at.saturating_add(4)).map(LittleEndian::read_u32) != Some(1) {
            continue;
        }
        let (offset, address) = (long(at + 8)? as usize, long(at + 16)?);
        let (in_file, in_memory) = (long(at + 32)? as usize, long(at + 40)?);
        let start = address.checked_sub(LOAD_ADDRESS).ok_or(DAMAGED)?;
        let end = start.checked_add(in_memory).filter(|&end| end <= MAX_BYTES).ok_or(DAMAGED)?;
        let part = bytes.get(offset..offset.saturating_add(in_file)).ok_or(DAMAGED)?;
        let (start, end) = (start as usize, end as usize);
        flat.resize(flat.len().max(end), 0);
        flat.get_mut(start..start + part.len()).ok_or(DAMAGED)?.copy_from_slice(part);
    }
    Ok(flat)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program of `len` bytes that does nothing.
    fn program(len: usize) -> Vec<u8> {
        let mut flat = vec![0; len];
        LittleEndian::write_u64(&mut flat[OFFSET_AT..], LOAD_ADDRESS);
        LittleEndian::write_u64(&mut flat[SIZE_AT..], len as u64);
        flat[MAGIC_AT..MAGIC_AT + 4].copy_from_slice(MAGIC);
        flat
    }

    /// The same, as a linker leaves it: two segments, the second partly zero.
    fn elf(flat: &[u8], cut: usize, zeros: usize) -> Vec<u8> {
        let mut bytes = vec![0; 64 + 2 * 56];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        LittleEndian::write_u16(&mut bytes[18..], 183);
        LittleEndian::write_u64(&mut bytes[32..], 64);
        LittleEndian::write_u16(&mut bytes[54..], 56);
        LittleEndian::write_u16(&mut bytes[56..], 2);
        let parts = [(0, cut, 0), (cut, flat.len() - zeros, zeros)];
        for (i, (start, end, zeros)) in parts.into_iter().enumerate() {
            let (at, offset) = (64 + 56 * i, bytes.len() as u64);
            LittleEndian::write_u32(&mut bytes[at..], 1);
            LittleEndian::write_u64(&mut bytes[at + 8..], offset);
            LittleEndian::write_u64(&mut bytes[at + 16..], LOAD_ADDRESS + start as u64);
            LittleEndian::write_u64(&mut bytes[at + 32..], (end - start) as u64);
            LittleEndian::write_u64(&mut bytes[at + 40..], (end - start + zeros) as u64);
            bytes.extend_from_slice(&flat[start..end]);
        }
        bytes
    }

    #[test]
    fn an_elf_file_becomes_what_is_loaded() {
        let flat_program = program(4096);
        assert_eq!(flat(&flat_program).as_ref(), Ok(&flat_program));
        let elf = elf(&flat_program, 1000, 2000);
        assert_eq!(flat(&elf).as_ref(), Ok(&flat_program));
        for end in 0..elf.len() {
            assert!(flat(&elf[..end]).is_err(), "cut to {end}");
        }
    }

    #[test]
    fn what_is_packed_is_the_same_each_time_and_unpacks() {
        let program = program(100_000);
        let one = packed(&program).unwrap();
        assert!(one == packed(&program).unwrap() && one.len() < program.len());
        assert_eq!(one[4..8], [0; 4], "no time");
        let mut unpacked = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&one[..]), &mut unpacked)
            .unwrap();
        assert!(unpacked == program);
    }

    #[test]
    fn what_is_not_the_board_s_program_is_refused() {
        let good = program(4096);
        assert!(flat(&good[..4000]).is_err() && flat(&[&good[..], b"more"].concat()).is_err());
        for at in [OFFSET_AT, SIZE_AT, MAGIC_AT] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(flat(&bad).is_err(), "byte {at}");
        }
        assert!(flat(b"").is_err() && flat(b"\x7fELF").is_err());
    }
}
