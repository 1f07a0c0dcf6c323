//! The files of a source, and what they say.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use oarlock::internal::format::Role;
use serde_json::Value;

use crate::config::description::ModelDescription;
use crate::config::gguf::from_gguf;
use crate::config::hf::from_hf;
use crate::config::hf::quantization::{BESIDE, scheme};
use crate::config::hf::wrapped::{text_model, text_tensors};
use crate::error::{Error, Result, Shown};
use crate::replacement::read_regular;
use crate::source::quantized::scheme::Scheme;
use crate::source::tensor::Tensors;
use crate::source::{gguf, gguf_parts, quantized, safetensors};

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

/// All files that a conversion of this source reads, and those that it would read if they were
/// there: while they stay as they are, so does what comes of them.
///
/// These are a model's also where a directory is none; the conversion says what is wrong.
///
/// # Errors
/// If there is nothing at `source`, or a part is missing.
pub fn source_files(source: &Path) -> Result<Vec<PathBuf>> {
    let meta = fs::metadata(source).map_err(|e| Error::read(source, &e))?;
    if !meta.is_dir() {
        return gguf_parts::parts(source);
    }
    let small = SMALL.iter().map(|name| source.join(name));
    Ok(small.chain(safetensors::candidates(source)).collect())
}

/// The name of the file that is made of a source whose name is this: without `.gguf` and the number
/// of a part, with `.oar`; `None` of a path that has no name.
pub fn default_name(source: &Path) -> Option<OsString> {
    let is_gguf = source.extension().is_some_and(|e| e.eq_ignore_ascii_case("gguf"));
    let mut name = if is_gguf { source.file_stem() } else { source.file_name() }?.to_os_string();
    if let Some((stem, _)) = name.to_str().filter(|_| is_gguf).and_then(gguf_parts::part_of) {
        name = stem.into();
    }
    name.push(".oar");
    Some(name)
}

const CONFIG: &str = "config.json";
const GENERATION: &str = "generation_config.json";
const TOKENIZER: &str = "tokenizer.json";
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
const CHAT_TEMPLATE: &str = "chat_template.jinja";
/// All of a model directory but the weights.
const SMALL: [&str; 5] = [CONFIG, GENERATION, TOKENIZER, TOKENIZER_CONFIG, CHAT_TEMPLATE];

impl Files {
    pub fn find(source: &Path) -> Result<Self> {
        let meta = fs::metadata(source).map_err(|e| Error::read(source, &e))?;
        if !meta.is_dir() {
            let weights = gguf_parts::parts(source)?;
            return Ok(Self { weights, shards: None, small: Vec::new() });
        }
        let mut small = Vec::new();
        for name in SMALL {
            let path = source.join(name);
            match read_regular(&path) {
                Ok(bytes) => small.push((path, bytes)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    if [CONFIG, TOKENIZER].contains(&name) {
                        return Err(Error::new(path.shown(), "no such file", advice(source, name)));
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
        // Python writes numbers that JSON does not have: a key that nobody reads may have one, and to
        // a key that is read they become text, which it refuses.
        let json = json.or_else(|e| serde_json::from_slice(&without_nan(bytes)).map_err(|_| e));
        json.map(Some).map_err(|e| Error::new(path.shown(), e, "get the file again"))
    }

    pub fn load<'m>(&self, maps: &[&'m [u8]]) -> Result<Loaded<'m>> {
        let Some(shards) = &self.shards else { return self.load_gguf(maps) };
        let config = self.json(CONFIG)?.unwrap_or_default();
        let text = text_model(&config)?;
        let mut model = from_hf(text.as_ref().unwrap_or(&config), self.json(GENERATION)?.as_ref())?;
        let bytes = |name| self.small(name).map(|(_, bytes)| bytes.clone());
        let texts = Texts {
            tokenizer: bytes(TOKENIZER).unwrap_or_default(),
            tokenizer_config: bytes(TOKENIZER_CONFIG),
            chat_template: bytes(CHAT_TEMPLATE),
        };
        // An index may list the head of a tied model, which is no tensor of its own.
        let head = model.names.tensor(Role::Output, None).filter(|_| model.config.tied);
        let is_head = |name: &str| head.as_ref().is_some_and(|head| name.ends_with(head));
        let mut tensors = shards.read(maps, &is_head)?;
        model.warnings.extend(quantized::assemble(&mut tensors, self.scheme(&config)?.as_ref())?);
        if text.is_some() {
            let (count, parts) = text_tensors(&mut tensors);
            model.warnings.push(format!(
                "only the text model is converted: {count} tensors are left out ({})",
                parts.join(", ")
            ));
        }
        untie(&mut model, &tensors);
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

    fn load_gguf<'m>(&self, maps: &[&'m [u8]]) -> Result<Loaded<'m>> {
        let file = gguf_parts::read_parts(&self.weights, maps)?;
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

/// A JSON text in which Python's words for numbers that are none (NaN, Infinity) are strings.
fn without_nan(text: &[u8]) -> Vec<u8> {
    let (mut out, mut rest, mut in_string) = (Vec::new(), text, false);
    while let [first, ..] = rest {
        let word = NO_NUMBERS.iter().find(|word| !in_string && rest.starts_with(word));
        let len = match (word, first) {
            (Some(word), _) => word.len(),
            (None, b'\\') if in_string => 2.min(rest.len()),
            _ => 1,
        };
        in_string ^= *first == b'"';
        let (head, tail) = rest.split_at(len);
        let quote: &[u8] = if word.is_some() { b"\"" } else { b"" };
        out.extend([quote, head, quote].concat());
        rest = tail;
    }
    out
}

const NO_NUMBERS: [&[u8]; 3] = [b"-Infinity", b"Infinity", b"NaN"];

/// Advice about a directory without a file that is needed.
fn advice(dir: &Path, missing: &str) -> String {
    let whole = "a model directory needs it: get the whole model";
    if missing == TOKENIZER {
        let has = |name: &str| dir.join(name).exists();
        let older = ["tokenizer.model", "spiece.model", "vocab.json", "tekken.json"];
        let Some(found) = older.into_iter().find(|name| has(name)) else { return whole.into() };
        let dir = quoted(&dir.shown().to_string());
        return format!(
            "make it of {found}: pip install transformers sentencepiece protobuf tiktoken && python3 -c \
            'import sys; from transformers import AutoTokenizer as T; d = sys.argv[1]; \
            T.from_pretrained(d).save_pretrained(d)' {dir}"
        );
    }
    let files = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut ggufs: Vec<_> = files
        .filter(|file| Path::new(&file.file_name()).extension().is_some_and(|e| e == "gguf"))
        .map(|file| file.path())
        .collect();
    ggufs.sort();
    let found = ggufs.first().map(|path| format!("give one of its GGUF files: {}", path.shown()));
    found.unwrap_or_else(|| whole.into())
}

/// A word for a shell that takes nothing in it for its own: the name of a folder may be anything.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Takes the output matrix of a model that is said to have none, if it has one all the same: as
/// transformers does, which ties nothing that a file has (merged adapters are published so).
fn untie(model: &mut ModelDescription, tensors: &Tensors<'_>) {
    let name = |role| model.names.tensor(role, None).unwrap_or_default();
    let (name, embedding) = (name(Role::Output), tensors.get(&name(Role::Embedding)));
    let (true, Some(embedding), Some(head)) = (model.config.tied, embedding, tensors.get(&name))
    else {
        return;
    };
    if embedding.dtype != head.dtype || !embedding.is_same(head) {
        model.config.tied = false;
        model.warnings.push(format!(
            "tie_word_embeddings is true, but there is another {name}: it is used, as transformers does"
        ));
    }
}
