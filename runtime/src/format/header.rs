//! The header: what the file is, how long it is, and where its sections lie.

use byteorder::{ByteOrder, LittleEndian};

use super::{ALIGN, Field, MAGIC, OpenError, VERSION, align_up};
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

/// The parts of the metadata, in their order in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u32)]
pub enum Section {
    /// The model's dimensions and options: [`Config`](super::Config).
    Config = 1,
    /// Rotary frequencies as phases.
    Rope = 2,
    /// Which directory entries belong to which layer.
    Layers = 3,
    /// What tensors there are: [`Entry`](super::Entry)s.
    Directory = 4,
    /// The strings that entries point into, UTF-8.
    Names = 5,
    /// The tokenizer's tables.
    Tokenizer = 6,
    /// What surrounds the turns of a conversation.
    Chat = 7,
    /// The sampling that the model's authors recommend.
    Sampling = 8,
    /// Where the file comes from: lines of UTF-8.
    Provenance = 9,
}

impl Section {
    /// All of them, in file order.
    pub const ALL: [Self; 9] = [
        Self::Config,
        Self::Rope,
        Self::Layers,
        Self::Directory,
        Self::Names,
        Self::Tokenizer,
        Self::Chat,
        Self::Sampling,
        Self::Provenance,
    ];
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// What an error message calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Rope => "rope",
            Self::Layers => "layers",
            Self::Directory => "directory",
            Self::Names => "names",
            Self::Tokenizer => "tokenizer",
            Self::Chat => "chat",
            Self::Sampling => "sampling",
            Self::Provenance => "provenance",
        }
    }
}

/// Where something lies in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Extent {
    /// Bytes from the start of the file.
    pub offset: u64,
    /// Bytes, without the padding after it.
    pub len: u64,
}

impl Extent {
    /// Where the next thing starts, or `None` if that overflows.
    pub const fn next(self) -> Option<u64> {
        match self.offset.checked_add(self.len) {
            Some(end) => align_up(end),
            None => None,
        }
    }

    /// These bytes of `file`, if it has them.
    pub fn of(self, file: &[u8]) -> Option<&[u8]> {
        let start = usize::try_from(self.offset).ok()?;
        let len = usize::try_from(self.len).ok()?;
        file.get(start..start.checked_add(len)?)
    }
}

/// The header, whose section offsets follow from the section lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The version of the format: [`Config::version`](super::Config::version).
    pub version: u32,
    /// Bytes of the whole file.
    pub total_len: u64,
    /// Bytes of header and sections, padding included: where the tensors start.
    pub metadata_len: u64,
    /// Where each section lies, in the order of [`Section::ALL`].
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

    /// Reads the header of `file` and checks it against the metadata's checksum.
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
        let metadata = metadata.of(file).ok_or(truncated(this.metadata_len))?;
        if metadata_crc(metadata) != u32_at(header, field::CRC) {
            return Err(OpenError::Checksum);
        }
        if (file.len() as u64) < this.total_len {
            return Err(truncated(this.total_len));
        }
        Ok(this)
    }

    /// Reads the lengths and sees that all the rest follows from them.
    fn parse(header: &[u8; Self::LEN]) -> Result<Self, OpenError> {
        let bad = |field| OpenError::Field(field);
        if u32_at(header, field::SECTIONS) != Section::COUNT as u32 {
            return Err(bad(Field::SectionCount));
        }
        let mut lens = [0; Section::COUNT];
        let table = header.get(field::TABLE..).unwrap_or_default();
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
        let differs =
            |range: core::ops::Range<usize>| header.get(range.clone()) != canonical.get(range);
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
        put(out, field::MAGIC, |b| b.copy_from_slice(&MAGIC));
        put(out, field::VERSION, |b| LittleEndian::write_u32(b, self.version));
        put(out, field::CRC, |b| LittleEndian::write_u32(b, crc));
        put(out, field::TOTAL_LEN, |b| LittleEndian::write_u64(b, self.total_len));
        put(out, field::METADATA_LEN, |b| LittleEndian::write_u64(b, self.metadata_len));
        put(out, field::SECTIONS, |b| LittleEndian::write_u32(b, Section::COUNT as u32));
        let table = out.get_mut(field::TABLE..).unwrap_or_default();
        let entries = table.chunks_exact_mut(entry::LEN);
        for ((out, kind), extent) in entries.zip(Section::ALL).zip(self.sections) {
            put(out, entry::KIND, |b| LittleEndian::write_u32(b, kind as u32));
            put(out, entry::OFFSET, |b| LittleEndian::write_u64(b, extent.offset));
            put(out, entry::LENGTH, |b| LittleEndian::write_u64(b, extent.len));
        }
    }
}

/// The checksum of header and sections, its own field counted as zero.
pub fn metadata_crc(metadata: &[u8]) -> u32 {
    let mut crc = Crc32::new();
    crc.update(metadata.get(..field::CRC.start).unwrap_or(metadata));
    crc.update(&[0; 4]);
    crc.update(metadata.get(field::CRC.end..).unwrap_or_default());
    crc.finish()
}

/// The field of a record whose length is known to hold it.
pub(super) fn u32_at(record: &[u8], range: core::ops::Range<usize>) -> u32 {
    record.get(range).map_or(0, LittleEndian::read_u32)
}

pub(super) fn u64_at(record: &[u8], range: core::ops::Range<usize>) -> u64 {
    record.get(range).map_or(0, LittleEndian::read_u64)
}

pub(super) fn f32_at(record: &[u8], range: core::ops::Range<usize>) -> f32 {
    record.get(range).map_or(0.0, LittleEndian::read_f32)
}

/// The f64 at `range` of a record; zero if the record is too short.
pub(super) fn f64_at(record: &[u8], range: core::ops::Range<usize>) -> f64 {
    record.get(range).map_or(0.0, LittleEndian::read_f64)
}

pub(super) fn put(record: &mut [u8], range: core::ops::Range<usize>, f: impl FnOnce(&mut [u8])) {
    if let Some(bytes) = record.get_mut(range) {
        f(bytes);
    }
}
