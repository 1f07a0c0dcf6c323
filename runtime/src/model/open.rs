//! A model file, checked once and then read where it lies.
//!
//! [`Model::open`] sees to everything: header and checksum of the metadata, every
//! dimension, every tensor's place, order, type and shape. After that no accessor can
//! fail. Tensor bytes are not touched; [`Model::verify_tensor`] checks those on demand.

use crate::format::Sampling;
use crate::format::matrix::{Linear, Matrix};
use crate::format::{self, Config, Entry, Header, LayerEntry, OpenError, RopeHeader};
use crate::format::{Role, Section};

use super::check::{Checked, check};
use super::tensor::{Tensor, VerifyError};
use super::views::{Frequencies, Gain, Layer};

/// A model, borrowed from the bytes of its file.
#[derive(Clone, Copy, Debug)]
pub struct Model<'m> {
    config: Config,
    sampling: Sampling,
    header: Header,
    /// Exactly the file: `(total_len)`.
    file: &'m [u8],
}

impl<'m> Model<'m> {
    /// Checks the file at the start of `bytes`, which may be longer than the file.
    pub fn open(bytes: &'m [u8]) -> Result<Self, OpenError> {
        if !bytes.as_ptr().addr().is_multiple_of(format::ALIGN) {
            return Err(OpenError::Misaligned);
        }
        let header = Header::read(bytes)?;
        let whole = format::Extent { offset: 0, len: header.total_len };
        let truncated = OpenError::Truncated { needed: whole.len, found: bytes.len() as u64 };
        let file = whole.of(bytes).ok_or(truncated)?;
        let Checked { config, sampling } = check(file, &header)?;
        Ok(Self { config, sampling, header, file })
    }

    /// Bytes of the file, which the slice given to [`Model::open`] may exceed.
    pub const fn file_len(&self) -> usize {
        self.file.len()
    }

    /// Dimensions and options.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The architecture's name in its authors' own `config.json`, or the GGUF's.
    pub fn arch(&self) -> &'m str {
        Config::arch(self.section(Section::Config)).unwrap_or_default()
    }

    /// `(vocab_size, dim)`
    pub fn embedding(&self) -> Matrix<'m> {
        self.tensor(0).map_or(Matrix::EMPTY, |t| t.matrix())
    }

    /// The weights of layer `i`; every matrix is empty beyond the last.
    pub fn layer(&self, i: usize) -> Layer<'m> {
        let entry = self.layer_entry(i);
        let LayerEntry { first, count, no_rope, local, sparse, key_outliers } = entry;
        let mut layer = Layer { no_rope, local, sparse, key_outliers, ..Layer::EMPTY };
        let first = first as usize;
        for tensor in (first..first + count as usize).filter_map(|i| self.tensor(i)) {
            layer.put(&tensor);
        }
        layer
    }

    /// `(dim)`
    pub fn output_norm(&self) -> Gain<'m> {
        let of = |role| self.vector(self.after_layers(), role);
        Gain { gain: of(Role::OutputNorm).unwrap_or_default(), bias: of(Role::OutputNormBias) }
    }

    /// `(context, dim)`: what is added to the embedding at each position, if they are learned.
    pub fn positions(&self) -> Option<Matrix<'m>> {
        self.find(0, Role::Positions).map(|t| t.matrix())
    }

    /// `(dim)`: of embeddings, if they are normalised.
    pub fn embedding_norm(&self) -> Option<Gain<'m>> {
        let bias = self.vector(0, Role::EmbeddingNormBias);
        self.vector(0, Role::EmbeddingNorm).map(|gain| Gain { gain, bias })
    }

    /// `(n_heads)`: what scores are less by for each token of distance; empty if they are not.
    pub fn slopes(&self) -> &'m [f32] {
        self.vector(0, Role::Slopes).unwrap_or_default()
    }

    /// `(vocab_size, dim)`: the embedding, where the two are tied.
    pub fn output(&self) -> Linear<'m> {
        let own = self.find(self.after_layers(), Role::Output);
        Linear {
            weight: own.map_or_else(|| self.embedding(), |t| t.matrix()),
            bias: self.vector(self.after_layers(), Role::OutputBias),
        }
    }

    /// How layers are rotated, those with a window or the others, in a session whose context
    /// has this many tokens.
    pub fn rope(&self, local: bool, context: usize) -> Frequencies<'m> {
        let Config { local_rope, long_context, rot_dim, .. } = self.config;
        let table = match () {
            () if local && local_rope => 1,
            () if long_context > 0 && context > long_context => self.config.rope_tables() - 1,
            () => 0,
        };
        let len = RopeHeader::table_len(rot_dim / 2);
        let table = self.section(Section::Rope).get(table * len..(table + 1) * len);
        let table = table.unwrap_or_default();
        let phases = table.get(RopeHeader::LEN..).and_then(format::u64s);
        Frequencies {
            phases: phases.unwrap_or_default(),
            factor: RopeHeader::read(table).map_or(1.0, |h| h.attention_factor),
        }
    }

    /// The sampling that the authors recommend.
    pub const fn sampling(&self) -> Sampling {
        self.sampling
    }

    /// The tokenizer's tables, checked by their own reader.
    pub fn tokenizer_section(&self) -> &'m [u8] {
        self.section(Section::Tokenizer)
    }

    /// What surrounds the turns of a conversation, checked by its own reader.
    pub fn chat_section(&self) -> &'m [u8] {
        self.section(Section::Chat)
    }

    /// Where the file comes from: lines of `key value`.
    pub fn provenance(&self) -> &'m str {
        core::str::from_utf8(self.section(Section::Provenance)).unwrap_or_default()
    }

    /// Every tensor, in the order of the file.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = Tensor<'m>> + use<'m> {
        let this = *self;
        (0..self.n_tensors()).map(move |i| this.tensor(i).unwrap_or(Tensor::EMPTY))
    }

    /// How many tensors there are.
    pub fn n_tensors(&self) -> usize {
        self.section(Section::Directory).len() / Entry::LEN
    }

    /// Whether no matrix is quantized: then the cache is f32 as well.
    pub fn is_f32(&self) -> bool {
        self.tensors().all(|t| t.kind.name() == "f32")
    }

    /// Checks the bytes of tensor `i`: their checksum, and that every float is finite.
    pub fn verify_tensor(&self, i: usize) -> Result<(), VerifyError> {
        let next =
            self.tensor(i.saturating_add(1)).map_or(self.header.total_len, |t| t.extent.offset);
        self.tensor(i).map_or(Ok(()), |t| t.verify(self.file, next))
    }

    fn section(&self, section: Section) -> &'m [u8] {
        let extent = self.header.sections.get(section as usize - 1);
        extent.and_then(|e| e.of(self.file)).unwrap_or_default()
    }

    fn layer_entry(&self, i: usize) -> LayerEntry {
        let (entries, _) = self.section(Section::Layers).as_chunks();
        let entry = entries.get(i).and_then(|e| LayerEntry::read(e).ok());
        entry.unwrap_or_default()
    }

    /// Index of the first tensor after the layers: the output norm.
    fn after_layers(&self) -> usize {
        let last = self.layer_entry(self.config.n_layers - 1);
        last.first as usize + last.count as usize
    }

    /// Whether layer `i` has a window of its own.
    pub(crate) fn is_local(&self, i: usize) -> bool {
        self.layer_entry(i).local
    }

    /// Whether keys of layer `i` have outliers.
    pub(crate) fn has_key_outliers(&self, i: usize) -> bool {
        self.layer_entry(i).key_outliers
    }

    /// Whether the feed-forward part of layer `i` is one of experts.
    pub(crate) fn is_sparse(&self, i: usize) -> bool {
        self.layer_entry(i).sparse
    }

    /// The tensor of this role among those of no layer, from the `first` on.
    fn find(&self, first: usize, role: Role) -> Option<Tensor<'m>> {
        let tensors = (first..self.n_tensors()).map_while(|i| self.tensor(i));
        tensors.take_while(|t| t.layer.is_none()).find(|t| t.role == role)
    }

    fn vector(&self, first: usize, role: Role) -> Option<&'m [f32]> {
        self.find(first, role).map(|t| t.vector())
    }

    fn tensor(&self, i: usize) -> Option<Tensor<'m>> {
        let (entries, _) = self.section(Section::Directory).as_chunks();
        let entry = Entry::read(entries.get(i)?).ok()?;
        Tensor::new(&entry, self.section(Section::Names), self.file)
    }
}
