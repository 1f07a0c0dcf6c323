//! Writes `.oar`: the metadata last, since only then the tensors' checksums are known.
//!
//! Every length follows from the description, so tensors stream to their final place and
//! memory holds the metadata only.

use std::io::{self, Seek, SeekFrom, Write};

use byteorder::{LittleEndian, WriteBytesExt};
use oarlock::Sampling;
use oarlock::internal::crc::Crc32;
use oarlock::internal::format::{
    ALIGN, Config, Entry, Extent, Header, LayerEntry, NONE, Role, RopeHeader, Section, TensorType,
    metadata_crc, write_sampling,
};

/// A model but for its tensors, as the sections of `docs/reference/format.md` have it.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    /// Dimensions and options.
    pub config: Config,
    /// The architecture's name; its first 32 bytes are kept.
    pub arch: String,
    /// Tables of rotary frequencies, as many as [`Config::rope_tables`] says.
    pub ropes: Vec<RopeTable>,
    /// Layers whose queries and keys are not rotated; those beyond are.
    pub no_rope: Vec<bool>,
    /// Layers whose queries see no more than [`Config::window`]; those beyond see all.
    pub local: Vec<bool>,
    /// Layers with experts; those beyond have none.
    pub sparse: Vec<bool>,
    /// Layers whose keys have outliers, if [`Config::key_outliers`] says that there are some.
    pub key_outliers: Vec<bool>,
    /// The tokenizer's section.
    pub tokenizer: Vec<u8>,
    /// The chat section.
    pub chat: Vec<u8>,
    /// The sampling that the authors recommend.
    pub sampling: Sampling,
    /// Lines of text.
    pub provenance: String,
}

/// A table of rotary frequencies.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RopeTable {
    /// `(rot_dim / 2)`: frequencies in turns per position, in units of 2⁻⁶⁴ turn.
    pub phases: Vec<u64>,
    /// The factor of sine and cosine.
    pub attention_factor: f32,
}

/// A tensor to be written, or a stack of them; shape and number follow from its role.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Its name in the source.
    pub name: String,
    /// The tensor's role in the model.
    pub role: Role,
    /// Its layer, if it belongs to one.
    pub layer: Option<u32>,
    /// The type that it is stored as.
    pub kind: TensorType,
}

/// A file being written: metadata and tensors are given, in order, and then finished.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    metadata: Metadata,
    specs: Vec<Spec>,
    header: Header,
    entries: Vec<Entry>,
    /// The tensor that comes next, or is being written.
    current: usize,
    /// Tensors of its stack that are written.
    whole: usize,
    /// Bytes of the next that are.
    written: usize,
    crc: Crc32,
}

impl<W: Write + Seek> Writer<W> {
    /// Starts a file of these tensors, in the order of the format.
    ///
    /// # Errors
    /// If a size overflows, or `out` fails.
    pub fn new(mut out: W, metadata: Metadata, specs: Vec<Spec>) -> io::Result<Self> {
        let overflow = || io::Error::new(io::ErrorKind::InvalidInput, "a size overflows");
        let lens = section_lens(&metadata, &specs);
        let version = metadata.config.version();
        let start = Header::new(version, lens, 0).ok_or_else(overflow)?.metadata_len;
        let entries = place(&metadata.config, &specs, start).ok_or_else(overflow)?;
        let end = entries.last().map_or(Some(start), |e| e.extent.next()).ok_or_else(overflow)?;
        let header = Header::new(version, lens, end - start).ok_or_else(overflow)?;
        out.seek(SeekFrom::Start(start))?;
        let crc = Crc32::new();
        Ok(Self { out, metadata, specs, header, entries, current: 0, whole: 0, written: 0, crc })
    }

    /// Bytes of all tensors, padding included.
    pub const fn tensor_bytes(&self) -> u64 {
        self.header.total_len - self.header.metadata_len
    }

    /// Writes the next bytes of the current tensor, or of the current stack, whose tensors
    /// follow each other without padding here; with its last ones it is closed.
    ///
    /// # Errors
    /// If what is written to fails.
    ///
    /// # Panics
    /// If a tensor gets more bytes than its type and shape have.
    pub fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        loop {
            let Entry { kind, rows, cols, experts, role, .. } = self.entries[self.current];
            let len = kind.bytes(rows as usize, cols as usize).unwrap_or(0);
            let (now, rest) = bytes.split_at(bytes.len().min(len - self.written));
            self.put(now)?;
            self.written += now.len();
            if self.written < len {
                return Ok(());
            }
            self.put(&vec![0; len.next_multiple_of(ALIGN) - len])?;
            (self.written, self.whole, bytes) = (0, self.whole + 1, rest);
            if self.whole == if experts == NONE { 1 } else { experts as usize } {
                assert!(rest.is_empty(), "{role:?} is too long");
                self.entries[self.current].crc = std::mem::take(&mut self.crc).finish();
                (self.whole, self.current) = (0, self.current + 1);
                return Ok(());
            }
        }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.crc.update(bytes);
        self.out.write_all(bytes)
    }

    /// Writes the metadata and returns what was written to, flushed.
    ///
    /// # Errors
    /// If what is written to fails.
    ///
    /// # Panics
    /// If tensors are missing.
    pub fn finish(mut self) -> io::Result<W> {
        assert_eq!(self.current, self.entries.len(), "tensors are missing");
        let metadata = self.metadata_bytes()?;
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(&metadata)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn metadata_bytes(&self) -> io::Result<Vec<u8>> {
        let mut out = vec![0; self.header.metadata_len as usize];
        for (extent, section) in self.header.sections.iter().zip(Section::ALL) {
            let bytes = self.section(section)?;
            debug_assert_eq!(bytes.len() as u64, extent.len, "{section:?}");
            out[extent.offset as usize..][..bytes.len()].copy_from_slice(&bytes);
        }
        let mut header = [0; Header::LEN];
        self.header.write(&mut header, 0);
        out[..Header::LEN].copy_from_slice(&header);
        self.header.write(&mut header, metadata_crc(&out));
        out[..Header::LEN].copy_from_slice(&header);
        Ok(out)
    }

    fn section(&self, section: Section) -> io::Result<Vec<u8>> {
        let m = &self.metadata;
        Ok(match section {
            Section::Config => {
                let mut out = [0; Config::LEN];
                m.config.write(&mut out, &m.arch);
                out[..m.config.section_len()].into()
            }
            Section::Rope => rope(m)?,
            Section::Layers => layers(&self.specs, m),
            Section::Directory => {
                let mut out = vec![[0; Entry::LEN]; self.entries.len()];
                out.iter_mut().zip(&self.entries).for_each(|(out, entry)| entry.write(out));
                out.concat()
            }
            Section::Names => self.specs.iter().flat_map(|spec| spec.name.bytes()).collect(),
            Section::Tokenizer => m.tokenizer.clone(),
            Section::Chat => m.chat.clone(),
            Section::Sampling => write_sampling(&m.sampling).into(),
            Section::Provenance => m.provenance.clone().into(),
        })
    }
}

/// Writes a whole file to memory, for small models: tests make theirs so.
///
/// # Errors
/// If a size overflows.
///
/// # Panics
/// If a tensor has more or fewer bytes than its type and shape.
pub fn to_bytes(metadata: Metadata, tensors: Vec<(Spec, Vec<u8>)>) -> io::Result<Vec<u8>> {
    let (specs, contents): (Vec<_>, Vec<_>) = tensors.into_iter().unzip();
    let mut writer = Writer::new(io::Cursor::new(Vec::new()), metadata, specs)?;
    contents.iter().try_for_each(|bytes| writer.write(bytes))?;
    Ok(writer.finish()?.into_inner())
}

fn section_lens(m: &Metadata, specs: &[Spec]) -> [u64; Section::COUNT] {
    Section::ALL.map(|section| {
        let len = match section {
            Section::Config => m.config.section_len(),
            Section::Rope => {
                m.ropes.iter().map(|rope| RopeHeader::table_len(rope.phases.len())).sum()
            }
            Section::Layers => LayerEntry::LEN * m.config.n_layers,
            Section::Directory => Entry::LEN * specs.len(),
            Section::Names => specs.iter().map(|spec| spec.name.len()).sum(),
            Section::Tokenizer => m.tokenizer.len(),
            Section::Chat => m.chat.len(),
            Section::Sampling => oarlock::internal::format::SAMPLING_LEN,
            Section::Provenance => m.provenance.len(),
        };
        len as u64
    })
}

/// The directory of tensors that start at `offset`, without checksums.
fn place(config: &Config, specs: &[Spec], mut offset: u64) -> Option<Vec<Entry>> {
    let mut name_offset = 0;
    let mut entries = Vec::with_capacity(specs.len());
    for spec in specs {
        let (rows, cols) = spec.role.shape(config);
        let experts = spec.role.is_expert().then_some(config.n_experts);
        let len = spec.kind.stack_bytes(rows, cols, experts.unwrap_or(1))? as u64;
        let extent = Extent { offset, len };
        offset = extent.next()?;
        let name_len = u32::try_from(spec.name.len()).ok()?;
        entries.push(Entry {
            name_offset,
            name_len,
            role: spec.role,
            layer: spec.layer.unwrap_or(NONE),
            experts: experts.map_or(Some(NONE), |n| n.try_into().ok())?,
            kind: spec.kind,
            rows: rows.try_into().ok()?,
            cols: cols.try_into().ok()?,
            extent,
            crc: 0,
        });
        name_offset = name_offset.checked_add(name_len)?;
    }
    Some(entries)
}

fn rope(m: &Metadata) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    for &RopeTable { ref phases, attention_factor } in &m.ropes {
        let mut header = [0; RopeHeader::LEN];
        RopeHeader { count: phases.len() as u32, attention_factor }.write(&mut header);
        out.extend(header);
        for &phase in phases {
            out.write_u64::<LittleEndian>(phase)?;
        }
    }
    Ok(out)
}

fn layers(specs: &[Spec], m: &Metadata) -> Vec<u8> {
    let mut out = vec![[0; LayerEntry::LEN]; m.config.n_layers];
    for (layer, out) in out.iter_mut().enumerate() {
        let of_layer = |spec: &Spec| spec.layer == Some(layer as u32);
        let first = specs.iter().position(of_layer).unwrap_or(0) as u32;
        let count = specs.iter().filter(|spec| of_layer(spec)).count() as u32;
        let [no_rope, local, sparse, key_outliers] =
            [&m.no_rope, &m.local, &m.sparse, &m.key_outliers]
                .map(|layers| layers.get(layer).copied().unwrap_or(false));
        LayerEntry { first, count, no_rope, local, sparse, key_outliers }.write(out);
    }
    out.concat()
}
