//! The checks of [`Model::open`](super::Model::open) after the header.

use crate::base::checked::part;
use crate::format::layout::WeightType;
use crate::format::{Config, Entry, Extent, Field, Header, LayerEntry, NONE, OpenError, Role};
use crate::format::{RopeHeader, Sampling, Section, TensorType, read_sampling};

/// The sections that were read on the way.
pub(super) struct Checked {
    pub(super) config: Config,
    pub(super) sampling: Sampling,
}

/// Checks a `file` whose header is in order.
pub(super) fn check(file: &[u8], header: &Header) -> Result<Checked, OpenError> {
    let section =
        |s: Section| header.section(s).bytes(file).ok_or(OpenError::Field(Field::SectionTable));
    let config = Config::read(section(Section::Config)?)?;
    // One file for one content: a later version than the first that suffices is another file.
    if header.version != config.version() {
        return Err(OpenError::Field(Field::Version));
    }
    rope(&config, section(Section::Rope)?)?;
    let names = utf8(section(Section::Names)?, Section::Names)?;
    utf8(section(Section::Provenance)?, Section::Provenance)?;
    let sampling = read_sampling(section(Section::Sampling)?)?;
    let (entries, rest) = section(Section::Directory)?.as_chunks();
    if !rest.is_empty() {
        return Err(OpenError::SectionLength(Section::Directory));
    }
    let (layers, rest) = section(Section::Layers)?.as_chunks();
    if !rest.is_empty() || layers.len() != config.n_layers {
        return Err(OpenError::SectionLength(Section::Layers));
    }
    Walk { config, names, entries, index: 0, offset: header.metadata_len }
        .walk(layers, header.total_len)?;
    Ok(Checked { config, sampling })
}

/// Checks the tables of rotary frequencies, which are all of one length.
fn rope(config: &Config, section: &[u8]) -> Result<(), OpenError> {
    let len = RopeHeader::table_len(config.rot_dim / 2);
    if section.len() != len * config.rope_tables() {
        return Err(OpenError::SectionLength(Section::Rope));
    }
    for table in 0..config.rope_tables() {
        RopeHeader::read(part(section, table * len..(table + 1) * len))?;
    }
    Ok(())
}

fn utf8(bytes: &[u8], section: Section) -> Result<&str, OpenError> {
    core::str::from_utf8(bytes).or(Err(OpenError::NotUtf8(section)))
}

/// A walk over the directory in the one order that it can have.
struct Walk<'m> {
    config: Config,
    names: &'m str,
    entries: &'m [[u8; Entry::LEN]],
    /// Index of the next entry.
    index: usize,
    /// Offset of the next tensor in the file.
    offset: u64,
}

impl Walk<'_> {
    fn walk(mut self, layers: &[[u8; LayerEntry::LEN]], total_len: u64) -> Result<(), OpenError> {
        self.all_of(Role::BEFORE, NONE, false)?;
        let mut key_outliers = false;
        for (i, entry) in layers.iter().enumerate() {
            let entry = LayerEntry::read(entry)?;
            key_outliers |= entry.key_outliers;
            self.layer(i as u32, entry)?;
        }
        if key_outliers != self.config.key_outliers {
            return Err(OpenError::Field(Field::LayerFlags));
        }
        self.all_of(Role::AFTER, NONE, false)?;
        if self.index != self.entries.len() {
            return Err(OpenError::SectionLength(Section::Directory));
        }
        if self.offset != total_len {
            return Err(OpenError::Field(Field::TotalLength));
        }
        Ok(())
    }

    fn layer(&mut self, layer: u32, entry: LayerEntry) -> Result<(), OpenError> {
        let first = self.index;
        if entry.first as usize != first {
            return Err(OpenError::Field(Field::LayerFirst));
        }
        let has_experts = self.config.n_experts > 0;
        if entry.local && self.config.window == 0 || entry.sparse && !has_experts {
            return Err(OpenError::Field(Field::LayerFlags));
        }
        self.all_of(Role::LAYER, layer, entry.sparse)?;
        if entry.count as usize != self.index - first {
            return Err(OpenError::Field(Field::LayerCount));
        }
        Ok(())
    }

    /// Checks the tensors of those `roles` that this model has, or may have.
    fn all_of(&mut self, roles: &[Role], layer: u32, sparse: bool) -> Result<(), OpenError> {
        let config = self.config;
        for &role in roles.iter().filter(|role| role.is_in(&config, sparse)) {
            // What the config announces must be there, biases otherwise may.
            if role.is_bias() && role != Role::OutputBias {
                self.take(role, layer)?;
            } else {
                self.need(role, layer)?;
            }
        }
        Ok(())
    }

    /// Checks the next entry, which must have this role and layer.
    fn need(&mut self, role: Role, layer: u32) -> Result<(), OpenError> {
        if self.take(role, layer)? { Ok(()) } else { Err(OpenError::Missing { layer, role }) }
    }

    /// Checks the next entry if it has this role and layer, and returns whether it does.
    fn take(&mut self, role: Role, layer: u32) -> Result<bool, OpenError> {
        let Some(bytes) = self.entries.get(self.index) else { return Ok(false) };
        let index = self.index as u32;
        let entry = Entry::read(bytes).map_err(|field| OpenError::Tensor { index, field })?;
        if (entry.role, entry.layer) != (role, layer) {
            return Ok(false);
        }
        self.check(&entry).map_err(|field| OpenError::Tensor { index, field })?;
        self.offset =
            entry.extent.next().ok_or(OpenError::Tensor { index, field: Field::Length })?;
        self.index += 1;
        Ok(true)
    }

    fn check(&self, entry: &Entry) -> Result<(), Field> {
        let require = |ok, field| if ok { Ok(()) } else { Err(field) };
        let name = entry.name_offset as usize;
        let end = name.checked_add(entry.name_len as usize);
        require(end.is_some_and(|end| self.names.get(name..end).is_some()), Field::Name)?;
        // `Config::check` has seen that u32 holds it.
        let n_experts = if entry.role.is_expert() { Some(self.config.n_experts) } else { None };
        require(entry.experts == n_experts.map_or(NONE, |n| n as u32), Field::Experts)?;
        let is_vector = entry.kind == TensorType::Vector;
        require(is_vector == entry.role.is_vector(), Field::Type)?;
        let is_f32 = entry.kind == TensorType::Matrix(WeightType::F32);
        require(is_f32 || !entry.role.is_router(), Field::Type)?;
        let (rows, cols) = (entry.rows as usize, entry.cols as usize);
        require((rows, cols) == entry.role.shape(&self.config), Field::Shape)?;
        let Extent { offset, len } = entry.extent;
        let bytes = entry.kind.stack_bytes(rows, cols, n_experts.unwrap_or(1));
        require(bytes.is_some_and(|n| n as u64 == len), Field::Length)?;
        require(offset == self.offset, Field::Offset)
    }
}
