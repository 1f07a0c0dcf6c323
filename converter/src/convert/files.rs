//! The files of a source, and what they say.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::config::description::ModelDescription;
use crate::config::gguf::from_gguf;
use crate::config::hf::from_hf;
use crate::config::hf::quantization::{BESIDE, scheme};
use crate::error::{Error, Result};
use crate::replacement::read_regular;
use crate::source::quantized::scheme::Scheme;
use crate::source::tensor::{Tensors, insert};
use crate::source::{gguf, quantized, safetensors};

/// A source, read and described.
pub(crate) struct Loaded<'m> {
    pub is_gguf: bool,
    pub model: ModelDescription,
    pub tensors: Tensors<'m>,
    /// Keys and values of a GGUF file; else empty.
    pub metadata: gguf::GgufMetadata<'m>,
    /// Files of a model directory that are about text; else empty.
    pub texts: Texts,
}

/// The files of a model directory that are about text.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    pub tokenizer: Vec<u8>,
    pub tokenizer_config: Option<Vec<u8>>,
    pub chat_template: Option<Vec<u8>>,
}

/// The files of a source.
pub(crate) struct Files {
    /// The files that hold weights.
    pub weights: Vec<PathBuf>,
    /// The shards of a model directory; without, the weights are one GGUF.
    shards: Option<safetensors::Shards>,
    /// Path and content, of a model directory.
    pub small: Vec<(PathBuf, Vec<u8>)>,
}

const CONFIG: &str = "config.json";
const GENERATION: &str = "generation_config.json";
const TOKENIZER: &str = "tokenizer.json";
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
const CHAT_TEMPLATE: &str = "chat_template.jinja";

impl Files {
    pub fn find(source: &Path) -> Result<Self> {
        let meta = fs::metadata(source).map_err(|e| Error::read(source, &e))?;
        if !meta.is_dir() {
            let weights = gguf::parts(source)?;
            return Ok(Self { weights, shards: None, small: Vec::new() });
        }
        let mut small = Vec::new();
        for name in [CONFIG, GENERATION, TOKENIZER, TOKENIZER_CONFIG, CHAT_TEMPLATE] {
            let path = source.join(name);
            match read_regular(&path) {
                Ok(bytes) => small.push((path, bytes)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    if [CONFIG, TOKENIZER].contains(&name) {
                        let todo = "a model directory needs it: get the whole model";
                        return Err(Error::new(path.display(), "no such file", todo));
                    }
                }
                Err(e) => return Err(Error::read(&path, &e)),
            }
        }
        small.extend(said_beside(source, &small)?);
        let shards = safetensors::find(source)?;
        let weights = shards.files.clone();
        Ok(Self { weights, shards: Some(shards), small })
    }

    /// Everything that is read.
    pub fn all(&self) -> impl Iterator<Item = &Path> {
        let index = self.shards.iter().filter_map(|s| s.index.as_ref());
        let index = index.map(|(path, _)| path.as_path());
        let small = self.small.iter().map(|(path, _)| path.as_path());
        small.chain(index).chain(self.weights.iter().map(PathBuf::as_path))
    }

    fn small(&self, name: &str) -> Option<&(PathBuf, Vec<u8>)> {
        self.small.iter().find(|(path, _)| path.file_name().is_some_and(|n| n == name))
    }

    fn json(&self, name: &str) -> Result<Option<Value>> {
        let Some((path, bytes)) = self.small(name) else { return Ok(None) };
        let json = serde_json::from_slice(bytes);
        json.map(Some).map_err(|e| Error::new(path.display(), e, "get the file again"))
    }

    pub fn load<'m>(&self, maps: &[&'m [u8]]) -> Result<Loaded<'m>> {
        let Some(shards) = &self.shards else { return self.load_gguf(maps) };
        let config = self.json(CONFIG)?.unwrap_or_default();
        let mut model = from_hf(&config, self.json(GENERATION)?.as_ref())?;
        let bytes = |name| self.small(name).map(|(_, bytes)| bytes.clone());
        let texts = Texts {
            tokenizer: bytes(TOKENIZER).unwrap_or_default(),
            tokenizer_config: bytes(TOKENIZER_CONFIG),
            chat_template: bytes(CHAT_TEMPLATE),
        };
        let mut tensors = shards.read(maps)?;
        model.warnings.extend(quantized::assemble(&mut tensors, self.scheme(&config)?.as_ref())?);
        let metadata = gguf::GgufMetadata::default();
        Ok(Loaded { is_gguf: false, model, tensors, metadata, texts })
    }

    /// The method by which the directory is quantized.
    fn scheme(&self, config: &Value) -> Result<Option<Scheme>> {
        for (name, _) in BESIDE {
            if let Some(json) = self.json(name)? {
                return scheme(config, Some((name, &json)));
            }
        }
        scheme(config, None)
    }

    /// The first part says what the model is; all have tensors.
    fn load_gguf<'m>(&self, maps: &[&'m [u8]]) -> Result<Loaded<'m>> {
        let mut file = gguf::read(&self.weights[0], maps[0])?;
        for (path, map) in self.weights.iter().zip(maps).skip(1) {
            for (name, raw) in gguf::read(path, map)?.tensors {
                insert(&mut file.tensors, &name, raw)?;
            }
        }
        let model = from_gguf(&file)?;
        let gguf::Gguf { metadata, tensors } = file;
        Ok(Loaded { is_gguf: true, model, tensors, metadata, texts: Texts::default() })
    }
}

/// The file that says how a directory is quantized, where `config.json` says nothing of it.
fn said_beside(source: &Path, small: &[(PathBuf, Vec<u8>)]) -> Result<Option<(PathBuf, Vec<u8>)>> {
    let says = |(_, bytes): &(PathBuf, Vec<u8>)| {
        bytes.windows(QUANTIZATION.len()).any(|part| part == QUANTIZATION)
    };
    if small.first().is_some_and(says) {
        return Ok(None);
    }
    for (name, _) in BESIDE {
        let path = source.join(name);
        match read_regular(&path) {
            Ok(bytes) => return Ok(Some((path, bytes))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(Error::read(&path, &e)),
        }
    }
    Ok(None)
}

const QUANTIZATION: &[u8] = b"\"quantization";
