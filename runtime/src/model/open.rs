//! An open model: a file that is checked once and then read where it lies.
//!
//! [`Model::open`] checks everything: header and checksum of the metadata, every
//! dimension, every tensor's place, order, type and shape. After that no accessor can
//! fail. Tensor bytes are not touched; [`Model::verify_tensor`] checks those on demand.

use crate::base::checked::{part, present};
use crate::format::Sampling;
use crate::format::matrix::{Linear, Matrix};
use crate::format::{self, Config, Entry, Header, LayerEntry, OpenError, RopeHeader};
use crate::format::{Role, Section};

use super::check::{Checked, check};
use super::tensor::{Tensor, VerifyError};
use super::views::{Frequencies, Layer, NormWeights};

/// A model, borrowed from the bytes of its file.
#[derive(Clone, Copy, Debug)]
pub struct Model<'m> {
    config: Config,
    sampling: Sampling,
    header: Header,
    /// The file without what follows it: `(total_len)`.
    file: &'m [u8],
}

impl<'m> Model<'m> {
    /// Checks the file at the start of `bytes`, which may be longer than the file and begin on a
    /// 64-byte boundary.
    ///
    /// # Errors
    /// [`OpenError`]: the first thing that is wrong with the file. A file of any bytes is refused
    /// or opened, and never does worse than to generate nonsense.
    pub fn open(bytes: &'m [u8]) -> Result<Self, OpenError> {
        if !bytes.as_ptr().addr().is_multiple_of(format::ALIGN) {
            return Err(OpenError::Misaligned);
        }
        let header = Header::read(bytes)?;
        let whole = format::Extent { offset: 0, len: header.total_len };
        let truncated = OpenError::Truncated { needed: whole.len, found: bytes.len() as u64 };
        let file = whole.bytes(bytes).ok_or(truncated)?;
        let Checked { config, sampling } = check(file, &header)?;
        Ok(Self { config, sampling, header, file })
    }

    /// Bytes of the file, which the slice given to [`Model::open`] may exceed.
    pub const fn file_len(&self) -> usize {
        self.file.len()
    }

    /// The model's dimensions and options.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The name of the architecture, as `config.json` or the GGUF had it.
    pub fn arch(&self) -> &'m str {
        present(Config::arch(self.section(Section::Config)).ok())
    }

    /// The embedding, a row for each token: `(vocab_size, dim)`.
    #[doc(hidden)]
    pub fn embedding(&self) -> Matrix<'m> {
        self.checked_tensor(0).matrix()
    }

    /// The weights of layer `i`; all are empty beyond the last layer.
    #[doc(hidden)]
    pub fn layer(&self, i: usize) -> Layer<'m> {
        let entry = self.layer_entry(i);
        let LayerEntry { first, count, no_rope, local, sparse, key_outliers } = entry;
        let mut layer = Layer { no_rope, local, sparse, key_outliers, ..Layer::EMPTY };
        let first = first as usize;
        for i in first..first + count as usize {
            layer.put(&self.checked_tensor(i));
        }
        layer
    }

    /// The norm before the output matrix, `(dim)`.
    #[doc(hidden)]
    pub fn output_norm(&self) -> NormWeights<'m> {
        let vector = |role| self.vector(self.after_layers(), role);
        NormWeights { gain: present(vector(Role::OutputNorm)), bias: vector(Role::OutputNormBias) }
    }

    /// The learned positions, which are added to the embedding, if the model has some:
    /// `(context, dim)`.
    #[doc(hidden)]
    pub fn positions(&self) -> Option<Matrix<'m>> {
        self.find(0, Role::Positions).map(|t| t.matrix())
    }

    /// The norm of embeddings, if there is one: `(dim)`.
    #[doc(hidden)]
    pub fn embedding_norm(&self) -> Option<NormWeights<'m>> {
        let bias = self.vector(0, Role::EmbeddingNormBias);
        self.vector(0, Role::EmbeddingNorm).map(|gain| NormWeights { gain, bias })
    }

    /// The ALiBi slopes, by which scores are less for each token of distance: `(n_heads)`, or empty
    /// ([`Positions::Alibi`](crate::format::Positions::Alibi)).
    #[doc(hidden)]
    pub fn slopes(&self) -> &'m [f32] {
        self.vector(0, Role::Slopes).unwrap_or_default()
    }

    /// The output matrix (lm_head), `(vocab_size, dim)`: the embedding, where the two are tied.
    #[doc(hidden)]
    pub fn output(&self) -> Linear<'m> {
        let own = self.find(self.after_layers(), Role::Output);
        Linear {
            weight: own.map_or_else(|| self.embedding(), |t| t.matrix()),
            bias: self.vector(self.after_layers(), Role::OutputBias),
        }
    }

    /// The rotary frequencies of layers with a window (`local`) or of the others, in a session with
    /// a context of this many tokens.
    #[doc(hidden)]
    pub fn rope(&self, local: bool, context: usize) -> Frequencies<'m> {
        let Config { local_rope, long_context, rot_dim, .. } = self.config;
        let table = match () {
            () if local && local_rope => 1,
            () if long_context > 0 && context > long_context => self.config.rope_tables() - 1,
            () => 0,
        };
        let len = RopeHeader::table_len(rot_dim / 2);
        let table = part(self.section(Section::Rope), table * len..(table + 1) * len);
        let phases = present(format::u64s(part(table, RopeHeader::LEN..)));
        let header = RopeHeader::read(table);
        debug_assert!(header.is_ok(), "the file was checked");
        Frequencies { phases, factor: header.map_or(1.0, |header| header.attention_factor) }
    }

    /// The sampling that the authors recommend.
    pub const fn sampling(&self) -> Sampling {
        self.sampling
    }

    /// The tokenizer's tables, which [`Tokenizer::new`](crate::Tokenizer::new) checks.
    pub fn tokenizer_section(&self) -> &'m [u8] {
        self.section(Section::Tokenizer)
    }

    /// The chat template's program, which [`Chat::new`](crate::Chat::new) checks.
    pub fn chat_section(&self) -> &'m [u8] {
        self.section(Section::Chat)
    }

    /// The origin of the file: lines of `key value`.
    pub fn provenance(&self) -> &'m str {
        present(core::str::from_utf8(self.section(Section::Provenance)).ok())
    }

    /// Every tensor, in the order of the file.
    #[doc(hidden)]
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = Tensor<'m>> + use<'m> {
        let this = *self;
        (0..self.n_tensors()).map(move |i| this.checked_tensor(i))
    }

    /// Number of tensors.
    pub fn n_tensors(&self) -> usize {
        self.section(Section::Directory).len() / Entry::LEN
    }

    /// Whether no matrix is quantized, which makes the cache f32 as well.
    pub fn is_f32(&self) -> bool {
        self.tensors().all(|t| t.kind.name() == "f32")
    }

    /// Checks the bytes of tensor `i`, all of which are read: their checksum, and that every float
    /// is finite. Beyond the last tensor there is nothing to check.
    ///
    /// # Errors
    /// [`VerifyError`]: the tensor is damaged.
    pub fn verify_tensor(&self, i: usize) -> Result<(), VerifyError> {
        let next =
            self.tensor(i.saturating_add(1)).map_or(self.header.total_len, |t| t.extent.offset);
        self.tensor(i).map_or(Ok(()), |t| t.verify(self.file, next))
    }

    /// The bytes of a section.
    fn section(&self, section: Section) -> &'m [u8] {
        present(self.header.section(section).bytes(self.file))
    }

    /// The entry of layer `i`; without tensors beyond the last.
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

    /// Whether queries of layer `i` see no more than the window.
    pub(crate) fn is_local(&self, i: usize) -> bool {
        self.layer_entry(i).local
    }

    /// Whether keys of layer `i` have outliers, which an int8 cache could not hold.
    pub(crate) fn has_key_outliers(&self, i: usize) -> bool {
        self.layer_entry(i).key_outliers
    }

    /// Whether layer `i` has experts.
    pub(crate) fn is_sparse(&self, i: usize) -> bool {
        self.layer_entry(i).sparse
    }

    /// Finds the tensor of this role among those of no layer, from the `first` on.
    fn find(&self, first: usize, role: Role) -> Option<Tensor<'m>> {
        let tensors = (first..self.n_tensors()).map_while(|i| self.tensor(i));
        tensors.take_while(|t| t.layer.is_none()).find(|t| t.role == role)
    }

    fn vector(&self, first: usize, role: Role) -> Option<&'m [f32]> {
        self.find(first, role).map(|t| t.vector())
    }

    /// The tensor `i`, which the file has.
    fn checked_tensor(&self, i: usize) -> Tensor<'m> {
        let tensor = self.tensor(i);
        debug_assert!(tensor.is_some(), "the file was checked");
        tensor.unwrap_or(Tensor::EMPTY)
    }

    /// The tensor `i`; `None` beyond the last.
    fn tensor(&self, i: usize) -> Option<Tensor<'m>> {
        let (entries, _) = self.section(Section::Directory).as_chunks();
        let entry = Entry::read(entries.get(i)?).ok()?;
        Tensor::new(&entry, self.section(Section::Names), self.file)
    }
}
