//! A model file, checked once and then read where it lies.
//!
//! [`Model::open`] sees to everything: header and checksum of the metadata, every
//! dimension, every tensor's place, order, type and shape. After that no accessor can
//! fail. Tensor bytes are not touched; [`Model::verify_tensor`] checks those on demand.

mod check;
mod experts;
mod tensor;

use crate::format::{self, Config, Entry, Header, LayerEntry, OpenError, RopeHeader};
use crate::format::{Role, Section};
pub use crate::matrix::Linear;
use crate::matrix::Matrix;
use crate::sampler::Sampling;

pub use crate::format::{Activation, Clamped, Mlp, Norm, Norms, Positions, QkNorm, Residual};
pub use crate::format::{Routing, Scale};
pub use experts::{Experts, Stacked};
pub use tensor::{Stack, Tensor, VerifyError};

/// A model, borrowed from the bytes of its file.
#[derive(Clone, Copy, Debug)]
pub struct Model<'m> {
    config: Config,
    sampling: Sampling,
    header: Header,
    /// Exactly the file: `(total_len)`.
    file: &'m [u8],
}

/// The weights of a norm.
#[derive(Clone, Copy, Debug)]
pub struct Gain<'m> {
    /// What normalised elements are multiplied by.
    pub gain: &'m [f32],
    /// What is then added, as long.
    pub bias: Option<&'m [f32]>,
}

/// Rotary frequencies.
#[derive(Clone, Copy, Debug)]
pub struct Frequencies<'m> {
    /// Turns per position of each, in units of 2⁻⁶⁴ turn: `(rot_dim / 2)`.
    pub phases: &'m [u64],
    /// What sine and cosine are multiplied by, usually 1.
    pub factor: f32,
}

/// The weights of one layer; what its model does without is empty.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'m> {
    /// `(dim)`
    pub attn_norm: Gain<'m>,
    /// `(n_heads · head_dim, dim)`
    pub q: Linear<'m>,
    /// See [`QkNorm`]
    pub q_norm: &'m [f32],
    /// `(n_kv_heads · head_dim, dim)`
    pub k: Linear<'m>,
    /// See [`QkNorm`]
    pub k_norm: &'m [f32],
    /// `(n_kv_heads · head_dim, dim)`
    pub v: Linear<'m>,
    /// `(n_heads)`: see [`Config::sink_logits`]
    pub sink_logits: &'m [f32],
    /// What the second half of the heads is taken off the first by: see [`Config::differential`]
    pub lambda: f32,
    /// `(2 · head_dim)`: the gain of what is left
    pub difference_norm: &'m [f32],
    /// `(dim, n_heads · head_dim)`
    pub o: Linear<'m>,
    /// `(dim)`
    pub attn_after_norm: &'m [f32],
    /// `(dim)`
    pub ffn_norm: Gain<'m>,
    /// `(ffn_dim, dim)`; in a layer with experts `(shared_ffn_dim, dim)`
    pub gate: Linear<'m>,
    /// As the gate.
    pub up: Linear<'m>,
    /// `(dim, ffn_dim)`; in a layer with experts `(dim, shared_ffn_dim)`
    pub down: Linear<'m>,
    /// In a layer that is sparse.
    pub experts: Experts<'m>,
    /// `(dim)`
    pub ffn_after_norm: &'m [f32],
    /// Whether queries and keys are not rotated.
    pub no_rope: bool,
    /// Whether queries see no more than [`Config::window`].
    pub local: bool,
    /// Whether the feed-forward part is one of experts.
    pub sparse: bool,
    /// Whether keys have outliers: an int8 cache keeps this layer in f16.
    pub key_outliers: bool,
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
        check::check(file, header)
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

impl Gain<'_> {
    const EMPTY: Self = Self { gain: &[], bias: None };
}

impl<'m> Layer<'m> {
    const EMPTY: Self = Self {
        attn_norm: Gain::EMPTY,
        q: Linear::EMPTY,
        q_norm: &[],
        k: Linear::EMPTY,
        k_norm: &[],
        v: Linear::EMPTY,
        sink_logits: &[],
        lambda: 0.0,
        difference_norm: &[],
        o: Linear::EMPTY,
        attn_after_norm: &[],
        ffn_norm: Gain::EMPTY,
        gate: Linear::EMPTY,
        up: Linear::EMPTY,
        down: Linear::EMPTY,
        experts: Experts::EMPTY,
        ffn_after_norm: &[],
        no_rope: false,
        local: false,
        sparse: false,
        key_outliers: false,
    };

    fn put(&mut self, t: &Tensor<'m>) {
        match t.role {
            Role::AttnNorm => self.attn_norm.gain = t.vector(),
            Role::AttnNormBias => self.attn_norm.bias = Some(t.vector()),
            Role::Q => self.q.weight = t.matrix(),
            Role::QBias => self.q.bias = Some(t.vector()),
            Role::QNorm => self.q_norm = t.vector(),
            Role::K => self.k.weight = t.matrix(),
            Role::KBias => self.k.bias = Some(t.vector()),
            Role::KNorm => self.k_norm = t.vector(),
            Role::V => self.v.weight = t.matrix(),
            Role::VBias => self.v.bias = Some(t.vector()),
            Role::SinkLogits => self.sink_logits = t.vector(),
            Role::Lambda => self.lambda = t.vector().first().copied().unwrap_or(0.0),
            Role::DifferenceNorm => self.difference_norm = t.vector(),
            Role::O => self.o.weight = t.matrix(),
            Role::OBias => self.o.bias = Some(t.vector()),
            Role::AttnAfterNorm => self.attn_after_norm = t.vector(),
            Role::FfnNorm => self.ffn_norm.gain = t.vector(),
            Role::FfnNormBias => self.ffn_norm.bias = Some(t.vector()),
            Role::Gate | Role::SharedGate => self.gate.weight = t.matrix(),
            Role::GateBias => self.gate.bias = Some(t.vector()),
            Role::Up | Role::SharedUp => self.up.weight = t.matrix(),
            Role::UpBias => self.up.bias = Some(t.vector()),
            Role::Down | Role::SharedDown => self.down.weight = t.matrix(),
            Role::DownBias => self.down.bias = Some(t.vector()),
            Role::FfnAfterNorm => self.ffn_after_norm = t.vector(),
            role => self.experts.put(role, t),
        }
    }
}
