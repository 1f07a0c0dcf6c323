//! The conversion itself: find, describe, plan, stream.

use std::fs;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use oarlock::format::TensorType;
use oarlock::layout::{TILE_ROWS, WeightType, tile_bytes};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::config::{Description, from_gguf, from_hf};
use crate::error::{Error, Result};
use crate::map::map;
use crate::output::Output;
use crate::pack::{Flaw, rows_for, tile};
use crate::plan::{Planned, Weights, plan};
use crate::progress::Progress;
use crate::rope::phases;
use crate::source::{Tensors, decode};
use crate::write::{Metadata, Writer};
use crate::{gguf, safetensors, words};

/// What the user chose; what is not chosen follows from the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConvertOptions {
    /// How matrices are stored: `int4` from safetensors, kept from a GGUF by default.
    pub weights: Option<Weights>,
    /// How the output matrix is stored, and the embedding when it is the same.
    pub head: Option<Head>,
}

/// How the output matrix is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// In a way of its own.
    Of(Weights),
    /// As the other matrices.
    Same,
}

/// What a conversion made.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Bits of file per weight of a matrix.
    pub bits_per_weight: f64,
}

/// Converts the model in `source` (a directory or a `.gguf` file) to the file `out`.
pub fn convert(
    source: &Path,
    out: &Path,
    options: &ConvertOptions,
    progress: &dyn Progress,
) -> Result<Report> {
    let files = Files::find(source)?;
    files.refuse_output(out)?;
    let maps = files.weights.iter().map(|path| map(path)).collect::<Result<Vec<_>>>()?;
    let bytes: Vec<&[u8]> = maps.iter().map(|map| &map[..]).collect();
    let loaded = files.load(&bytes)?;
    let (weights, head) = resolve(options, loaded.is_gguf)?;
    let planned = plan(&loaded.model, &loaded.tensors, weights, head)?;
    let words = words::compile(&loaded)?;
    for warning in loaded.model.warnings.iter().chain(&words.warnings) {
        progress.warn(warning);
    }
    let model = &loaded.model;
    let metadata = Metadata {
        config: model.config,
        arch: model.arch.clone(),
        rope_phases: phases(model.rope_theta, model.config.rot_dim, &model.rope_scaling),
        attention_factor: 1.0,
        tokenizer: words.tokenizer,
        chat: words.chat,
        sampling: model.sampling,
        provenance: provenance(&files, &maps, weights, head, progress)?,
    };
    let output = Output::create(out)?;
    let file_bytes = stream(&output, metadata, &planned, progress)?;
    output.commit()?;
    Ok(Report { file_bytes, bits_per_weight: bits_per_weight(&planned) })
}

/// A source, read and described.
pub(crate) struct Loaded<'m> {
    pub is_gguf: bool,
    pub model: Description,
    pub tensors: Tensors<'m>,
    /// Of a GGUF.
    pub metadata: gguf::Metadata<'m>,
    /// Of a model directory: whatever of it says something about text.
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
struct Files {
    weights: Vec<PathBuf>,
    /// Of a model directory; without, the weights are one GGUF.
    shards: Option<safetensors::Shards>,
    /// Path and content, of a model directory.
    small: Vec<(PathBuf, Vec<u8>)>,
}

const CONFIG: &str = "config.json";
const GENERATION: &str = "generation_config.json";
const TOKENIZER: &str = "tokenizer.json";
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
const CHAT_TEMPLATE: &str = "chat_template.jinja";

impl Files {
    fn find(source: &Path) -> Result<Self> {
        let meta = fs::metadata(source).map_err(|e| Error::read(source, &e))?;
        if !meta.is_dir() {
            let weights = vec![source.to_path_buf()];
            return Ok(Self { weights, shards: None, small: Vec::new() });
        }
        let mut small = Vec::new();
        for name in [CONFIG, GENERATION, TOKENIZER, TOKENIZER_CONFIG, CHAT_TEMPLATE] {
            let path = source.join(name);
            match fs::read(&path) {
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
        let shards = safetensors::find(source)?;
        let weights = shards.files.clone();
        Ok(Self { weights, shards: Some(shards), small })
    }

    fn all(&self) -> impl Iterator<Item = &Path> {
        let index = self.shards.iter().filter_map(|s| s.index.as_ref());
        let index = index.map(|(path, _)| path.as_path());
        let small = self.small.iter().map(|(path, _)| path.as_path());
        small.chain(index).chain(self.weights.iter().map(PathBuf::as_path))
    }

    /// Refuses to write over what is read.
    fn refuse_output(&self, out: &Path) -> Result<()> {
        for input in self.all() {
            if same_file(input, out) {
                let todo = "give another name with -o";
                return Err(Error::new(out.display(), "the output is one of the inputs", todo));
            }
        }
        Ok(())
    }

    fn small(&self, name: &str) -> Option<&(PathBuf, Vec<u8>)> {
        self.small.iter().find(|(path, _)| path.file_name().is_some_and(|n| n == name))
    }

    fn json(&self, name: &str) -> Result<Option<Value>> {
        let Some((path, bytes)) = self.small(name) else { return Ok(None) };
        let json = serde_json::from_slice(bytes);
        json.map(Some).map_err(|e| Error::new(path.display(), e, "get the file again"))
    }

    fn load<'m>(&self, maps: &[&'m [u8]]) -> Result<Loaded<'m>> {
        let Some(shards) = &self.shards else { return self.load_gguf(maps[0]) };
        let config = self.json(CONFIG)?.unwrap_or_default();
        let model = from_hf(&config, self.json(GENERATION)?.as_ref())?;
        let bytes = |name| self.small(name).map(|(_, bytes)| bytes.clone());
        let texts = Texts {
            tokenizer: bytes(TOKENIZER).unwrap_or_default(),
            tokenizer_config: bytes(TOKENIZER_CONFIG),
            chat_template: bytes(CHAT_TEMPLATE),
        };
        let tensors = shards.read(maps)?;
        let metadata = gguf::Metadata::default();
        Ok(Loaded { is_gguf: false, model, tensors, metadata, texts })
    }

    fn load_gguf<'m>(&self, map: &'m [u8]) -> Result<Loaded<'m>> {
        let path = &self.weights[0];
        let file = gguf::read(path, map)?;
        let model = from_gguf(&file)?;
        let gguf::Gguf { metadata, tensors } = file;
        Ok(Loaded { is_gguf: true, model, tensors, metadata, texts: Texts::default() })
    }
}

/// Whether both paths lead to the same file, through links of either kind.
fn same_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (Ok(a), Ok(b)) = (fs::metadata(a), fs::metadata(b)) else { return false };
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// The choices, with what follows from the source where none was made.
fn resolve(options: &ConvertOptions, is_gguf: bool) -> Result<(Weights, Weights)> {
    let default = if is_gguf { Weights::Keep } else { Weights::As(WeightType::Int4) };
    let weights = options.weights.unwrap_or(default);
    let head = match (options.head, weights) {
        (Some(Head::Of(head)), _) => head,
        (Some(Head::Same), weights) => weights,
        (None, Weights::As(kind)) if kind.is_quantized() => Weights::As(WeightType::Int8),
        (None, weights) => weights,
    };
    for (option, choice) in [("--weights", weights), ("--head", head)] {
        if choice == Weights::Keep && !is_gguf {
            let todo = "safetensors are not quantized: give int4, int4a, int8 or f32";
            return Err(Error::new(format_args!("{option} keep"), "the source is no GGUF", todo));
        }
    }
    Ok((weights, head))
}

fn name_of(weights: Weights) -> &'static str {
    match weights {
        Weights::As(kind) => kind.name(),
        Weights::Keep => "keep",
    }
}

/// Where the file comes from, a line each: nothing that differs between two runs.
fn provenance(
    files: &Files,
    maps: &[Mmap],
    weights: Weights,
    head: Weights,
    progress: &dyn Progress,
) -> Result<String> {
    let version = env!("CARGO_PKG_VERSION");
    let mut text = format!("converter oarlock-convert {version}\n");
    text += &format!("weights {}\nhead {}\n", name_of(weights), name_of(head));
    let maps = files.weights.iter().zip(maps.iter().map(|map| &map[..]));
    let small = files.small.iter().map(|(path, bytes)| (path, &bytes[..]));
    for (path, bytes) in small.chain(maps) {
        let mut sha = Sha256::new();
        for chunk in bytes.chunks(CHUNK) {
            if progress.cancelled() {
                return Err(Error::Cancelled);
            }
            sha.update(chunk);
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().replace('\n', " ");
        let hash: String = sha.finalize().iter().map(|b| format!("{b:02x}")).collect();
        text += &format!("source {hash} {name}\n");
    }
    Ok(text)
}

/// Packed bytes that are made before they are written, and hashed between two questions
/// whether to stop.
const CHUNK: usize = 4 << 20;

fn stream(
    output: &Output,
    metadata: Metadata,
    planned: &[Planned<'_, '_>],
    progress: &dyn Progress,
) -> Result<u64> {
    let fail = |e: io::Error| Error::write(output.target(), &e);
    let specs = planned.iter().map(|p| p.spec.clone()).collect();
    let mut writer = Writer::new(BufWriter::new(output.file()), metadata, specs).map_err(fail)?;
    progress.start(writer.tensor_bytes());
    for tensor in planned {
        let step = match tensor.spec.kind {
            TensorType::Vector => tensor.rows,
            TensorType::Matrix(kind) => rows_for(kind, tensor.cols, CHUNK),
        };
        for start in (0..tensor.rows).step_by(step) {
            if progress.cancelled() {
                return Err(Error::Cancelled);
            }
            let rows = start..tensor.rows.min(start + step);
            let bytes = make(tensor, rows).map_err(|flaw| refuse(tensor, flaw))?;
            writer.write(&bytes).map_err(fail)?;
            progress.advance(bytes.len() as u64);
        }
    }
    let file = writer.finish().map_err(fail)?.into_inner().map_err(|e| fail(e.into_error()))?;
    Ok(file.metadata().map_err(fail)?.len())
}

fn refuse(tensor: &Planned<'_, '_>, flaw: Flaw) -> Error {
    let name = &tensor.spec.name;
    match flaw {
        Flaw::NotFinite => Error::new(name, "a weight is NaN or infinite", "get the model again"),
        Flaw::TooLarge => {
            Error::new(name, "a weight is too large for an f16 scale", "give --weights f32")
        }
    }
}

/// The bytes of these rows: whole tiles, or a whole vector.
fn make(
    tensor: &Planned<'_, '_>,
    rows: std::ops::Range<usize>,
) -> std::result::Result<Vec<u8>, Flaw> {
    let TensorType::Matrix(kind) = tensor.spec.kind else { return vector(tensor) };
    let tile_bytes = tile_bytes(kind, tensor.cols).unwrap_or(0);
    let mut out = vec![0; rows.len().div_ceil(TILE_ROWS) * tile_bytes];
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    let per_thread = rows.len().div_ceil(TILE_ROWS).div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let parts = out.chunks_mut(per_thread * tile_bytes).enumerate().map(|(part, out)| {
            let first = rows.start + part * per_thread * TILE_ROWS;
            let end = rows.end;
            scope.spawn(move || tiles(tensor, kind, first..end, out))
        });
        // All of them start before the first is waited for.
        let parts: Vec<_> = parts.collect();
        parts.into_iter().try_for_each(|part| match part.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    Ok(out)
}

/// Fills `out` with tiles of the rows from `rows.start`.
fn tiles(
    tensor: &Planned<'_, '_>,
    kind: WeightType,
    rows: std::ops::Range<usize>,
    out: &mut [u8],
) -> std::result::Result<(), Flaw> {
    let starts = rows.clone().step_by(TILE_ROWS);
    let bytes = tile_bytes(kind, tensor.cols).unwrap_or(1).max(1);
    for (start, out) in starts.zip(out.chunks_exact_mut(bytes)) {
        let lines: Vec<&[u8]> = (start..rows.end.min(start + TILE_ROWS))
            .map(|row| tensor.raw.row(tensor.order.source(row), tensor.cols))
            .collect();
        tile(kind, tensor.raw.dtype, tensor.cols, &lines, out)?;
    }
    Ok(())
}

fn vector(tensor: &Planned<'_, '_>) -> std::result::Result<Vec<u8>, Flaw> {
    let mut floats = vec![0.0; tensor.cols];
    decode(tensor.raw.dtype, tensor.raw.data, &mut floats);
    if floats.iter().any(|v| !v.is_finite()) {
        return Err(Flaw::NotFinite);
    }
    let ordered = (0..tensor.cols).map(|i| floats[tensor.order.source(i)]);
    Ok(ordered.flat_map(f32::to_le_bytes).collect())
}

fn bits_per_weight(planned: &[Planned<'_, '_>]) -> f64 {
    let matrices = planned.iter().filter(|p| p.spec.kind != TensorType::Vector);
    let (bytes, weights) = matrices.fold((0, 0), |(bytes, weights), p| {
        let len = p.spec.kind.bytes(p.rows, p.cols).unwrap_or(0);
        (bytes + len, weights + p.rows * p.cols)
    });
    8.0 * bytes as f64 / weights.max(1) as f64
}
