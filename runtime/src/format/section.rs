//! Sections: the parts of the metadata.

/// A part of the metadata; the order of the variants is the order in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u32)]
pub enum Section {
    /// The model's dimensions and options: [`Config`](super::Config).
    Config = 1,
    /// Rotary frequencies as phases.
    Rope = 2,
    /// The directory entries of each layer: [`LayerEntry`](super::LayerEntry)s.
    Layers = 3,
    /// The tensors: [`Entry`](super::Entry)s.
    Directory = 4,
    /// The strings that entries point into, UTF-8.
    Names = 5,
    /// The tokenizer's tables.
    Tokenizer = 6,
    /// The text around the turns of a conversation.
    Chat = 7,
    /// The sampling that the model's authors recommend.
    Sampling = 8,
    /// The origin of the file: lines of UTF-8.
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
    /// Number of sections, all of which every file has.
    pub const COUNT: usize = Self::ALL.len();

    /// The name in error messages and listings.
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
