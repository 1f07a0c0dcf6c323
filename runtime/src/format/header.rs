//! The header: magic, version, lengths, and the table of sections.

use core::ops::Range;

use super::constants::{ALIGN, MAGIC, VERSION};
use super::error::{Field, OpenError};
use super::extent::Extent;
use super::fields::{put, u32_at, u64_at};
use super::section::Section;
use crate::base::checked::{part, part_mut};
use crate::base::crc::Crc32;

/// Byte ranges in the header.
mod field {
    use core::ops::Range;
    pub const MAGIC: Range<usize> = 0..8;
    pub const VERSION: Range<usize> = 8..12;
    pub const CRC: Range<usize> = 12..16;
    pub const TOTAL_LEN: Range<usize> = 16..24;
    pub const METADATA_LEN: Range<usize> = 24..32;
    pub const SECTIONS: Range<usize> = 32..36;
    pub const TABLE: usize = 64;
}

/// Byte ranges in an entry of the section table.
mod entry {
    use core::ops::Range;
    pub const LEN: usize = 24;
    pub const KIND: Range<usize> = 0..4;
    pub const OFFSET: Range<usize> = 8..16;
    pub const LENGTH: Range<usize> = 16..24;
}

/// The header; the sections' offsets follow from their lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The version of the format: [`Config::version`](super::Config::version).
    pub version: u32,
    /// Bytes of the whole file.
    pub total_len: u64,
    /// Bytes of header and sections, padding included: the offset of the first tensor.
    pub metadata_len: u64,
    /// The place of each section, in the order of [`Section::ALL`].
    pub sections: [Extent; Section::COUNT],
}

impl Header {
    /// Bytes of the header, section table included.
    pub const LEN: usize = (field::TABLE + Section::COUNT * entry::LEN).next_multiple_of(ALIGN);

    /// Lays out sections of these lengths, in the order of [`Section::ALL`], before
    /// `tensors` bytes; `None` if that overflows.
    pub fn new(version: u32, lens: [u64; Section::COUNT], tensors: u64) -> Option<Self> {
        let mut sections = [Extent::default(); Section::COUNT];
        let mut offset = Self::LEN as u64;
        for (section, len) in sections.iter_mut().zip(lens) {
            *section = Extent { offset, len };
            offset = section.next()?;
        }
        let total_len = offset.checked_add(tensors)?;
        Some(Self { version, total_len, metadata_len: offset, sections })
    }

    /// The place of a section.
    pub const fn section(&self, section: Section) -> Extent {
        let [config, rope, layers, directory, names, tokenizer, chat, sampling, provenance] =
            self.sections;
        match section {
            Section::Config => config,
            Section::Rope => rope,
            Section::Layers => layers,
            Section::Directory => directory,
            Section::Names => names,
            Section::Tokenizer => tokenizer,
            Section::Chat => chat,
            Section::Sampling => sampling,
            Section::Provenance => provenance,
        }
    }

    /// Reads the header of `file` and checks it against the metadata's checksum.
    ///
    /// # Errors
    /// [`OpenError::Truncated`], [`Magic`](OpenError::Magic), [`Version`](OpenError::Version),
    /// [`Checksum`](OpenError::Checksum), or the header's [`Field`] that contradicts the others.
    pub fn read(file: &[u8]) -> Result<Self, OpenError> {
        let truncated = |needed| OpenError::Truncated { needed, found: file.len() as u64 };
        let header: &[u8; Self::LEN] = file.first_chunk().ok_or(truncated(Self::LEN as u64))?;
        if header.get(field::MAGIC) != Some(&MAGIC) {
            return Err(OpenError::Magic);
        }
        let version = u32_at(header, field::VERSION);
        if !(1..=VERSION).contains(&version) {
            return Err(OpenError::Version(version));
        }
        let this = Self::parse(header)?;
        let metadata = Extent { offset: 0, len: this.metadata_len };
        let metadata = metadata.bytes(file).ok_or(truncated(this.metadata_len))?;
        if metadata_crc(metadata) != u32_at(header, field::CRC) {
            return Err(OpenError::Checksum);
        }
        if (file.len() as u64) < this.total_len {
            return Err(truncated(this.total_len));
        }
        Ok(this)
    }

    /// Reads the lengths and checks that all the rest follows from them.
    fn parse(header: &[u8; Self::LEN]) -> Result<Self, OpenError> {
        let bad = |field| OpenError::Field(field);
        if u32_at(header, field::SECTIONS) != Section::COUNT as u32 {
            return Err(bad(Field::SectionCount));
        }
        let mut lens = [0; Section::COUNT];
        let table = part(header, field::TABLE..);
        for (len, entry) in lens.iter_mut().zip(table.chunks_exact(entry::LEN)) {
            *len = u64_at(entry, entry::LENGTH);
        }
        let total_len = u64_at(header, field::TOTAL_LEN);
        let version = u32_at(header, field::VERSION);
        let laid = Self::new(version, lens, 0).ok_or(bad(Field::SectionTable))?;
        let this = Self { total_len, ..laid };
        // One file for one content: whatever else the header holds is decided by now.
        let mut canonical = [0; Self::LEN];
        this.write(&mut canonical, u32_at(header, field::CRC));
        let differs = |range: Range<usize>| part(header, range.clone()) != part(&canonical, range);
        if differs(field::METADATA_LEN) || total_len < this.metadata_len {
            return Err(bad(Field::Lengths));
        }
        if differs(0..Self::LEN) {
            return Err(bad(Field::SectionTable));
        }
        Ok(this)
    }

    /// Writes the header; `crc` is [`metadata_crc`] of the metadata that starts with it.
    pub fn write(&self, out: &mut [u8; Self::LEN], crc: u32) {
        out.fill(0);
        put(out, field::MAGIC, MAGIC);
        put(out, field::VERSION, self.version.to_le_bytes());
        put(out, field::CRC, crc.to_le_bytes());
        put(out, field::TOTAL_LEN, self.total_len.to_le_bytes());
        put(out, field::METADATA_LEN, self.metadata_len.to_le_bytes());
        put(out, field::SECTIONS, (Section::COUNT as u32).to_le_bytes());
        let table = part_mut(out, field::TABLE..);
        let entries = table.chunks_exact_mut(entry::LEN);
        for ((out, kind), extent) in entries.zip(Section::ALL).zip(self.sections) {
            put(out, entry::KIND, (kind as u32).to_le_bytes());
            put(out, entry::OFFSET, extent.offset.to_le_bytes());
            put(out, entry::LENGTH, extent.len.to_le_bytes());
        }
    }
}

/// Computes the checksum of header and sections, its own field counted as zero.
///
/// `metadata` starts with a whole header; of less, any checksum comes.
pub fn metadata_crc(metadata: &[u8]) -> u32 {
    let mut crc = Crc32::new();
    crc.update(metadata.get(..field::CRC.start).unwrap_or_default());
    crc.update(&[0; 4]);
    crc.update(metadata.get(field::CRC.end..).unwrap_or_default());
    crc.finish()
}
